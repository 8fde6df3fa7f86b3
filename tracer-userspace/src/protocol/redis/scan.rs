//! Where a RESP message ends. Messages do not tell their length as a whole: it follows from the types and counts that stand
//! in them (Redis serialization protocol specification, versions 2 and 3), so every line of them is looked at once, and only
//! the contents of strings may be passed over by their length.

/// Deepest nesting that is followed; Redis itself answers with at most seven levels.
const MAX_DEPTH: usize = 16;
/// Longest line that is no command sent by hand: type, and a number or a short text. Redis refuses longer inline commands.
const MAX_LINE: u32 = 64 << 10;
/// Longest string that may be announced: `proto-max-bulk-len` cannot be set above what fits into 62 bits.
const MAX_BULK: i64 = 1 << 62;
/// Most elements that may be announced, as many as Redis can hold in one value.
const MAX_COUNT: u64 = 1 << 33;
/// Elements of a frame whose number is told by its end marker.
const STREAMED: u64 = u64::MAX;

/// What stands on a direction.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    /// Arrays of strings, and lines that end with LF.
    Commands,
    /// Any type.
    Replies,
}

/// How far a message is after some more of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Scan {
    /// It goes on.
    More,
    /// It is over, after so many of the bytes.
    Over(usize),
    /// This is no message.
    Broken,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// A type byte comes next.
    Type,
    /// In the line of a type: `value` is its number so far.
    Line { kind: u8, value: Option<i64>, negative: bool, streamed: bool, cr: bool, len: u32 },
    /// In a string: so many bytes are left, CR LF among them.
    Bulk(u64),
}

/// An aggregate that is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Level {
    /// Elements that are missing.
    left: u64,
    /// It stands before a value and is none.
    is_attribute: bool,
    /// A string in parts (`$?`): its elements are parts.
    is_parts: bool,
}

/// Follows one message.
#[derive(Clone, Debug)]
pub(super) struct Scanner {
    kind: Kind,
    state: State,
    levels: Vec<Level>,
}

impl Scanner {
    /// Before a message.
    pub(super) fn new(kind: Kind) -> Scanner {
        Scanner { kind, state: State::Type, levels: Vec::new() }
    }

    /// The next message begins.
    pub(super) fn reset(&mut self) {
        self.state = State::Type;
        self.levels.clear();
    }

    /// Bytes that may move unseen without the position being lost.
    pub(super) fn may_hide(&self) -> u64 {
        if let State::Bulk(left) = self.state { left } else { 0 }
    }

    /// Bytes moved unseen, no more than [`Scanner::may_hide`]. Whether the message is over.
    pub(super) fn hide(&mut self, bytes: u64) -> bool {
        let State::Bulk(left) = self.state else { return false };
        self.state = State::Bulk(left.saturating_sub(bytes));
        left <= bytes && self.element()
    }

    /// Takes bytes.
    pub(super) fn take(&mut self, data: &[u8]) -> Scan {
        let mut at = 0;
        while let Some(byte) = data.get(at).copied() {
            let over = match self.state {
                State::Bulk(left) => {
                    let here = usize::try_from(left).unwrap_or(usize::MAX).min(data.len() - at);
                    at += here;
                    self.state = State::Bulk(left - here as u64);
                    left == here as u64 && self.element()
                }
                State::Type => {
                    at += 1;
                    if !self.begins(byte) {
                        return Scan::Broken;
                    }
                    // An empty line sent by hand.
                    byte == b'\n' && self.kind == Kind::Commands
                }
                State::Line { .. } => {
                    at += 1;
                    match self.line(byte) {
                        Some(over) => over,
                        None => return Scan::Broken,
                    }
                }
            };
            if over {
                return Scan::Over(at);
            }
        }
        Scan::More
    }

    /// A type byte. Whether it can stand here.
    fn begins(&mut self, byte: u8) -> bool {
        let fine = match self.kind {
            Kind::Commands if self.levels.is_empty() => byte == b'*' || is_inline(byte),
            Kind::Commands => byte == b'$',
            Kind::Replies => {
                let in_parts = self.levels.last().is_some_and(|level| level.is_parts);
                in_parts == (byte == b';') && b"+-:$*_#,(!=%~>|.;".contains(&byte)
            }
        };
        let cr = byte == b'\r';
        self.state = State::Line { kind: byte, value: None, negative: false, streamed: false, cr, len: 0 };
        fine
    }

