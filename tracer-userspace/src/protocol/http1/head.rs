//! Reads message heads (RFC 9112 sections 2 to 6) straight out of a slice, and only the fields that are needed.
//!
//! Lenient where servers are (bare LF, missing reason phrase, space in the target), strict where leniency could make
//! a message out of something that is none.

use memchr::memchr;

use super::lines::Lines;

/// Longest method that is taken for one.
const MAX_METHOD: usize = 32;
/// A target cut off by the end of the capture is kept if at least this much of it is there: what is printed is not
/// longer.
pub(super) const TARGET_ENOUGH: usize = 2048;

/// What the Content-Length fields say (RFC 9112 section 6.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Length {
    Absent,
    Value(u64),
    /// Not a number, or several that differ: the framing cannot be known.
    Invalid,
}

/// What the Transfer-Encoding fields say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coding {
    Absent,
    /// `chunked` is the final coding.
    Chunked,
    /// Another coding is the final one.
    Other,
}

/// The fields that are looked at.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fields<'a> {
    pub length: Length,
    pub coding: Coding,
    pub host: Option<&'a [u8]>,
}

impl Fields<'_> {
    const NONE: Fields<'static> = Fields { length: Length::Absent, coding: Coding::Absent, host: None };
}

/// A request's head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Request<'a> {
    pub method: &'a [u8],
    pub target: &'a [u8],
    pub minor: u8,
    pub fields: Fields<'a>,
    /// The field lines, as far as they are there, with the empty line.
    pub lines: &'a [u8],
}

/// A response's head.
#[derive(Clone, Copy, Debug)]
pub(super) struct Response {
    pub status: u16,
    pub length: Length,
    pub coding: Coding,
    /// The connection goes on in HTTP/2 (status 101 with `Upgrade: h2c`, RFC 7540 section 3.2).
    pub is_h2c: bool,
}

/// What a slice that begins at a message's first byte holds.
#[derive(Clone, Copy, Debug)]
pub(super) enum Parsed<T> {
    /// A whole head, and its length with the empty line.
    Whole(T, usize),
    /// The head goes on after the slice. What is there of it, if its first line is.
    Part(Option<T>),
    /// Not a message.
    Invalid,
}

/// Where the head that starts a slice ends (after its empty line), looking only at lines that end at or after `from`.
pub(super) fn end(bytes: &[u8], from: usize) -> Option<usize> {
    let mut at = from.saturating_sub(3);
    while let Some(rest) = bytes.get(at..) {
        let newline = at + memchr(b'\n', rest)?;
        match bytes.get(newline + 1..) {
            Some([b'\n', ..]) => return Some(newline + 2),
            Some([b'\r', b'\n', ..]) => return Some(newline + 3),
            _ => at = newline + 1,
        }
    }
    None
}

/// Whether a head may begin with these bytes, of which the ones before `from` have been found possible. Only the first
/// line is looked at: that is enough to tell binary protocols.
pub(super) fn may_go_on(bytes: &[u8], from: usize, is_request: bool) -> bool {
    let (old, new) = bytes.split_at_checked(from).unwrap_or((bytes, b""));
    if memchr(b'\n', old).is_some() {
        return true;
    }
    let new = memchr(b'\n', new).and_then(|end| new.get(..end)).unwrap_or(new);
    if !is_request {
        return bytes.iter().zip(b"HTTP/1.").all(|(byte, expected)| byte == expected);
    }
    let named = bytes.len() <= MAX_METHOD || method(bytes).is_some();
    named && !new.iter().any(|byte| byte.is_ascii_control() && *byte != b'\r')
}

/// A line without its end, and what follows it.
fn line(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let newline = memchr(b'\n', bytes)?;
    let (line, rest) = bytes.split_at_checked(newline)?;
    Some((line.strip_suffix(b"\r").unwrap_or(line), rest.get(1..)?))
}

