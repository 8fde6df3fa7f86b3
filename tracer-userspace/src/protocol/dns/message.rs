//! A DNS message (RFC 1035 section 4.1): what it asks for, and the code of the answer.

/// Bytes of the header.
pub(super) const HEADER: usize = 12;
/// The longest name, as it is sent (RFC 1035 section 2.3.4).
const MAX_NAME: usize = 255;
/// The pseudo-record of EDNS (RFC 6891 section 6.1.1), whose time to live has the upper bits of the code.
const OPT: u16 = 41;

/// The name that is asked for, as it is sent and in lower case: names are compared so (RFC 4343), and those who forward queries
/// change the case at random (0x20). Only what was checked to be labels.
#[derive(Clone, Copy, Debug)]
pub(super) struct Name {
    bytes: [u8; MAX_NAME],
    len: usize,
}

impl Name {
    /// Labels with their lengths, the empty one last.
    pub fn wire(&self) -> &[u8] {
        self.bytes.get(..self.len).unwrap_or_default()
    }

    /// As people write it, without the last dot; the root is `.`. Bytes that are not printable are written as in zone files (RFC 1035
    /// section 5.1).
    pub fn text(&self) -> String {
        // As long as it gets, if all of it is printable: without the length of the first label, and the last.
        let len = self.len.saturating_sub(2).max(1);
        let (mut text, mut rest) = (String::with_capacity(len), self.wire());
        while let Some((len, after)) = rest.split_first().filter(|(len, _)| **len > 0) {
            let (label, after) = after.split_at_checked(usize::from(*len)).unwrap_or((after, &[]));
            if !text.is_empty() {
                text.push('.');
            }
            for byte in label {
                match byte {
                    b'.' | b'\\' => text.extend(['\\', char::from(*byte)]),
                    0x21..=0x7e => text.push(char::from(*byte)),
                    _ => text.push_str(&format!("\\{byte:03}")),
                }
            }
            rest = after;
        }
        if text.is_empty() {
            text.push('.');
        }
        text
    }
}

/// What is asked.
#[derive(Clone, Copy, Debug)]
pub(super) struct Question {
    /// Of which name.
    pub name: Name,
    /// For which type of record.
    pub kind: u16,
    /// In which class: the Internet, nearly always.
    pub class: u16,
}

impl Question {
    /// Whether both ask for the same.
    pub fn is(&self, other: &Question) -> bool {
        (self.kind, self.class) == (other.kind, other.class) && self.name.wire() == other.name.wire()
    }

    /// NetBIOS names (RFC 1002 section 4.2) go about in messages like DNS's: 32 letters from A to P, for types that DNS has others of.
    fn is_netbios(&self) -> bool {
        let encoded = self.name.wire().get(1..33).unwrap_or_default();
        matches!(self.kind, 32 | 33)
            && self.name.wire().first() == Some(&32)
            && encoded.iter().all(|byte| (b'a'..=b'p').contains(byte))
    }
}

/// A message.
#[derive(Clone, Copy, Debug)]
pub(super) struct Message {
    /// Query and response have the same.
    pub id: u16,
    /// A response; else a query.
    pub is_response: bool,
    /// The response's code, EDNS's bits among them.
    pub code: u16,
    /// Absent in the answer of who could not read it.
    pub question: Option<Question>,
}

/// Reads a message of `len` bytes, of which these are the first. `None` if it is no ordinary query or response: other
/// operations (notify, update), multicast DNS, NetBIOS, or not DNS at all.
pub(super) fn read(bytes: &[u8], len: usize) -> Option<Message> {
    let header = bytes.first_chunk::<HEADER>()?;
    let word = |at: usize| {
        let high = header.get(at).copied().unwrap_or(0);
        u16::from_be_bytes([high, header.get(at + 1).copied().unwrap_or(0)])
    };
    let (id, flags, questions, additional) = (word(0), word(2), word(4), word(10));
    let records = u32::from(word(6)) + u32::from(word(8)) + u32::from(additional);
    let is_response = flags & 0x8000 != 0;
    let code = flags & 0xf;
    // The operation, and the bit that must be zero; of queries also what only responses say.
    let zeros = if is_response { 0x7840 } else { 0x7ecf };
    if flags & zeros != 0 || (!is_response && records != u32::from(additional)) {
        return None;
    }
    if questions == 0 && is_response && len == HEADER && code != 0 {
        return Some(Message { id, is_response, code, question: None });
    }
    if questions != 1 {
        return None;
    }
    let mut reader = Reader { rest: bytes.get(HEADER..)? };
    let question = Question { name: reader.name()?, kind: reader.short()?, class: reader.short()? };
    // IN, CH, HS, NONE, ANY. Multicast DNS has a bit of its own in them (RFC 6762 section 5.4).
    let is_class = matches!(question.class, 1 | 3 | 4 | 254 | 255);
    if question.kind == 0 || !is_class || question.is_netbios() {
        return None;
    }
    let is_whole = bytes.len() == len;
    let extended = match reader.records(records, is_whole) {
        Some(extended) => extended,
        None if is_whole => return None,
        None => 0,
    };
    Some(Message { id, is_response, code: code | extended << 4, question: Some(question) })
}

struct Reader<'a> {
    rest: &'a [u8],
}

impl Reader<'_> {
    fn take<const N: usize>(&mut self) -> Option<[u8; N]> {
        let (taken, rest) = self.rest.split_first_chunk::<N>()?;
        self.rest = rest;
        Some(*taken)
    }

    fn short(&mut self) -> Option<u16> {
        self.take().map(u16::from_be_bytes)
    }

    /// The question's name. It is the first of the message: there is nothing that it could be abbreviated to.
    fn name(&mut self) -> Option<Name> {
        let mut name = Name { bytes: [0; MAX_NAME], len: 0 };
        loop {
            let [len] = self.take()?;
            let end = name.len + 1 + usize::from(len);
            let to = name.bytes.get_mut(name.len..end)?;
            let (label, rest) = self.rest.split_at_checked(usize::from(len)).filter(|_| len < 64)?;
            let (first, to) = to.split_first_mut()?;
            *first = len;
            to.copy_from_slice(label);
            to.make_ascii_lowercase();
            (name.len, self.rest) = (end, rest);
            if len == 0 {
                return Some(name);
            }
        }
    }

    /// Passes over a record's name. An abbreviation ends it and is not followed.
    fn skip_name(&mut self) -> Option<()> {
        loop {
            match self.take()? {
                [0] => return Some(()),
                [len @ 1..=63] => self.rest = self.rest.get(usize::from(len)..)?,
                [0xc0..=0xff] => return self.take::<1>().map(|_| ()),
                _ => return None,
            }
        }
    }

    /// Passes over the records, up to the end of the message if it is here. The upper bits of the code.
    fn records(&mut self, count: u32, is_whole: bool) -> Option<u16> {
        let mut extended = 0;
        for _ in 0..count {
            self.skip_name()?;
            let (kind, _, life) = (self.short()?, self.short()?, self.take::<4>()?);
            let len = usize::from(self.short()?);
            self.rest = self.rest.get(len..)?;
            if kind == OPT {
                let [upper, ..] = life;
                extended = u16::from(upper);
            }
        }
        (self.rest.is_empty() || !is_whole).then_some(extended)
    }
}
