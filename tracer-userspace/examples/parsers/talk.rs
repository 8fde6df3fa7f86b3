//! A conversation on one connection, which can be repeated for ever.

use tracer_userspace::event::{Direction, Role};

/// A socket call.
pub struct Call {
    /// Which way.
    pub dir: Direction,
    /// Its bytes.
    pub data: Vec<u8>,
    /// How many of them are captured.
    pub captured: usize,
    /// Where the number of an HTTP/2 stream stands, which grows by two with each repetition.
    pub streams: Vec<usize>,
}

/// What the other end sends to the observed one, all of it captured.
pub fn ask(data: impl Into<Vec<u8>>) -> Call {
    call(Direction::Rx, data.into())
}

/// What the observed end sends.
pub fn answer(data: impl Into<Vec<u8>>) -> Call {
    call(Direction::Tx, data.into())
}

fn call(dir: Direction, data: Vec<u8>) -> Call {
    Call { dir, captured: data.len(), data, streams: Vec::new() }
}

/// One kind of talk.
pub struct Talk {
    /// The protocol's name, for the table.
    pub protocol: &'static str,
    /// What is said.
    pub what: &'static str,
    /// Which end is observed.
    pub role: Role,
    /// How the connection begins.
    pub opening: Vec<Call>,
    /// What is repeated.
    pub cycle: Vec<Call>,
    /// Exchanges in each repetition.
    pub exchanges: u64,
    /// It is about the bytes, not about the messages.
    pub is_bulk: bool,
    /// Each call is a datagram.
    pub is_udp: bool,
}

impl Talk {
    /// A server's end, one exchange in each repetition.
    pub fn new(protocol: &'static str, what: &'static str, opening: Vec<Call>, cycle: Vec<Call>) -> Talk {
        Talk {
            protocol,
            what,
            role: Role::Passive,
            opening,
            cycle,
            exchanges: 1,
            is_bulk: false,
            is_udp: false,
        }
    }

    /// The same with so many exchanges.
    pub fn of(self, exchanges: u64) -> Talk {
        Talk { exchanges, ..self }
    }

    /// The same, for its bytes.
    pub fn bulk(self) -> Talk {
        Talk { is_bulk: true, ..self }
    }

    /// The same with a message in each datagram.
    pub fn over_udp(self) -> Talk {
        Talk { is_udp: true, ..self }
    }

    /// The same at the client's end.
    pub fn at_client(mut self) -> Talk {
        self.role = Role::Active;
        for call in self.opening.iter_mut().chain(&mut self.cycle) {
            call.dir = call.dir.opposite();
        }
        self
    }
}

/// Bytes of a transfer, cut into calls as servers make them.
pub const CALL: usize = 16 << 10;
/// Bytes of what is transferred in a bulk talk.
pub const BULK: usize = 1 << 20;

/// The calls of a long answer. All of it is captured, or (`seen`) so many bytes of each call.
pub fn long(bytes: &[u8], seen: usize) -> Vec<Call> {
    let each = |part: &[u8]| Call { captured: seen.min(part.len()), ..answer(part) };
    bytes.chunks(CALL).map(each).collect()
}