    /// A byte of a line. Whether the message is over with it; `None` if it cannot stand here.
    fn line(&mut self, byte: u8) -> Option<bool> {
        let State::Line { kind, mut value, mut negative, mut streamed, cr, mut len } = self.state else {
            return None;
        };
        let is_text = matches!(kind, b'+' | b'-' | b',' | b'(' | b'#')
            || self.kind == Kind::Commands && is_inline(kind);
        let ends = byte == b'\n' && (cr || self.kind == Kind::Commands && is_inline(kind));
        if ends {
            return self.line_over(kind, value.map(|value| if negative { -value } else { value }), streamed);
        }
        if cr && !is_text {
            return None;
        }
        len += 1;
        if len > MAX_LINE {
            return None;
        }
        match byte {
            b'\r' | b'\n' if !is_text => {
                if byte == b'\n' {
                    return None;
                }
            }
            _ if is_text => {}
            b'0'..=b'9' if !streamed && len <= 20 => {
                let digit = i64::from(byte - b'0');
                value = Some(value.unwrap_or(0).checked_mul(10)?.checked_add(digit)?);
            }
            b'-' if len == 1 => negative = true,
            b'+' if len == 1 && kind == b':' => {}
            b'?' if len == 1 => streamed = true,
            _ => return None,
        }
        self.state = State::Line { kind, value, negative, streamed, cr: byte == b'\r', len };
        Some(false)
    }

    /// The line of a type is over. Whether the message is.
    fn line_over(&mut self, kind: u8, value: Option<i64>, streamed: bool) -> Option<bool> {
        self.state = State::Type;
        if self.kind == Kind::Commands && is_inline(kind) {
            return Some(true);
        }
        match kind {
            b'+' | b'-' | b',' | b'(' | b'#' => Some(self.element()),
            b'_' => (value.is_none() && !streamed).then(|| self.element()),
            b':' => value.map(|_| self.element()),
            b'$' | b'!' | b'=' => match value {
                // A string in parts.
                None if streamed && kind == b'$' && self.kind == Kind::Replies => {
                    self.open(STREAMED, false, true)
                }
                Some(-1) if kind == b'$' && self.kind == Kind::Replies => Some(self.element()),
                Some(len) => self.string(len),
                None => None,
            },
            b';' => match value? {
                0 => {
                    self.levels.pop();
                    Some(self.element())
                }
                len => self.string(len),
            },
            b'.' => {
                let level = self.levels.pop()?;
                let may_end = value.is_none() && !streamed && level.left == STREAMED && !level.is_parts;
                may_end.then(|| !level.is_attribute && self.element())
            }
            b'*' | b'~' | b'>' | b'%' | b'|' => {
                let is_pairs = matches!(kind, b'%' | b'|');
                let count = match value {
                    None if streamed && self.kind == Kind::Replies => STREAMED,
                    Some(-1) if kind == b'*' => 0,
                    Some(count) => {
                        let count = u64::try_from(count).ok().filter(|count| *count <= MAX_COUNT)?;
                        if is_pairs { 2 * count } else { count }
                    }
                    None => return None,
                };
                self.open(count, kind == b'|', false)
            }
            _ => None,
        }
    }

    fn string(&mut self, len: i64) -> Option<bool> {
        if !(0..=MAX_BULK).contains(&len) {
            return None;
        }
        self.state = State::Bulk(u64::try_from(len).ok()? + 2);
        Some(false)
    }

    /// An aggregate of `left` elements begins.
    fn open(&mut self, left: u64, is_attribute: bool, is_parts: bool) -> Option<bool> {
        if left == 0 {
            return Some(!is_attribute && self.element());
        }
        if self.levels.len() >= MAX_DEPTH {
            return None;
        }
        self.levels.push(Level { left, is_attribute, is_parts });
        Some(false)
    }

    /// A value is over. Whether the message is.
    fn element(&mut self) -> bool {
        self.state = State::Type;
        while let Some(level) = self.levels.last_mut() {
            if level.left == STREAMED {
                return false;
            }
            level.left -= 1;
            if level.left > 0 {
                return false;
            }
            if self.levels.pop().is_some_and(|level| level.is_attribute) {
                return false;
            }
        }
        true
    }
}