/// A request's head (RFC 9112 section 3).
pub(super) fn request(bytes: &[u8]) -> Parsed<Request<'_>> {
    let Some((first, rest)) = line(bytes) else { return partial_request_line(bytes) };
    let Some((method, after)) = method(first) else { return Parsed::Invalid };
    let Some((target, version)) = after.len().checked_sub(9).and_then(|at| after.split_at_checked(at)) else {
        return Parsed::Invalid;
    };
    let [b' ', b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor] = version else { return Parsed::Invalid };
    if !minor.is_ascii_digit() || target.is_empty() || target.iter().any(u8::is_ascii_control) {
        return Parsed::Invalid;
    }
    let mut request = Request { method, target, minor: minor - b'0', fields: Fields::NONE, lines: rest };
    match fields(rest, &mut request.fields) {
        Some(left) => {
            request.lines = rest.get(..rest.len() - left).unwrap_or_default();
            Parsed::Whole(request, bytes.len() - left)
        }
        None => Parsed::Part(Some(request)),
    }
}

/// A request line that goes on after the slice: worth something if what is missing would not be shown anyway.
fn partial_request_line(bytes: &[u8]) -> Parsed<Request<'_>> {
    match method(bytes) {
        Some((method, target)) if target.len() >= TARGET_ENOUGH => {
            if target.iter().any(u8::is_ascii_control) {
                return Parsed::Invalid;
            }
            Parsed::Part(Some(Request { method, target, minor: 1, fields: Fields::NONE, lines: b"" }))
        }
        _ => Parsed::Part(None),
    }
}

/// A method and what follows its space. A method is a token (RFC 9110 section 5.6.2).
pub(super) fn method(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let space = memchr(b' ', line.get(..MAX_METHOD).unwrap_or(line))?;
    let (method, rest) = line.split_at_checked(space)?;
    let known = matches!(method, b"GET" | b"POST" | b"PUT" | b"HEAD" | b"DELETE" | b"PATCH" | b"OPTIONS");
    let token = known || (!method.is_empty() && method.iter().all(|byte| is_token(*byte)));
    token.then_some((method, rest.get(1..)?))
}

/// Whether a token may have this byte (RFC 9110 section 5.6.2).
pub(super) fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

/// A response's head (RFC 9112 section 4). The reason phrase, and the space before it, may be missing.
pub(super) fn response(bytes: &[u8]) -> Parsed<Response> {
    let Some((first, rest)) = line(bytes) else {
        let possible = bytes.iter().zip(b"HTTP/1.").all(|(byte, expected)| byte == expected);
        return if possible { Parsed::Part(None) } else { Parsed::Invalid };
    };
    let [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor, b' ', a, b, c, reason @ ..] = first else {
        return Parsed::Invalid;
    };
    if ![minor, a, b, c].into_iter().all(u8::is_ascii_digit)
        || *a == b'0'
        || !matches!(reason, [] | [b' ', ..])
    {
        return Parsed::Invalid;
    }
    let status = u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0');
    let mut found = Fields::NONE;
    let left = fields(rest, &mut found);
    let is_h2c = status == 101 && left.is_some() && upgrades_to(rest, b"h2c");
    let response = Response { status, length: found.length, coding: found.coding, is_h2c };
    match left {
        Some(left) => Parsed::Whole(response, bytes.len() - left),
        None => Parsed::Part(Some(response)),
    }
}

/// Whether the one Upgrade field names this protocol.
fn upgrades_to(lines: &[u8], protocol: &[u8]) -> bool {
    let mut all = Lines(lines).filter(|(name, _)| name.eq_ignore_ascii_case(b"upgrade"));
    all.next().is_some_and(|(_, value)| value.eq_ignore_ascii_case(protocol)) && all.next().is_none()
}

/// Which field a line belongs to, for lines that continue it.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    None,
    Length,
    Coding,
    Host,
}

