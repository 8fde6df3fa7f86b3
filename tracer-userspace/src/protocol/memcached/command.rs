//! Commands and answers of memcached's text protocol (memcached's `doc/protocol.txt`), line by line. Keys are counted, never shown.

use super::lane::END;

/// What a command is answered with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// One line.
    Line,
    /// `VALUE` lines with data, then `END`.
    Values,
    /// Lines, then `END`; or one line.
    List,
    /// One line of a meta command, perhaps with data.
    Meta,
    /// As many as meta commands before it had something to say, then `MN`.
    Batch,
    /// Nothing.
    Silence,
}

/// A command's line.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Command<'a> {
    pub name: &'a [u8],
    pub keys: usize,
    /// Bytes of data that follow, with their end.
    pub data: u64,
    pub shape: Shape,
    /// A meta command that is answered only if it has something to say.
    pub quiet: bool,
}

fn number(word: Option<&[u8]>) -> Option<u64> {
    let word = word?;
    let digits = !word.is_empty() && word.len() <= 20 && word.iter().all(u8::is_ascii_digit);
    if digits { std::str::from_utf8(word).ok()?.parse().ok() } else { None }
}

/// The most that a line is looked at, in words. Keys beyond are not counted.
const MAX_WORDS: usize = 2048;

/// Reads a command's line; `None`: it is none.
pub(super) fn read(line: &[u8]) -> Option<Command<'_>> {
    if line.iter().any(|byte| byte.is_ascii_control()) {
        return None;
    }
    let mut words = line.split(|byte| *byte == b' ').filter(|word| !word.is_empty());
    let name = words.next()?;
    let args = words.take(MAX_WORDS);
    let mut last = None;
    let keys = args.clone().inspect(|word| last = Some(*word)).count();
    let (silent, arg) = (last == Some(&b"noreply"[..]), |at: usize| number(args.clone().nth(at)));
    let line = if silent { Shape::Silence } else { Shape::Line };
    let command = |keys, data, shape| Some(Command { name, keys, data, shape, quiet: false });
    match name {
        b"get" | b"gets" if keys > 0 => command(keys, 0, Shape::Values),
        b"gat" | b"gats" if keys > 1 && arg(0).is_some() => command(keys - 1, 0, Shape::Values),
        b"set" | b"add" | b"replace" | b"append" | b"prepend" | b"cas" => {
            let count = 4 + usize::from(name == b"cas") + usize::from(silent);
            arg(1)?;
            let data = arg(3)?.checked_add(END)?;
            if keys == count { command(1, data, line) } else { None }
        }
        b"delete" if keys > 0 => command(1, 0, line),
        b"incr" | b"decr" if keys > 1 => arg(1).and_then(|_| command(1, 0, line)),
        b"touch" if keys > 1 => command(1, 0, line),
        b"flush_all" | b"verbosity" => command(0, 0, line),
        b"version" | b"shutdown" | b"slabs" | b"lru" | b"cache_memlimit" | b"refresh_certs" => {
            command(0, 0, line)
        }
        b"stats" | b"lru_crawler" => command(0, 0, Shape::List),
        b"quit" => command(0, 0, Shape::Silence),
        b"mg" | b"md" | b"ma" | b"ms" | b"me" if keys > 0 => {
            let (data, before) = match name {
                b"ms" => (arg(1)?.checked_add(END)?, 2),
                _ => (0, 1),
            };
            let quiet = args.skip(before).any(|flag| flag == b"q");
            Some(Command { name, keys: 1, data, shape: Shape::Meta, quiet })
        }
        b"mn" if keys == 0 => command(0, 0, Shape::Meta),
        _ => None,
    }
}

/// Whether a line can hardly be anything but a command. Those that other protocols have as well are left out.
pub(super) fn is_certain(line: &[u8]) -> bool {
    read(line).is_some_and(|command| {
        let own: [&[u8]; 4] = [b"delete", b"touch", b"quit", b"mn"];
        (command.keys > 0 || command.data > 0) && !own.contains(&command.name)
    })
}

/// What a line of an answer means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It goes on, behind so many bytes of data.
    More(u64),
    /// It is over, behind so many bytes of data.
    Over(u64),
    /// It is an error.
    Error(&'static str),
    /// That cannot be.
    Wrong,
}

