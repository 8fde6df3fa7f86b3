//! Ids of spans and traces. They derive from the capture alone, so that the same capture gives the same ids.

use std::hash::Hasher;

use siphasher::sip::SipHasher13;
use siphasher::sip128::{Hasher128, SipHasher13 as SipHasher13x128};

use crate::exchange::ExchangeId;
use crate::time::Nanos;

/// The keys are arbitrary and fixed: the ids must be the same everywhere, and kernel addresses must not stand in
/// them in plain.
const KEYS: (u64, u64) = (0x7472_6163_6572_2069, 0x6473_2066_726f_6d20);

/// A trace's id: 16 bytes, not all zero (W3C Trace Context, section 3.2.2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TraceId(pub u128);

/// A span's id: 8 bytes, not all zero.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SpanId(pub u64);

impl TraceId {
    /// The id of the trace that begins with this exchange.
    pub fn derive(id: ExchangeId, first: Nanos) -> TraceId {
        let mut hasher = SipHasher13x128::new_with_keys(KEYS.0, KEYS.1);
        feed(&mut hasher, id, first);
        TraceId(hasher.finish128().as_u128().max(1))
    }
}

impl SpanId {
    /// The id of this exchange's span.
    pub fn derive(id: ExchangeId, first: Nanos) -> SpanId {
        let mut hasher = SipHasher13::new_with_keys(KEYS.0, KEYS.1);
        feed(&mut hasher, id, first);
        SpanId(hasher.finish().max(1))
    }
}

fn feed(hasher: &mut impl Hasher, id: ExchangeId, first: Nanos) {
    // Little endian on every machine, so that a capture analysed elsewhere keeps its ids.
    hasher.write(&id.conn.sk.to_le_bytes());
    hasher.write(&id.conn.born.to_le_bytes());
    hasher.write(&id.number.to_le_bytes());
    hasher.write(&first.0.to_le_bytes());
}

impl TraceId {
    /// 32 lower-case hexadecimal digits.
    pub fn to_hex(self) -> [u8; 32] {
        let mut text = [0; 32];
        hex(&self.0.to_be_bytes(), &mut text);
        text
    }
}

impl SpanId {
    /// 16 lower-case hexadecimal digits.
    pub fn to_hex(self) -> [u8; 16] {
        let mut text = [0; 16];
        hex(&self.0.to_be_bytes(), &mut text);
        text
    }
}

fn hex(bytes: &[u8], text: &mut [u8]) {
    let digit = |nibble: u8| if nibble < 10 { b'0' + nibble } else { b'a' + nibble - 10 };
    for (byte, digits) in bytes.iter().zip(text.as_chunks_mut().0) {
        *digits = [digit(byte >> 4), digit(byte & 0xf)];
    }
}

#[cfg(test)]
mod tests {
    use tracer_common::abi::ConnId;

    use super::*;

    #[test]
    fn ids_are_stable_and_differ_by_every_part() {
        let id = |sk, born, number| ExchangeId { conn: ConnId { sk, born }, number };
        // These values must never change: a capture analysed by a later version keeps its ids.
        assert_eq!(SpanId::derive(id(1, 2, 3), Nanos(4)), SpanId(SPAN));
        assert_eq!(TraceId::derive(id(1, 2, 3), Nanos(4)), TraceId(TRACE));
        let other = [
            SpanId::derive(id(2, 2, 3), Nanos(4)),
            SpanId::derive(id(1, 3, 3), Nanos(4)),
            SpanId::derive(id(1, 2, 4), Nanos(4)),
            SpanId::derive(id(1, 2, 3), Nanos(5)),
        ];
        assert!(other.iter().all(|span| *span != SpanId(SPAN)));
    }

    const SPAN: u64 = 6_219_464_651_779_792_597;
    const TRACE: u128 = 141_274_931_518_715_888_682_912_084_800_538_227_296;

    #[test]
    fn hexadecimal_keeps_leading_zeros() {
        assert_eq!(&TraceId(0xab).to_hex(), format!("{:032x}", 0xab).as_bytes());
        assert_eq!(&SpanId(0x0123_4567_89ab_cdef).to_hex(), b"0123456789abcdef");
    }
}
