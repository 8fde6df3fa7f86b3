//! DNS: over UDP, as nearly all of it goes, and over TCP.

use crate::talk::{Talk, answer, ask};

/// A query for an address, or (`is_answer`) its answer.
fn message(is_answer: bool) -> Vec<u8> {
    let (flags, answers) = if is_answer { (0x8180u16, 1u16) } else { (0x0100, 0) };
    let mut bytes = vec![0x12, 0x34];
    bytes.extend_from_slice(&flags.to_be_bytes());
    for count in [1, answers, 0, 0] {
        bytes.extend_from_slice(&count.to_be_bytes());
    }
    for label in ["user-service", "default", "svc", "cluster", "local", ""] {
        bytes.push(label.len() as u8);
        bytes.extend_from_slice(label.as_bytes());
    }
    bytes.extend_from_slice(&[0, 1, 0, 1]);
    if is_answer {
        bytes.extend_from_slice(&[0xc0, 0x0c, 0, 1, 0, 1, 0, 0, 0, 30, 0, 4, 10, 0, 0, 7]);
    }
    bytes
}

fn framed(message: &[u8]) -> Vec<u8> {
    [&(message.len() as u16).to_be_bytes()[..], message].concat()
}

/// Its talks.
pub fn talks() -> Vec<Talk> {
    let both =
        |frame: &dyn Fn(&[u8]) -> Vec<u8>| vec![ask(frame(&message(false))), answer(frame(&message(true)))];
    vec![
        Talk::new("DNS", "address, over UDP", vec![], both(&<[u8]>::to_vec)).at_client().over_udp(),
        Talk::new("DNS", "address, over TCP", vec![], both(&framed)).at_client(),
    ]
}
