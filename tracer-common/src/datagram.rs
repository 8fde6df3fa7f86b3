//! Which messages of UDP sockets travel to userspace?
//!
//! Runs in the probes, on the twelve bytes with which a DNS message begins (RFC 1035 section 4.1.1). Userspace reads the rest and
//! is strict; here it is only decided cheaply that games, calls, QUIC and metrics stay where they are.

/// Bytes of a DNS message's header.
pub const HEADER: u32 = 12;

/// Whether a message of `len` bytes may be DNS: an ordinary query with one question, or the response to one. `head` holds its first
/// twelve bytes in memory order, as little-endian words.
#[inline(always)]
pub const fn may_be_dns(head: [u32; 3], len: u32) -> bool {
    const RESPONSE: u32 = 0x8000;
    /// Recursion desired, authentic data, checking disabled: the bits that a query may have.
    const OF_QUERY: u32 = 0x0130;
    /// The operation, which is zero, and the bit that must be.
    const ZERO: u32 = 0x7840;
    let [first, second, third] = head;
    let flags = (first >> 16).swap_bytes() >> 16;
    let questions = (second & 0xffff).swap_bytes() >> 16;
    if flags & RESPONSE == 0 {
        // No answers, no authorities; additional are EDNS and a signature.
        let (answers, authorities, additional) = (second >> 16, third & 0xffff, third >> 16);
        let few = additional == 0 || additional == 0x0100 || additional == 0x0200;
        return flags & !OF_QUERY == 0
            && questions == 1
            && answers == 0
            && authorities == 0
            && few
            && len > HEADER + 4;
    }
    // Who cannot read a question sends back the header alone.
    flags & ZERO == 0 && (questions == 1 && len > HEADER + 4 || questions == 0 && len == HEADER)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(bytes: [u8; 12]) -> [u32; 3] {
        [0, 4, 8].map(|at| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap()))
    }

    #[test]
    fn queries_and_responses_pass() {
        let query = |ar| head([7, 8, 1, 0x20, 0, 1, 0, 0, 0, 0, 0, ar]);
        assert!(may_be_dns(query(0), 30) && may_be_dns(query(1), 41) && may_be_dns(query(2), 90));
        assert!(!may_be_dns(query(3), 90) && !may_be_dns(query(1), 16));
        let response = |flags: [u8; 2], qd| head([7, 8, flags[0], flags[1], 0, qd, 0, 9, 0, 2, 0, 1]);
        assert!(may_be_dns(response([0x85, 0x83], 1), 500));
        assert!(may_be_dns(response([0x80, 1], 0), 12) && !may_be_dns(response([0x80, 1], 0), 13));
    }

    #[test]
    fn what_is_no_ordinary_query_does_not() {
        for flags in [[0x28, 0], [0x20, 0], [0x01, 0x40], [0x03, 0], [0x01, 3]] {
            assert!(!may_be_dns(head([7, 8, flags[0], flags[1], 0, 1, 0, 0, 0, 0, 0, 0]), 30), "{flags:?}");
        }
        for (at, byte) in [(4, 1), (5, 2), (5, 0), (6, 1), (7, 1), (8, 1), (9, 1), (10, 1)] {
            let mut bytes = [7, 8, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
            bytes[at] = byte;
            assert!(!may_be_dns(head(bytes), 30), "{at} {byte}");
        }
    }

    #[test]
    fn random_bytes_seldom_pass() {
        let (mut state, mut taken) = (0x9e37_79b9_7f4a_7c15u64, 0);
        let mut next = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        for _ in 0..4_000_000 {
            let (one, other) = (next(), next());
            taken += u32::from(may_be_dns([one as u32, (one >> 32) as u32, other as u32], 100));
        }
        // 2^-23 of them.
        assert!(taken <= 4, "{taken}");
    }
}
