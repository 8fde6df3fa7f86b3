//! The elements of a message that was kept, without copying them.

/// Most levels of nesting that are looked through.
const MAX_DEPTH: usize = 8;

/// One element.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Word<'a> {
    /// An aggregate begins, of so many elements.
    Open(u8, usize),
    /// A string, or the line of another type.
    Text(u8, &'a [u8]),
    /// No value.
    Null,
}

/// Goes through the elements of a message in the order in which they stand, aggregates before what is in them. Ends where the
/// bytes end, or are not of the common types.
#[derive(Clone, Copy, Debug)]
pub(super) struct Words<'a> {
    rest: &'a [u8],
}

impl<'a> Words<'a> {
    /// Of a message.
    pub(super) fn new(bytes: &'a [u8]) -> Words<'a> {
        Words { rest: bytes }
    }

    /// The next, if it is a string or a line.
    pub(super) fn text(&mut self) -> Option<&'a [u8]> {
        match self.next()? {
            Word::Text(_, text) => Some(text),
            Word::Open(..) | Word::Null => None,
        }
    }

    /// The next, if it is a list: how many elements it has.
    pub(super) fn list(&mut self) -> Option<usize> {
        match self.next()? {
            Word::Open(b'*' | b'~' | b'>', count) => Some(count),
            _ => None,
        }
    }

    /// Passes over one element and all that is in it.
    pub(super) fn pass(&mut self) -> Option<()> {
        let mut left = [0usize; MAX_DEPTH];
        let mut depth = 0;
        loop {
            if let Word::Open(_, count) = self.next()?
                && count > 0
            {
                *left.get_mut(depth)? = count;
                depth += 1;
                continue;
            }
            loop {
                let Some(level) = depth.checked_sub(1) else { return Some(()) };
                let here = left.get_mut(level)?;
                *here = here.saturating_sub(1);
                if *here > 0 {
                    break;
                }
                depth = level;
            }
        }
    }
}

impl<'a> Iterator for Words<'a> {
    type Item = Word<'a>;

    fn next(&mut self) -> Option<Word<'a>> {
        let (kind, rest) = self.rest.split_first()?;
        let end = rest.iter().position(|byte| *byte == b'\n')?;
        let line = rest.get(..end)?;
        let line = line.strip_suffix(b"\r").unwrap_or(line);
        let after = rest.get(end + 1..)?;
        let number = || std::str::from_utf8(line).ok()?.parse::<i64>().ok();
        let (word, rest) = match kind {
            b'$' | b'!' | b'=' => match usize::try_from(number()?) {
                Err(_) => (Word::Null, after),
                Ok(len) => (Word::Text(*kind, after.get(..len)?), after.get(len.checked_add(2)?..)?),
            },
            b'*' | b'~' | b'>' | b'%' => match usize::try_from(number()?) {
                Err(_) => (Word::Null, after),
                Ok(count) if *kind == b'%' => (Word::Open(b'%', count.checked_mul(2)?), after),
                Ok(count) => (Word::Open(*kind, count), after),
            },
            b'_' => (Word::Null, after),
            b'+' | b'-' | b':' | b',' | b'(' | b'#' => (Word::Text(*kind, line), after),
            _ => return None,
        };
        self.rest = rest;
        Some(word)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn elements_come_in_order_and_can_be_passed() {
        let bytes = b"*3\r\n$2\r\n\r\n\r\n*2\r\n:1\r\n*1\r\n+x\r\n$-1\r\n";
        let mut words = Words::new(bytes);
        assert_eq!(words.list(), Some(3));
        assert_eq!(words.text(), Some(&b"\r\n"[..]));
        assert_eq!(words.pass(), Some(()));
        assert_eq!(words.next(), Some(Word::Null));
        assert_eq!(words.next(), None);
        assert_eq!(Words::new(bytes).pass(), Some(()));
        assert_eq!(Words::new(b"%1\r\n+a\r\n").pass(), None);
        assert_eq!(Words::new(b"$5\r\nab").next(), None);
        assert_eq!(Words::new(b"$9223372036854775807\r\nab").next(), None);
    }
}
