//! Small numbers for the kinds of requests and calls of one process.

use rustc_hash::FxHashMap;

/// Kinds of calls that are told apart; further ones share the last number.
pub const CALL_OPS: usize = 32;
/// The same for requests.
pub const REQUEST_OPS: usize = 32;

/// The numbers given so far.
#[derive(Debug, Default)]
pub struct Symbols {
    calls: FxHashMap<u64, u8>,
    requests: FxHashMap<u64, u8>,
}

impl Symbols {
    /// The number of a kind of call.
    pub fn call(&mut self, kind: u64) -> u8 {
        number(&mut self.calls, kind, CALL_OPS)
    }

    /// The number of a kind of request.
    pub fn request(&mut self, kind: u64) -> u8 {
        number(&mut self.requests, kind, REQUEST_OPS)
    }
}

fn number(known: &mut FxHashMap<u64, u8>, kind: u64, limit: usize) -> u8 {
    let next = known.len();
    if let Some(number) = known.get(&kind) {
        return *number;
    }
    if next + 1 >= limit {
        return (limit - 1) as u8;
    }
    known.insert(kind, next as u8);
    next as u8
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_beyond_the_limit_share_a_number() {
        let mut symbols = Symbols::default();
        let numbers: Vec<u8> = (0..100).map(|kind| symbols.call(kind)).collect();
        assert_eq!(numbers[0], 0);
        assert_eq!(numbers[30], 30);
        assert!(numbers[31..].iter().all(|number| *number == 31));
        assert_eq!(symbols.call(7), 7);
    }
}
