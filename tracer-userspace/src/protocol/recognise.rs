//! Which protocol is spoken on a connection? Each protocol's module looks at the beginning of a call and says whether it is
//! its own; none of them looks at ports, which prove nothing.
//!
//! A parser that was chosen wrongly drops out as soon as the bytes contradict it, and the connection is looked at again at its
//! next call; so what is said here need not be certain, but must not be wrong on random bytes more than once in a million
//! connections.

use super::{
    Bytes, Parser, amqp, dns, fastcgi, http1, http2, kafka, memcached, mongodb, mysql, postgres, redis,
};
use crate::event::{Direction, Role};

/// A call on a connection of which the protocol is not known.
#[derive(Clone, Copy, Debug)]
pub struct Begin<'a> {
    /// Its first bytes, never empty.
    pub data: &'a [u8],
    /// How many bytes it moved.
    pub call_len: u64,
    /// In which direction.
    pub dir: Direction,
    /// Nothing moved on the connection before.
    pub whole: bool,
    /// In which direction bytes moved last.
    pub moved: Option<Direction>,
    /// Who called connect.
    pub role: Role,
}

impl<'a> Begin<'a> {
    /// The call of a piece.
    pub fn new(bytes: &Bytes<'a>, dir: Direction, whole: bool, moved: Option<Direction>, role: Role) -> Self {
        Self { data: bytes.data, call_len: bytes.call_len, dir, whole, moved, role }
    }
}

/// Says whether a call belongs to a protocol, and if so makes its parser.
type Recogniser = fn(&Begin<'_>) -> Option<Box<dyn Parser>>;

/// All of them. The first that knows the call has it, so the surer ones stand first.
const RECOGNISERS: &[Recogniser] = &[
    // One a line.
    http2::recognise,
    http1::recognise,
    redis::recognise,
    amqp::recognise,
    postgres::recognise,
    fastcgi::recognise,
    dns::recognise,
    mysql::recognise,
    memcached::recognise,
    mongodb::recognise,
    kafka::recognise,
];

/// A parser for the connection, or `None` if no protocol is recognised.
pub fn recognise(begin: &Begin<'_>) -> Option<Box<dyn Parser>> {
    RECOGNISERS.iter().find_map(|recogniser| recogniser(begin))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn begin(data: &[u8], dir: Direction, role: Role) -> Begin<'_> {
        Begin { data, call_len: data.len() as u64, dir, whole: false, moved: None, role }
    }

    /// Random bytes of the lengths that calls have, as the first that is seen of a connection.
    #[test]
    fn random_bytes_are_no_protocol() {
        const CALLS: u32 = 2_000_000;
        let mut random = Random::new(1);
        let (mut taken, mut bytes) = (0, [0u8; 96]);
        for _ in 0..CALLS {
            random.fill(&mut bytes);
            let shape = random.next();
            let data = &bytes[..8 + (shape >> 8) as usize % 89];
            let dir = if shape & 1 == 0 { Direction::Rx } else { Direction::Tx };
            let role = [Role::Active, Role::Passive, Role::Unseen][(shape >> 1) as usize % 3];
            taken += u32::from(recognise(&begin(data, dir, role)).is_some());
        }
        // One in a million would be two.
        assert!(taken <= 2, "{taken} of {CALLS}");
    }
}
