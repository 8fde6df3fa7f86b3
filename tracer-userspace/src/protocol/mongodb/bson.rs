//! BSON documents of which the end may be missing (bsonspec.org, version 1.1). Elements are read one after the other; nothing is
//! copied, and what does not lie within its document is not read.

/// The element of a document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Element<'a> {
    pub name: &'a [u8],
    pub value: Value<'a>,
}

/// What can be said of a value.
#[derive(Clone, Copy, Debug)]
pub(super) enum Value<'a> {
    /// A number or a boolean, as far as it is a whole one.
    Number(i64),
    Text(&'a [u8]),
    Document(Elements<'a>),
    Array(Elements<'a>),
    Other,
}

/// How reading a document came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Ended {
    /// There is more, or it was not asked.
    No,
    /// By its own end.
    Well,
    /// The rest was not captured.
    Cut,
    /// What stands there is no element.
    Wrong,
}

/// The elements of a document.
#[derive(Clone, Copy, Debug)]
pub(super) struct Elements<'a> {
    rest: &'a [u8],
    ended: Ended,
    /// The document is longer than what was captured of it.
    is_cut: bool,
}

/// Bytes of the shortest document.
const EMPTY: usize = 5;

/// 32 bits, the lowest byte first.
pub(super) fn int(bytes: &[u8]) -> Option<i32> {
    bytes.first_chunk::<4>().map(|four| i32::from_le_bytes(*four))
}

/// How long a document says it is.
pub(super) fn length(bytes: &[u8]) -> Option<usize> {
    usize::try_from(int(bytes)?).ok().filter(|len| *len >= EMPTY)
}

/// A C string, and what follows it.
pub(super) fn name(bytes: &[u8]) -> Option<(&[u8], &[u8])> {
    let end = memchr::memchr(0, bytes)?;
    Some((bytes.get(..end)?, bytes.get(end + 1..)?))
}

/// The document at the beginning of `bytes`; `None`: there is none, or not even its length.
pub(super) fn document(bytes: &[u8]) -> Option<Elements<'_>> {
    let len = length(bytes)?;
    let is_cut = bytes.len() < len;
    Some(Elements { rest: bytes.get(4..len.min(bytes.len()))?, ended: Ended::No, is_cut })
}

impl<'a> Elements<'a> {
    /// Whether, and how, it has come to its end.
    pub fn ended(&self) -> Ended {
        self.ended
    }

    /// The rest of the bytes is missing, which is an error unless they were not captured.
    fn runs_out(&self) -> Ended {
        if self.is_cut { Ended::Cut } else { Ended::Wrong }
    }

    fn read(&mut self) -> Result<Element<'a>, Ended> {
        let (kind, rest) = self.rest.split_first().ok_or(self.runs_out())?;
        if *kind == 0 {
            return Err(if rest.is_empty() && !self.is_cut { Ended::Well } else { Ended::Wrong });
        }
        let (name, rest) = name(rest).ok_or(self.runs_out())?;
        let short = |bytes: &'a [u8]| int(bytes).ok_or(self.runs_out());
        let sized = |extra: usize| {
            let len = usize::try_from(short(rest)?).map_err(|_| Ended::Wrong)?;
            len.checked_add(extra).ok_or(Ended::Wrong)
        };
        let regex = || {
            let (_, after) = self::name(rest)?;
            let (_, after) = self::name(after)?;
            Some(rest.len() - after.len())
        };
        let len = match kind {
            0x06 | 0x0a | 0x7f | 0xff => 0,
            0x08 => 1,
            0x10 => 4,
            0x01 | 0x09 | 0x11 | 0x12 => 8,
            0x07 => 12,
            0x13 => 16,
            0x02 | 0x0d | 0x0e => sized(4)?,
            0x0c => sized(16)?,
            0x05 => sized(5)?,
            0x03 | 0x04 | 0x0f => {
                sized(0).and_then(|len| if len < EMPTY { Err(Ended::Wrong) } else { Ok(len) })?
            }
            0x0b => regex().ok_or(self.runs_out())?,
            _ => return Err(Ended::Wrong),
        };
        if len > rest.len() && !self.is_cut {
            return Err(Ended::Wrong);
        }
        let value = match (kind, rest.get(..len)) {
            (0x03, _) => document(rest).map(Value::Document),
            (0x04, _) => document(rest).map(Value::Array),
            (_, None) => None,
            (0x02, Some(text)) => {
                text.get(4..).and_then(<[u8]>::split_last).map(|(_, text)| Value::Text(text))
            }
            (0x08, Some(bytes)) => bytes.first().map(|byte| Value::Number((*byte).into())),
            (0x10, Some(bytes)) => int(bytes).map(|number| Value::Number(number.into())),
            (0x12, Some(bytes)) => bytes.first_chunk().map(|eight| Value::Number(i64::from_le_bytes(*eight))),
            (0x01, Some(bytes)) => {
                bytes.first_chunk().map(|eight| Value::Number(f64::from_le_bytes(*eight) as i64))
            }
            (_, Some(_)) => Some(Value::Other),
        };
        // Of a string at least its end is there; anything else that is short was cut.
        let value = value.ok_or(if *kind == 0x02 && len < EMPTY { Ended::Wrong } else { self.runs_out() })?;
        self.rest = rest.get(len..).unwrap_or_default();
        Ok(Element { name, value })
    }
}

impl<'a> Iterator for Elements<'a> {
    type Item = Element<'a>;

    fn next(&mut self) -> Option<Element<'a>> {
        if self.ended != Ended::No {
            return None;
        }
        match self.read() {
            Ok(element) => Some(element),
            Err(ended) => {
                self.ended = ended;
                None
            }
        }
    }
}
