//! Records of FastCGI 1.0 (specification of 1996, section 3.3): a header of eight bytes, content, padding.

use crate::protocol::frames::Framing;

/// Bytes of a record's header.
pub(super) const HEADER: usize = 8;

/// Bytes of END_REQUEST, header and content.
pub(super) const END: usize = 16;

/// Types of records (section 8).
pub(super) const BEGIN_REQUEST: u8 = 1;
/// The client gives a request up.
pub(super) const ABORT_REQUEST: u8 = 2;
/// The application is done with a request.
pub(super) const END_REQUEST: u8 = 3;
/// Name-value pairs.
pub(super) const PARAMS: u8 = 4;
/// The request's body.
pub(super) const STDIN: u8 = 5;
/// The response, with a CGI header.
pub(super) const STDOUT: u8 = 6;
/// What the application has to say to the server's log.
pub(super) const STDERR: u8 = 7;
/// A second body, for filters.
pub(super) const DATA: u8 = 8;
/// The last type that is defined.
const LAST: u8 = 11;

/// How records are delimited.
pub(super) struct Records;

impl Framing for Records {
    fn header(&self) -> usize {
        HEADER
    }

    fn length(&self, header: &[u8]) -> Option<u64> {
        let record = Record::read(header)?;
        Some(HEADER as u64 + u64::from(record.length) + u64::from(record.padding))
    }
}

/// A record's header, and as much of its content as is there.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub kind: u8,
    /// Which request; 0: none, it is for the application itself.
    pub id: u16,
    pub content: &'a [u8],
    /// Bytes of the content.
    pub length: u16,
    /// Bytes after it.
    pub padding: u8,
}

impl Record<'_> {
    /// A record, of which at least the header is there; `None`: this is none.
    pub(super) fn read(bytes: &[u8]) -> Option<Record<'_>> {
        let (&[version, kind, id_high, id_low, length_high, length_low, padding, _], rest) =
            bytes.split_first_chunk::<HEADER>()?;
        if version != 1 || !(BEGIN_REQUEST..=LAST).contains(&kind) {
            return None;
        }
        let length = u16::from_be_bytes([length_high, length_low]);
        let content = rest.get(..usize::from(length)).unwrap_or(rest);
        Some(Record { kind, id: u16::from_be_bytes([id_high, id_low]), content, length, padding })
    }

    /// Whether a part of the content was not captured.
    pub(super) fn is_cut(&self) -> bool {
        self.content.len() < usize::from(self.length)
    }
}

/// Whether a call begins with the beginning of a request (section 5.1). Its first eight bytes alone are wrong on random bytes
/// once in 2^47; applications read them by themselves.
pub(super) fn begins(data: &[u8]) -> bool {
    let Some((header, body)) = data.split_first_chunk::<HEADER>() else { return false };
    let [1, BEGIN_REQUEST, id_high, id_low, 0, 8, 0, 0] = header else { return false };
    (*id_high, *id_low) != (0, 0) && (body.is_empty() || is_begin(body))
}

/// Whether this is (the beginning of) the content of BEGIN_REQUEST: a role, flags, and five bytes of zeros.
pub(super) fn is_begin(body: &[u8]) -> bool {
    body.iter().take(8).enumerate().all(|(at, byte)| match at {
        1 => (1..=3).contains(byte),
        2 => *byte <= 1,
        _ => *byte == 0,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_beginning_of_a_request_is_one() {
        let whole = [1, 1, 0, 1, 0, 8, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0];
        for len in 0..=whole.len() {
            assert_eq!(begins(&whole[..len]), len >= 8, "{len}");
        }
        for (at, wrong) in [(0, 2), (1, 4), (3, 0), (4, 1), (5, 9), (6, 1), (7, 1), (8, 1), (9, 0), (9, 4)] {
            let mut other = whole;
            other[at] = wrong;
            assert!(!begins(&other), "byte {at}");
        }
    }

    #[test]
    fn a_record_has_a_length_only_if_it_is_one() {
        assert_eq!(Records.length(&[1, 6, 0, 1, 1, 2, 6, 0]), Some(8 + 258 + 6));
        assert_eq!(Records.length(&[2, 6, 0, 1, 1, 2, 6, 0]), None);
        assert_eq!(Records.length(&[1, 12, 0, 1, 1, 2, 6, 0]), None);
        assert_eq!(Records.length(&[1, 0, 0, 1, 1, 2, 6, 0]), None);
        let cut = Record::read(&[1, 4, 0, 1, 0, 3, 5, 0, b'a']).unwrap();
        assert!(cut.is_cut() && cut.content == b"a");
        let whole = Record::read(&[1, 4, 0, 1, 0, 1, 5, 0, b'a']).unwrap();
        assert!(!whole.is_cut(), "padding is no content");
    }
}