/// Reads a line of the answer to a command of that shape.
pub(super) fn answer(shape: Shape, line: &[u8]) -> Next {
    let mut words = line.split(|byte| *byte == b' ');
    let first = words.next().unwrap_or_default();
    match first {
        b"ERROR" => return Next::Error("ERROR"),
        b"CLIENT_ERROR" => return Next::Error("CLIENT_ERROR"),
        b"SERVER_ERROR" => return Next::Error("SERVER_ERROR"),
        _ => {}
    }
    let data = |word: Option<&[u8]>| number(word).and_then(|data| data.checked_add(END));
    match (shape, first) {
        (Shape::Values, b"VALUE") => data(words.nth(2)).map_or(Next::Wrong, Next::More),
        (Shape::Values | Shape::List, b"END") => Next::Over(0),
        (Shape::List, b"STAT" | b"ITEM") => Next::More(0),
        (Shape::List, b"OK" | b"RESET" | b"BUSY" | b"BADCLASS") => Next::Over(0),
        (Shape::List, word) if word.starts_with(b"key=") => Next::More(0),
        (Shape::Batch, b"MN") => Next::Over(0),
        (Shape::Meta, b"VA") => data(words.next()).map_or(Next::Wrong, Next::Over),
        (Shape::Batch, b"VA") => data(words.next()).map_or(Next::Wrong, Next::More),
        (Shape::Meta, b"HD" | b"EN" | b"NS" | b"EX" | b"NF" | b"MN" | b"ME") => Next::Over(0),
        (Shape::Batch, b"HD" | b"EN" | b"NS" | b"EX" | b"NF" | b"ME") => Next::More(0),
        (
            Shape::Line,
            b"STORED" | b"NOT_STORED" | b"EXISTS" | b"NOT_FOUND" | b"DELETED" | b"TOUCHED" | b"OK",
        ) => Next::Over(0),
        (
            Shape::Line,
            b"VERSION" | b"RESET" | b"BUSY" | b"BADCLASS" | b"NOSPARE" | b"NOTFULL" | b"SAME" | b"UNSAFE",
        ) => Next::Over(0),
        // What incr and decr made.
        (Shape::Line, _) if number(Some(first.trim_ascii_end())).is_some() => Next::Over(0),
        _ => Next::Wrong,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_have_keys_and_data() {
        for (line, keys, data, shape) in [
            ("get a", 1, 0, Shape::Values),
            ("gets a b c", 3, 0, Shape::Values),
            ("gat 60 a b", 2, 0, Shape::Values),
            ("set a 0 60 5", 1, 7, Shape::Line),
            ("set a 0 0 5 noreply", 1, 7, Shape::Silence),
            ("cas a 0 0 0 17", 1, 2, Shape::Line),
            ("delete a", 1, 0, Shape::Line),
            ("incr a 5 noreply", 1, 0, Shape::Silence),
            ("touch a 60", 1, 0, Shape::Line),
            ("flush_all", 0, 0, Shape::Line),
            ("stats items", 0, 0, Shape::List),
            ("version", 0, 0, Shape::Line),
            ("mg a v q", 1, 0, Shape::Meta),
            ("ms a 5 T60", 1, 7, Shape::Meta),
            ("mn", 0, 0, Shape::Meta),
        ] {
            let command = read(line.as_bytes()).unwrap_or_else(|| panic!("{line}"));
            assert_eq!((command.keys, command.data, command.shape), (keys, data, shape), "{line}");
            assert_eq!(command.quiet, line.ends_with('q'));
        }
        for line in [
            "",
            "get",
            "GET a",
            "set a 0 60",
            "set a 0 60 x",
            "set a x 60 5",
            "get a\tb",
            "cas a 0 0 5",
            "hello",
            "ms a",
        ] {
            assert_eq!(read(line.as_bytes()), None, "{line}");
        }
        assert!(
            is_certain(b"get a")
                && is_certain(b"set a 0 0 5")
                && !is_certain(b"delete 5")
                && !is_certain(b"stats")
        );
        assert!(read(format!("set a 0 0 {}", u64::MAX).as_bytes()).is_none());
    }

    #[test]
    fn answers_end_where_their_shape_says() {
        for (shape, line, next) in [
            (Shape::Values, "VALUE a 0 5", Next::More(7)),
            (Shape::Values, "VALUE a 0 5 17", Next::More(7)),
            (Shape::Values, "END", Next::Over(0)),
            (Shape::Values, "STORED", Next::Wrong),
            (Shape::Line, "NOT_FOUND", Next::Over(0)),
            (Shape::Line, "17", Next::Over(0)),
            (Shape::Line, "END", Next::Wrong),
            (Shape::Line, "SERVER_ERROR out of memory storing secret", Next::Error("SERVER_ERROR")),
            (Shape::List, "STAT pid 5", Next::More(0)),
            (Shape::Meta, "VA 5 f0", Next::Over(7)),
            (Shape::Batch, "VA 5", Next::More(7)),
            (Shape::Batch, "MN", Next::Over(0)),
            (Shape::Meta, "EN", Next::Over(0)),
        ] {
            assert_eq!(answer(shape, line.as_bytes()), next, "{line}");
        }
    }
}
