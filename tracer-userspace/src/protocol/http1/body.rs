//! How a body is delimited (RFC 9112 sections 6 and 7), and where it ends when parts of it are only counted.

use super::head::{Coding, Length};

/// The body of the message that a direction carries now.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Body {
    /// So many bytes are left (section 6.2).
    Length(u64),
    /// Chunks (section 7.1), all framing seen so far.
    Chunked(Chunk),
    /// A response that ends with the connection (section 6.3, item 8).
    UntilClose,
    /// The framing was in bytes that were not captured.
    Blind {
        /// By which last bytes its end can be recognised.
        ends: Ends,
        /// The last bytes were seen, and are not those of an end.
        open: bool,
    },
    /// Not even the head was captured.
    Unseen,
}

/// The last bytes of a message that is followed blindly.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ends {
    /// Not known.
    Unknown,
    /// The last chunk.
    LastChunk,
    /// An empty line: the rest of the head of a request that has no body.
    EmptyLine,
}

/// Position in a chunked body.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chunk {
    /// In the hexadecimal size; `digits` of it were seen.
    Size { value: u64, digits: u8 },
    /// In an extension or the end of the size's line.
    Extension { value: u64 },
    /// In the data.
    Data { left: u64 },
    /// In the line end after the data.
    DataEnd,
    /// In the trailer section; `blank` as long as the line is empty.
    Trailer { blank: bool },
}

impl Chunk {
    pub(super) const FIRST: Chunk = Chunk::Size { value: 0, digits: 0 };
}

/// What became of a piece.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// All of it belongs to the body, which goes on.
    All,
    /// The body ended after so many bytes of it.
    Ended(u64),
    /// More moved than the body had left, so that where it ended is not known: so many bytes were left.
    Passed(u64),
}

/// How a request's body is delimited (section 6.3); `None`: there is none. `plain`: the method is one whose requests have
/// no body in practice.
pub(super) fn of_request(length: Length, coding: Coding, truncated: bool, plain: bool) -> Option<Body> {
    match (coding, length) {
        (Coding::Chunked, _) if truncated => Some(Body::blind(Ends::LastChunk)),
        (Coding::Absent, Length::Absent) if truncated && plain => Some(Body::blind(Ends::EmptyLine)),
        _ if truncated => Some(Body::blind(Ends::Unknown)),
        (Coding::Chunked, _) => Some(Body::Chunked(Chunk::FIRST)),
        // A request cannot end with the connection: nothing is certain (item 4).
        (Coding::Other, _) | (Coding::Absent, Length::Invalid) => Some(Body::blind(Ends::Unknown)),
        (Coding::Absent, Length::Absent | Length::Value(0)) => None,
        (Coding::Absent, Length::Value(left)) => Some(Body::Length(left)),
    }
}

/// How a response's body is delimited (section 6.3). `bodiless`: it has none whatever its fields say (answer to HEAD,
/// 1xx, 204, 304).
pub(super) fn of_response(length: Length, coding: Coding, truncated: bool, bodiless: bool) -> Option<Body> {
    match (coding, length) {
        (Coding::Chunked, _) if truncated && !bodiless => Some(Body::blind(Ends::LastChunk)),
        _ if truncated => Some(Body::blind(Ends::Unknown)),
        _ if bodiless => None,
        (Coding::Chunked, _) => Some(Body::Chunked(Chunk::FIRST)),
        (Coding::Other, _) | (Coding::Absent, Length::Absent) => Some(Body::UntilClose),
        (Coding::Absent, Length::Invalid) => Some(Body::blind(Ends::Unknown)),
        (Coding::Absent, Length::Value(0)) => None,
        (Coding::Absent, Length::Value(left)) => Some(Body::Length(left)),
    }
}

impl Body {
    /// A body whose framing is not known.
    pub(super) fn blind(ends: Ends) -> Body {
        Body::Blind { ends, open: false }
    }

    /// Whether its end will be known when it comes.
    pub(super) fn is_framed(self) -> bool {
        matches!(self, Body::Length(_) | Body::Chunked(_))
    }

    /// Whether it is certain that it is not over.
    pub(super) fn is_open(self) -> bool {
        matches!(self, Body::Blind { open: true, .. })
    }

    /// Whether what it consists of is not known.
    pub(super) fn is_blind(self) -> bool {
        matches!(self, Body::Blind { .. } | Body::Unseen)
    }

