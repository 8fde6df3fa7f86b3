//! `Upgrade: h2c` (RFC 7540 section 3.2): HTTP/1 hands over, and the request is stream 1.

use super::*;
use crate::protocol::tally::Skip;

const ASK: &[u8] = b"GET /up HTTP/1.1\r\nHost: shop.example\r\nConnection: Upgrade, HTTP2-Settings\r\n\
    Upgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n\r\n";
const SWITCH: &[u8] = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r\n";

fn upgraded(is_server: bool) -> Talk {
    let mut talk = Talk {
        client: Peer::default(),
        server: Peer::default(),
        watch: Watch::new(true, if is_server { Role::Passive } else { Role::Active }),
        at: [0; 2],
        is_server,
    };
    talk.call(true, ASK, ASK.len());
    talk
}

#[test]
fn the_request_that_upgrades_is_answered_on_the_first_stream() {
    for is_server in [false, true] {
        for together in [false, true] {
            let mut talk = upgraded(is_server);
            talk.server.settings();
            talk.answer(1, "200", OPEN);
            let mut server = talk.server.take();
            if together {
                server = [SWITCH, &server].concat();
            } else {
                talk.call(false, SWITCH, SWITCH.len());
            }
            talk.call(false, &server, server.len());
            talk.client.preface();
            talk.ask(3, "/next", ENDS);
            talk.server.data(1, 10, true);
            talk.answer(3, "404", ENDS);
            talk.send();
            let told = talk.watch.end(true);
            assert_eq!(told.len(), 2);
            assert_eq!((&*told[0].head.target, told[0].head.protocol), ("/up", Protocol::Http1));
            assert_eq!((told[0].status, told[0].outcome), (Some(200), Some(Outcome::Complete)));
            assert_eq!((&*told[1].head.target, told[1].head.protocol), ("/next", Protocol::Http2));
            assert_eq!((told[1].status, told[1].outcome), (Some(404), Some(Outcome::Complete)));
            assert_eq!(talk.watch.tally.skipped_total(), 0);
        }
    }
}

#[test]
fn other_upgrades_stay_tunnels() {
    let websocket = b"HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n";
    let two = b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: h2c\r\nUpgrade: websocket\r\n\r\n";
    for switch in [&websocket[..], two] {
        let mut talk = upgraded(true);
        talk.call(false, switch, switch.len());
        talk.client.preface();
        let len = talk.client.out.len() as u64;
        talk.send();
        assert_eq!(talk.watch.tally.skipped(Skip::Upgraded), len);
        let told = only(talk.watch.end(true));
        assert_eq!((told.status, told.outcome), (Some(101), Some(Outcome::Upgraded)));
    }
}
