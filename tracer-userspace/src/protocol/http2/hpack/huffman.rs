//! Huffman-coded strings (RFC 7541 section 5.2 and Appendix B).
//!
//! The code is canonical: codes of one length follow one another in the order of their symbols, and longer ones come after
//! shorter ones. So the lengths alone make the code, and the compiler makes the tables from them. What texts consist of
//! has codes of at most eight bits, which one look decides.

/// Length of each symbol's code, in bits; the last is that of the end of the string (EOS), which is never sent.
const LENGTHS: [u8; SYMBOLS] = [
    13, 23, 28, 28, 28, 28, 28, 28, 28, 24, 30, 28, 28, 30, 28, 28, 28, 28, 28, 28, 28, 28, 30, 28, 28, 28,
    28, 28, 28, 28, 28, 28, 6, 10, 10, 12, 13, 6, 8, 11, 10, 10, 8, 11, 8, 6, 6, 6, 5, 5, 5, 6, 6, 6, 6, 6,
    6, 6, 7, 8, 15, 6, 12, 10, 13, 6, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 7, 8, 7,
    8, 13, 19, 13, 14, 6, 15, 5, 6, 5, 6, 5, 6, 6, 6, 5, 7, 7, 6, 6, 6, 5, 6, 7, 6, 5, 5, 6, 7, 7, 7, 7, 7,
    15, 11, 14, 13, 28, 20, 22, 20, 20, 22, 22, 22, 23, 22, 23, 23, 23, 23, 23, 24, 23, 24, 24, 22, 23, 24,
    23, 23, 23, 23, 21, 22, 23, 22, 23, 23, 24, 22, 21, 20, 22, 22, 23, 23, 21, 23, 22, 22, 24, 21, 22, 23,
    23, 21, 21, 22, 21, 23, 22, 23, 23, 20, 22, 22, 22, 23, 22, 22, 23, 26, 26, 20, 19, 22, 23, 22, 25, 26,
    26, 26, 27, 27, 26, 24, 25, 19, 21, 26, 27, 27, 26, 27, 24, 21, 21, 26, 26, 28, 27, 27, 27, 20, 24, 20,
    21, 22, 21, 21, 23, 22, 22, 25, 25, 24, 24, 26, 23, 26, 27, 26, 26, 27, 27, 27, 27, 27, 28, 27, 27, 27,
    27, 27, 26, 30,
];

const SYMBOLS: usize = 257;
const LONGEST: usize = 30;
/// Bits that one look decides.
const SHORT: usize = 8;

struct Code {
    /// Symbols in the order of their codes.
    symbols: [u16; SYMBOLS],
    /// For each length: the first code, and where its symbol stands.
    first: [(u32, u16); LONGEST + 1],
    /// For each length: how many codes there are.
    count: [u16; LONGEST + 1],
    /// For each eight bits: the symbol whose code they begin with, and its length; 0: it is longer.
    short: [(u8, u8); 1 << SHORT],
}

static CODE: Code = code();

#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler only")]
const fn code() -> Code {
    let mut code = Code {
        symbols: [0; SYMBOLS],
        first: [(0, 0); LONGEST + 1],
        count: [0; LONGEST + 1],
        short: [(0, 0); 1 << SHORT],
    };
    let (mut next, mut at, mut length) = (0u32, 0usize, 1usize);
    while length <= LONGEST {
        next <<= 1;
        code.first[length] = (next, at as u16);
        let mut symbol = 0;
        while symbol < SYMBOLS {
            if LENGTHS[symbol] as usize == length {
                code.symbols[at] = symbol as u16;
                if length <= SHORT {
                    let (from, many) = ((next as usize) << (SHORT - length), 1 << (SHORT - length));
                    let mut bits = from;
                    while bits < from + many {
                        code.short[bits] = (symbol as u8, length as u8);
                        bits += 1;
                    }
                }
                code.count[length] += 1;
                next += 1;
                at += 1;
            }
            symbol += 1;
        }
        length += 1;
    }
    code
}

/// What is not a string of this code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Invalid;