/// Reads field lines up to the empty line. Returns how many bytes follow it, or `None` if it is not there.
fn fields<'a>(mut bytes: &'a [u8], found: &mut Fields<'a>) -> Option<usize> {
    let mut previous = Field::None;
    loop {
        let (line, rest) = line(bytes)?;
        match line.first() {
            None => return Some(rest.len()),
            // obs-fold (RFC 9112 section 5.2): the value goes on here. Those of the fields that matter never do in
            // honest messages; where they do, they are not known.
            Some(b' ' | b'\t') => match previous {
                Field::Length => found.length = Length::Invalid,
                Field::Coding => found.coding = Coding::Other,
                Field::Host => found.host = None,
                Field::None => {}
            },
            Some(b'c' | b'C') => previous = content_length(line, found),
            Some(b't' | b'T') => previous = transfer_encoding(line, found),
            Some(b'h' | b'H') => {
                previous = Field::None;
                if let Some(value) = value_of(line, b"host") {
                    found.host = Some(value);
                    previous = Field::Host;
                }
            }
            Some(_) => previous = Field::None,
        }
        bytes = rest;
    }
}

/// The value of a field line if its name is `name` (lower case), without surrounding white space.
fn value_of<'a>(line: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    if line.get(name.len()) != Some(&b':') {
        return None;
    }
    let (head, value) = line.split_at_checked(name.len())?;
    head.eq_ignore_ascii_case(name).then(|| value.get(1..).unwrap_or_default().trim_ascii())
}

/// Whether white space stands between the name and the colon: forbidden (RFC 9112 section 5.1), and read in
/// different ways by different servers.
fn spaced(line: &[u8], name: &[u8]) -> bool {
    matches!(line.get(name.len()), Some(b' ' | b'\t'))
        && line.get(..name.len()).is_some_and(|head| head.eq_ignore_ascii_case(name))
}

fn content_length(line: &[u8], found: &mut Fields<'_>) -> Field {
    const NAME: &[u8] = b"content-length";
    let value = match value_of(line, NAME) {
        Some(value) => list_of_lengths(value),
        None if spaced(line, NAME) => Length::Invalid,
        None => return Field::None,
    };
    found.length = match found.length {
        Length::Absent => value,
        same if same == value => value,
        _ => Length::Invalid,
    };
    Field::Length
}

/// A number, or a list of equal ones (RFC 9110 section 8.6).
fn list_of_lengths(value: &[u8]) -> Length {
    let mut all = Length::Absent;
    for one in value.split(|byte| *byte == b',') {
        let one = number(one.trim_ascii());
        if all != Length::Absent && all != one {
            return Length::Invalid;
        }
        all = one;
    }
    all
}

fn number(digits: &[u8]) -> Length {
    if digits.is_empty() {
        return Length::Invalid;
    }
    let mut value = 0u64;
    for digit in digits {
        let next = digit
            .is_ascii_digit()
            .then(|| value.checked_mul(10)?.checked_add(u64::from(digit - b'0')))
            .flatten();
        let Some(next) = next else { return Length::Invalid };
        value = next;
    }
    Length::Value(value)
}

fn transfer_encoding(line: &[u8], found: &mut Fields<'_>) -> Field {
    const NAME: &[u8] = b"transfer-encoding";
    if let Some(value) = value_of(line, NAME) {
        // Several fields are one list; the last coding decides (RFC 9112 section 6.3).
        let last = value.rsplit(|byte| *byte == b',').next().unwrap_or_default().trim_ascii();
        found.coding = if last.eq_ignore_ascii_case(b"chunked") {
            Coding::Chunked
        } else if last.eq_ignore_ascii_case(b"identity") && found.coding == Coding::Absent {
            // RFC 2616's way of saying "none".
            Coding::Absent
        } else {
            Coding::Other
        };
        return Field::Coding;
    }
    if spaced(line, NAME) {
        found.coding = Coding::Other;
        return Field::Coding;
    }
    Field::None
}

#[cfg(test)]
#[path = "head_tests.rs"]
mod tests;
