//! Whole connections: what is told of them.

mod conversations;
mod h2c;
mod loss;
mod recognition;

use super::hpack::encoder::Way;
use super::peer::{Form, Peer};
use super::watch::{Told, Watch};
use crate::event::{Direction, Role};
use crate::exchange::{Outcome, Protocol};

const ENDS: Form = Form { ends: true, padding: None, priority: false, split: 0 };
const OPEN: Form = Form { ends: false, padding: None, priority: false, split: 0 };

/// The two ends, and the one that watches: the client's, or the server's.
struct Talk {
    client: Peer,
    server: Peer,
    watch: Watch,
    at: [u32; 2],
    is_server: bool,
}

impl Talk {
    /// A connection that is seen from its beginning.
    fn new(is_server: bool) -> Talk {
        let role = if is_server { Role::Passive } else { Role::Active };
        let mut talk = Talk {
            client: Peer::default(),
            server: Peer::default(),
            watch: Watch::new(true, role),
            at: [0; 2],
            is_server,
        };
        talk.client.preface();
        talk.server.settings();
        talk.send();
        talk
    }

    /// A connection of which nothing was seen so far.
    fn joined(mut self) -> Talk {
        self.watch = Watch::new(false, Role::Unseen);
        self
    }

    /// What both have written is sent: the client's first, each in one call.
    fn send(&mut self) {
        let (client, server) = (self.client.take(), self.server.take());
        self.call(true, &client, client.len());
        self.call(false, &server, server.len());
    }

    fn call(&mut self, from_client: bool, bytes: &[u8], captured: usize) {
        if bytes.is_empty() {
            return;
        }
        let dir = if from_client == self.is_server { Direction::Rx } else { Direction::Tx };
        let at = &mut self.at[usize::from(from_client)];
        self.watch.call(dir, *at, bytes, captured);
        *at += bytes.len() as u32;
    }

    fn ask(&mut self, stream: u32, path: &str, form: Form) {
        let usual = |name, value| (name, value, Way::USUAL);
        let literal = Way { name: true, coded: true, ..Way::default() };
        let fields = [
            usual(":method", "GET"),
            usual(":scheme", "http"),
            (":path", path, literal),
            usual(":authority", "shop.example"),
        ];
        self.client.headers(stream, form, fields);
    }

    fn grpc(&mut self, stream: u32, path: &str, form: Form) {
        let usual = |name, value| (name, value, Way::USUAL);
        let fields = [
            usual(":method", "POST"),
            usual(":scheme", "http"),
            usual(":path", path),
            usual(":authority", "shop.example"),
            usual("content-type", "application/grpc"),
            usual("te", "trailers"),
        ];
        self.client.headers(stream, form, fields);
    }

    fn answer(&mut self, stream: u32, status: &str, form: Form) {
        self.server.headers(
            stream,
            form,
            [(":status", status, Way::USUAL), ("server", "made up", Way::USUAL)],
        );
    }

    fn trailers(&mut self, stream: u32, code: &str) {
        let fields = [("grpc-status", code, Way::USUAL), ("grpc-message", "no such user: bob", Way::USUAL)];
        self.server.headers(stream, ENDS, fields);
    }
}

fn only(told: Vec<Told>) -> Told {
    assert_eq!(told.len(), 1, "{told:?}");
    told.into_iter().next().unwrap()
}