    /// Takes captured bytes; `ends_call` if a call ended with them.
    pub(super) fn bytes(&mut self, data: &[u8], ends_call: bool) -> Taken {
        match self {
            Body::Length(left) => {
                let len = data.len() as u64;
                if len >= *left {
                    return Taken::Ended(*left);
                }
                *left -= len;
                Taken::All
            }
            Body::Chunked(chunk) => match chunk.bytes(data) {
                Some(taken) => taken,
                None => {
                    *self = Body::blind(Ends::LastChunk);
                    self.bytes(data, ends_call)
                }
            },
            Body::Blind { ends: Ends::LastChunk, open } => {
                *open = ends_call && is_within(data);
                if ends_call && ends_chunked(data) { Taken::Ended(data.len() as u64) } else { Taken::All }
            }
            Body::UntilClose | Body::Blind { .. } | Body::Unseen => Taken::All,
        }
    }

    /// Takes bytes that were only counted.
    pub(super) fn gap(&mut self, len: u64, tail: Option<[u8; 8]>) -> Taken {
        match self {
            Body::Length(left) if len > *left => Taken::Passed(*left),
            Body::Length(left) if len == *left => Taken::Ended(len),
            Body::Length(left) => {
                *left -= len;
                Taken::All
            }
            Body::Chunked(Chunk::Data { left }) if len < *left => {
                *left -= len;
                Taken::All
            }
            Body::Chunked(chunk @ Chunk::Data { left: _ }) if chunk.left() == len => {
                *chunk = Chunk::DataEnd;
                Taken::All
            }
            Body::Chunked(_) if len == 0 => Taken::All,
            Body::Blind { ends: Ends::EmptyLine, .. } => {
                let ended = tail.as_ref().map(unpadded).is_some_and(|tail| tail.ends_with(b"\r\n\r\n"));
                if ended { Taken::Ended(len) } else { Taken::All }
            }
            Body::Chunked(_) | Body::Blind { ends: Ends::LastChunk, .. } => {
                let tail = tail.as_ref().map(unpadded);
                *self = Body::Blind { ends: Ends::LastChunk, open: tail.is_some_and(is_within) };
                if tail.is_some_and(ends_chunked) { Taken::Ended(len) } else { Taken::All }
            }
            Body::UntilClose | Body::Blind { .. } | Body::Unseen => Taken::All,
        }
    }
}

impl Chunk {
    fn left(&self) -> u64 {
        match self {
            Chunk::Data { left } => *left,
            _ => 0,
        }
    }

    /// Takes captured bytes; `None` if they are not chunked coding.
    fn bytes(&mut self, data: &[u8]) -> Option<Taken> {
        let mut at = 0usize;
        while let Some(byte) = data.get(at) {
            *self = match *self {
                Chunk::Data { left } => {
                    let here = (data.len() - at) as u64;
                    if here < left {
                        *self = Chunk::Data { left: left - here };
                        return Some(Taken::All);
                    }
                    // `left` is at most the slice's length here.
                    at += left as usize;
                    *self = Chunk::DataEnd;
                    continue;
                }
                Chunk::Size { value, digits } => match (byte, char::from(*byte).to_digit(16)) {
                    (_, Some(digit)) if digits < 16 => {
                        Chunk::Size { value: value << 4 | u64::from(digit), digits: digits + 1 }
                    }
                    (b'\n', _) if digits > 0 => Chunk::after_size(value),
                    (b';' | b' ' | b'\t' | b'\r', _) if digits > 0 => Chunk::Extension { value },
                    _ => return None,
                },
                Chunk::Extension { value } => match byte {
                    b'\n' => Chunk::after_size(value),
                    _ => Chunk::Extension { value },
                },
                Chunk::DataEnd => match byte {
                    b'\r' => Chunk::DataEnd,
                    b'\n' => Chunk::FIRST,
                    _ => return None,
                },
                Chunk::Trailer { blank } => match byte {
                    b'\n' if blank => return Some(Taken::Ended(at as u64 + 1)),
                    b'\n' => Chunk::Trailer { blank: true },
                    b'\r' => Chunk::Trailer { blank },
                    _ => Chunk::Trailer { blank: false },
                },
            };
            at += 1;
        }
        Some(Taken::All)
    }

    fn after_size(value: u64) -> Chunk {
        if value == 0 { Chunk::Trailer { blank: true } } else { Chunk::Data { left: value } }
    }
}

/// Whether bytes end like a chunked body without trailers: the last chunk after a line end, or nothing else.
fn ends_chunked(data: &[u8]) -> bool {
    data.ends_with(b"\n0\r\n\r\n") || data == b"0\r\n\r\n"
}

/// Whether the last bytes of a call cannot be the end of a chunked body, with or without trailers.
fn is_within(data: &[u8]) -> bool {
    data.len() >= 4 && !data.ends_with(b"\r\n\r\n")
}