/// Whether a command sent by hand can begin so: a word, or the blanks before it.
fn is_inline(byte: u8) -> bool {
    byte.is_ascii_alphabetic() || matches!(byte, b' ' | b'\r' | b'\n' | b'\t' | b'"' | b'\'')
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Where the first message ends, fed in two parts.
    fn end(kind: Kind, bytes: &[u8], cut: usize) -> Scan {
        let mut scanner = Scanner::new(kind);
        let (one, other) = bytes.split_at(cut);
        match scanner.take(one) {
            Scan::More => match scanner.take(other) {
                Scan::Over(at) => Scan::Over(cut + at),
                other => other,
            },
            early => early,
        }
    }

    #[test]
    fn every_type_ends_where_it_ends_however_it_is_cut() {
        let messages: &[&[u8]] = &[
            b"+OK\r\n",
            b"+\r\n",
            b"-ERR a b\r\n",
            b":-17\r\n",
            b":+17\r\n",
            b"$5\r\nhel\r\n\r\n",
            b"$0\r\n\r\n",
            b"$-1\r\n",
            b"*-1\r\n",
            b"*0\r\n",
            b"*2\r\n$1\r\na\r\n*2\r\n:1\r\n*1\r\n+x\r\n",
            b"_\r\n",
            b"#t\r\n",
            b",1.5e3\r\n",
            b",inf\r\n",
            b"(3492890328409238509324850943850943825024385\r\n",
            b"!8\r\nERR a\r\nb\r\n",
            b"=7\r\ntxt:a\r\n\r\n",
            b"%2\r\n+a\r\n:1\r\n+b\r\n%1\r\n:1\r\n:2\r\n",
            b"~1\r\n:1\r\n",
            b">2\r\n+invalidate\r\n*1\r\n$1\r\na\r\n",
            b"|1\r\n+ttl\r\n:3600\r\n$1\r\na\r\n",
            b"*2\r\n|1\r\n+ttl\r\n:1\r\n:7\r\n:8\r\n",
            b"|0\r\n+OK\r\n",
            b"$?\r\n;4\r\nHell\r\n;1\r\no\r\n;0\r\n",
            b"*?\r\n:1\r\n*?\r\n.\r\n.\r\n",
            b"%?\r\n+a\r\n:1\r\n.\r\n",
            b"|?\r\n+a\r\n:1\r\n.\r\n+OK\r\n",
        ];
        for message in messages {
            let mut bytes = message.to_vec();
            bytes.extend_from_slice(b"+NEXT\r\n");
            for cut in 0..=message.len() {
                let found = end(Kind::Replies, &bytes, cut);
                assert_eq!(found, Scan::Over(message.len()), "{:?} {cut}", String::from_utf8_lossy(message));
            }
            for len in 0..message.len() {
                assert_eq!(
                    Scanner::new(Kind::Replies).take(&message[..len]),
                    Scan::More,
                    "{message:?} {len}"
                );
            }
        }
    }

    #[test]
    fn commands_are_arrays_of_strings_or_lines() {
        for message in [
            &b"*2\r\n$3\r\nGET\r\n$1\r\na\r\n"[..],
            b"PING\r\n",
            b"PING\n",
            b"\r\n",
            b"\n",
            b"*0\r\n",
            b"*-1\r\n",
        ] {
            for cut in 0..=message.len() {
                assert_eq!(end(Kind::Commands, message, cut), Scan::Over(message.len()), "{message:?} {cut}");
            }
        }
        for bytes in
            [&b"*1\r\n:1\r\n"[..], b"*1\r\n*1\r\n", b"*x\r\n", b"+OK\r\n", b"*1\r\n$-1\r\n", b"*?\r\n", b"\0"]
        {
            assert_eq!(end(Kind::Commands, bytes, 0), Scan::Broken, "{bytes:?}");
        }
    }

    #[test]
    fn what_is_no_message_is_refused() {
        let deep = b"*1\r\n".repeat(MAX_DEPTH + 1);
        for bytes in [
            &b"$99999999999999999999\r\n"[..],
            b"*9223372036854775807\r\n",
            b"$5x\r\n",
            b"$5\rx",
            b":\r\n",
            b"*-2\r\n",
            b"$-2\r\n",
            b".\r\n",
            b";1\r\n",
            b"HTTP/1.1 200 OK\r\n",
            b"$5\n",
            b"$?\r\n:1\r\n",
            b"_1\r\n",
            &deep,
        ] {
            assert_eq!(end(Kind::Replies, bytes, 0), Scan::Broken, "{:?}", String::from_utf8_lossy(bytes));
        }
        let long = vec![b'x'; MAX_LINE as usize + 2];
        assert_eq!(end(Kind::Commands, &long, 7), Scan::Broken);
    }

    #[test]
    fn strings_may_be_passed_over() {
        let mut scanner = Scanner::new(Kind::Replies);
        assert_eq!(scanner.take(b"*2\r\n$10\r\nab"), Scan::More);
        assert_eq!(scanner.may_hide(), 10);
        assert!(!scanner.hide(4));
        assert!(!scanner.hide(6));
        assert_eq!(scanner.may_hide(), 0);
        assert_eq!(scanner.take(b"$3\r\na"), Scan::More);
        assert!(scanner.hide(4));
    }
}