/// Appends the text of a string.
pub(super) fn decode(coded: &[u8], out: &mut Vec<u8>) -> Result<(), Invalid> {
    let mut rest = coded.iter();
    // The bits that were read and not used stand lowest.
    let (mut bits, mut have) = (0u64, 0usize);
    loop {
        while have <= 56 {
            let Some(byte) = rest.next() else { break };
            bits = bits << 8 | u64::from(*byte);
            have += 8;
        }
        // Where less is left than one look takes, what it sees beyond is the padding: ones.
        let seen = match have.checked_sub(SHORT) {
            Some(beyond) => (bits >> beyond) as u8,
            None => ((bits << (SHORT - have)) as u8) | (0xff >> have),
        };
        let (symbol, length) = match CODE.short.get(usize::from(seen)) {
            Some((symbol, length)) if *length > 0 => (u16::from(*symbol), usize::from(*length)),
            _ => match long(bits, have) {
                Some(found) => found,
                None => break,
            },
        };
        if length > have {
            break;
        }
        let Ok(byte) = u8::try_from(symbol) else { return Err(Invalid) };
        out.push(byte);
        have -= length;
    }
    // The padding is shorter than a byte, and made of the first bits of EOS.
    let is_padding = have < 8 && !bits & ((1 << have) - 1) == 0;
    if is_padding { Ok(()) } else { Err(Invalid) }
}

/// The code longer than one look with which the lowest `have` bits begin.
fn long(bits: u64, have: usize) -> Option<(u16, usize)> {
    for length in SHORT + 1..=LONGEST.min(have) {
        let here = (bits >> (have - length)) as u32 & ((1 << length) - 1);
        let (first, at) = *CODE.first.get(length)?;
        let Some(nth) = here.checked_sub(first) else { continue };
        if nth < u32::from(*CODE.count.get(length)?) {
            return Some((*CODE.symbols.get(usize::from(at) + nth as usize)?, length));
        }
    }
    None
}

/// The code of each symbol, for the reference encoder.
#[cfg(any(test, feature = "test-support"))]
pub(crate) fn encode(text: &[u8]) -> Vec<u8> {
    let codes = |symbol: u16| {
        let at = CODE.symbols.iter().position(|known| *known == symbol).unwrap_or_default();
        let length = usize::from(LENGTHS.get(usize::from(symbol)).copied().unwrap_or_default());
        let (first, from) = CODE.first.get(length).copied().unwrap_or_default();
        (first + (at as u32).saturating_sub(u32::from(from)), length)
    };
    let (mut out, mut bits, mut have) = (Vec::new(), 0u64, 0usize);
    for byte in text {
        let (code, length) = codes(u16::from(*byte));
        (bits, have) = (bits << length | u64::from(code), have + length);
        while have >= 8 {
            have -= 8;
            out.push((bits >> have) as u8);
        }
    }
    if have > 0 {
        out.push((bits << (8 - have)) as u8 | (0xff >> have));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_code_is_the_one_of_the_appendix() {
        // The first and last of several lengths, and the end (EOS).
        for (symbol, code, length) in [
            (b'0', 0x0u32, 5u8),
            (b't', 0x9, 5),
            (b' ', 0x14, 6),
            (b'u', 0x2d, 6),
            (b':', 0x5c, 7),
            (b'z', 0x7b, 7),
            (b'&', 0xf8, 8),
            (b'Z', 0xfd, 8),
            (b'!', 0x3f8, 10),
            (b'|', 0x7fc, 11),
            (b'\\', 0x7fff0, 19),
            (0, 0x1ff8, 13),
            (1, 0x7f_ffd8, 23),
            (10, 0x3fff_fffc, 30),
            (22, 0x3fff_fffe, 30),
            (255, 0x3ff_ffee, 26),
        ] {
            assert_eq!(LENGTHS[usize::from(symbol)], length, "{symbol}");
            let at = CODE.symbols.iter().position(|known| *known == u16::from(symbol)).unwrap();
            let (first, from) = CODE.first[usize::from(length)];
            assert_eq!(first + at as u32 - u32::from(from), code, "{symbol}");
        }
        assert_eq!(CODE.symbols[256], 256);
        // Every sequence of bits is the beginning of exactly one code.
        let kraft: u64 = LENGTHS.iter().map(|length| 1u64 << (LONGEST - usize::from(*length))).sum();
        assert_eq!(kraft, 1 << LONGEST);
    }

    #[test]
    fn every_symbol_comes_back() {
        for first in 0..=255u8 {
            for text in [vec![first], vec![first, b'a'], vec![b'\n', first, first], (0..=first).collect()] {
                let mut out = Vec::new();
                assert_eq!(decode(&encode(&text), &mut out), Ok(()));
                assert_eq!(out, text);
            }
        }
    }

    #[test]
    fn padding_is_ones_and_shorter_than_a_byte() {
        let mut out = Vec::new();
        assert_eq!(decode(&[], &mut out), Ok(()));
        // `0` is five zeros.
        assert_eq!(decode(&[0b0000_0111], &mut out), Ok(()));
        for bad in [&[0b0000_0110u8][..], &[0b0000_0111, 0xff], &[0xff], &[0xff; 4], &[0xff; 5]] {
            assert_eq!(decode(bad, &mut out), Err(Invalid), "{bad:?}");
        }
    }
}