/// The last bytes of a call without the zeros that pad those of a short one, on either side.
pub(super) fn unpadded(tail: &[u8; 8]) -> &[u8] {
    let start = tail.iter().position(|byte| *byte != 0).unwrap_or(8);
    let end = tail.iter().rposition(|byte| *byte != 0).map_or(0, |at| at + 1);
    tail.get(start..end).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CHUNKED: &[u8] = b"5;name=\"v\"\r\nhello\r\n00a\r\n0123456789\r\n0\r\nTrailer: x\r\n\r\n";

    #[test]
    fn a_chunked_body_ends_at_its_last_byte_in_any_split() {
        for cut in 0..CHUNKED.len() {
            let mut body = Body::Chunked(Chunk::FIRST);
            assert_eq!(body.bytes(&CHUNKED[..cut], true), Taken::All, "{cut}");
            let rest = [&CHUNKED[cut..], b"HTTP/1.1"].concat();
            assert_eq!(body.bytes(&rest, true), Taken::Ended((CHUNKED.len() - cut) as u64), "{cut}");
        }
    }

    #[test]
    fn a_gap_inside_a_chunk_keeps_the_framing() {
        let mut body = Body::Chunked(Chunk::FIRST);
        assert_eq!(body.bytes(b"64\r\nab", true), Taken::All);
        assert_eq!(body.gap(90, None), Taken::All);
        assert_eq!(body.gap(8, None), Taken::All);
        assert_eq!(body.bytes(b"\r\n0\r\n\r\n", true), Taken::Ended(7));
    }

    #[test]
    fn a_gap_beyond_a_chunk_ends_by_its_tail_only() {
        let mut body = Body::Chunked(Chunk::Data { left: 10 });
        assert_eq!(body.gap(1000, None), Taken::All);
        assert_eq!(body, Body::blind(Ends::LastChunk));
        assert_eq!(body.gap(10, Some(*b"0\r\n\r\n\0\0\0")), Taken::Ended(10));
        assert_eq!(body.gap(0, Some(*b"ab\n0\r\n\r\n")), Taken::Ended(0));
        assert_eq!(body.gap(10, Some(*b"\0\0\x000\r\n\r\n")), Taken::Ended(10));
        assert_eq!(body.gap(10, Some(*b"abc0\r\n\r\n")), Taken::All);
        assert_eq!(body.gap(10, Some([0; 8])), Taken::All);
    }

    #[test]
    fn broken_chunks_are_followed_blindly() {
        let mut body = Body::Chunked(Chunk::FIRST);
        assert_eq!(body.bytes(b"xyz\r\n", true), Taken::All);
        assert!(matches!(body, Body::Blind { ends: Ends::LastChunk, open: true }));
        assert_eq!(body.bytes(b"0\r\n\r\n", true), Taken::Ended(5));
        let mut body = Body::Chunked(Chunk::FIRST);
        assert_eq!(body.bytes(b"11111111111111111\r\n", true), Taken::All);
        assert!(matches!(body, Body::Blind { ends: Ends::LastChunk, open: true }));
    }

    #[test]
    fn a_length_is_exact() {
        let mut body = Body::Length(10);
        assert_eq!(body.bytes(b"1234", true), Taken::All);
        assert_eq!(body.gap(7, None), Taken::Passed(6));
        assert_eq!(body.gap(6, None), Taken::Ended(6));
        assert_eq!(Body::Length(3).bytes(b"12345", true), Taken::Ended(3));
    }

    #[test]
    fn framing_follows_rfc_9112_section_6_3() {
        use Coding::{Absent, Chunked, Other};
        let chunked = Some(Body::Chunked(Chunk::FIRST));
        assert_eq!(of_response(Length::Value(5), Chunked, false, false), chunked);
        assert_eq!(of_response(Length::Value(5), Chunked, false, true), None);
        assert_eq!(of_response(Length::Absent, Absent, false, false), Some(Body::UntilClose));
        assert_eq!(of_response(Length::Absent, Other, false, false), Some(Body::UntilClose));
        assert_eq!(of_response(Length::Value(0), Absent, false, false), None);
        assert_eq!(of_request(Length::Value(5), Chunked, false, false), chunked);
        assert_eq!(of_request(Length::Absent, Absent, false, false), None);
        assert_eq!(of_request(Length::Absent, Other, false, false), Some(Body::blind(Ends::Unknown)));
        assert_eq!(of_request(Length::Invalid, Absent, false, false), Some(Body::blind(Ends::Unknown)));
    }
}
