//! Elements of lists as messages.

use super::*;
use crate::exchange::Handing;

const ID: &str = "7b0e2a4c-9d3f-4a51-8c66-1f2e3d4c5b6a";

/// Handing, number and keys of all handovers that are told.
fn handovers(kernel: &Kernel) -> Vec<(String, Handing, u32, Vec<u64>)> {
    let handover = |step: &Step| match step {
        Step::Request { head, .. } => {
            let handover = head.handover()?;
            Some((head.method.to_string(), handover.handing, handover.count, handover.keys.to_vec()))
        }
        _ => None,
    };
    steps(kernel).iter().filter_map(handover).collect()
}

#[test]
fn what_is_pushed_is_known_again_when_it_is_taken() {
    let mut kernel = client();
    let taken = format!("*2\r\n$1\r\nq\r\n$36\r\n{ID}\r\n");
    talk(
        &mut kernel,
        &[
            (Tx, &array(&format!("LPUSH q {ID}"))),
            (Rx, b":1\r\n"),
            (Tx, &array("BRPOP q 1")),
            (Rx, taken.as_bytes()),
            (Tx, &array("SET a b")),
            (Rx, b"+OK\r\n"),
            (Tx, &array("BRPOP q 1")),
            (Rx, b"*-1\r\n"),
        ],
    );
    kernel.close(100_000_000);
    let found = handovers(&kernel);
    assert_eq!(found.len(), 2);
    let (given, received) = (&found[0], &found[1]);
    assert_eq!((&*given.0, given.1, given.2), ("LPUSH", Handing::Given, 1));
    assert_eq!((&*received.0, received.1, received.2), ("receive", Handing::Taken, 1));
    assert_eq!(given.3, received.3);
    let all = told(&kernel);
    let message = all.iter().find(|one| &*one.method == "receive").unwrap();
    assert_eq!(message.side, Side::Server);
    // From the answer to the next BRPOP, with the work in between.
    assert_eq!((message.first.0, message.end.unwrap().2.0), (4_000_000, 7_000_000));
    assert_eq!(message.outcome(), Some(Outcome::Complete));
    assert_eq!(all.iter().filter(|one| &*one.method == "BRPOP").count(), 2);
}

#[test]
fn the_servers_end_takes_nothing() {
    let mut kernel = Kernel::new(1, Role::Passive);
    kernel.variation.all = true;
    let taken = format!("*2\r\n$1\r\nq\r\n$36\r\n{ID}\r\n");
    talk(&mut kernel, &[(Rx, &array("BRPOP q 1")), (Tx, taken.as_bytes())]);
    kernel.close(100_000_000);
    assert_eq!(short(&told(&kernel)), complete(&["BRPOP ? ?"]));
}

#[test]
fn a_transaction_takes_nothing_before_it_is_executed() {
    let mut kernel = client();
    talk(
        &mut kernel,
        &[
            (
                Tx,
                &[array("MULTI"), array("BLPOP q 0"), array("SELECT 3"), array("EXEC"), array("PING")]
                    .concat(),
            ),
            (Rx, b"+OK\r\n+QUEUED\r\n+QUEUED\r\n*2\r\n*-1\r\n+OK\r\n+PONG\r\n"),
        ],
    );
    kernel.close(100_000_000);
    assert_eq!(short(&told(&kernel)), complete(&["MULTI", "BLPOP ? ?", "SELECT ?", "EXEC", "PING"]));
    assert_eq!(handovers(&kernel), []);
}

#[test]
fn a_message_that_is_being_worked_on_is_told_as_far_as_it_went() {
    for closes in [true, false] {
        let mut kernel = client();
        let taken = format!("*2\r\n$1\r\nq\r\n$36\r\n{ID}\r\n");
        talk(&mut kernel, &[(Tx, &array("BLPOP q 1")), (Rx, taken.as_bytes())]);
        if closes {
            kernel.close(100_000_000);
        }
        let outcome = if closes { Outcome::EndUnframed } else { Outcome::Pending };
        assert_eq!(told(&kernel)[1].outcome(), Some(outcome));
    }
}

#[test]
fn an_entry_of_a_stream_is_done_when_it_is_acknowledged() {
    let mut kernel = client();
    let entry = format!("*1\r\n*2\r\n$1\r\ns\r\n*1\r\n*2\r\n$3\r\n5-1\r\n*2\r\n$3\r\njob\r\n$36\r\n{ID}\r\n");
    talk(
        &mut kernel,
        &[
            (Tx, &array(&format!("XADD s * job {ID}"))),
            (Rx, b"$3\r\n5-1\r\n"),
            (Tx, &array("XREADGROUP GROUP g c BLOCK 0 STREAMS s >")),
            (Rx, entry.as_bytes()),
            (Tx, &array("XACK s g 5-1")),
            (Rx, b":1\r\n"),
        ],
    );
    kernel.close(100_000_000);
    let found = handovers(&kernel);
    assert_eq!(found[0].3, found[1].3);
    let all = told(&kernel);
    let message = all.iter().find(|one| &*one.method == "receive").unwrap();
    assert_eq!((message.first.0, message.end.unwrap().2.0), (4_000_000, 5_000_000));
}
