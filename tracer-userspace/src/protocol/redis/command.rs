//! What a command asks for: its name, which may be shown, and what follows from it for the connection. Arguments are never
//! shown, keys among them: they hold what people put into them.

use super::words::Words;
use crate::protocol::Limits;
use crate::protocol::tokens::Tokens;

/// Longest name, of either word.
const MAX_NAME: usize = 32;
/// Arguments of which each is shown as `?`.
const MAX_SHOWN: usize = 8;
/// Messages of one command that are told apart.
const MAX_KEYS: usize = 8;
/// Elements of a stream's entry that are looked at.
const MAX_FIELDS: usize = 64;

/// Commands whose first argument says what they do (`COMMAND LIST` of Redis 7.4, those with subcommands).
const CONTAINERS: [&[u8]; 19] = [
    b"ACL",
    b"CLIENT",
    b"CLUSTER",
    b"COMMAND",
    b"CONFIG",
    b"DEBUG",
    b"FUNCTION",
    b"LATENCY",
    b"MEMORY",
    b"MODULE",
    b"OBJECT",
    b"PUBSUB",
    b"SCRIPT",
    b"SENTINEL",
    b"SLOWLOG",
    b"XGROUP",
    b"XINFO",
    b"HOTKEYS",
    b"VSIM",
];

/// What a command does to the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Act {
    /// Nothing.
    None,
    /// SELECT: the database with this number becomes the current one.
    Select(Option<u32>),
    /// RESET: as after connecting.
    Reset,
    /// MULTI.
    Multi,
    /// EXEC or DISCARD.
    Exec,
    /// SUBSCRIBE and the like: answered by so many confirmations.
    Subscribe(u32),
    /// UNSUBSCRIBE and the like; 0: of all.
    Unsubscribe(u32),
    /// MONITOR: lines follow without end.
    Monitor,
    /// PSYNC, SYNC: what follows is another protocol.
    Replicate,
    /// CLIENT REPLY OFF: nothing is answered any more, this included.
    Mute,
    /// CLIENT REPLY SKIP: neither this nor the next command is answered.
    Skip,
    /// CLIENT REPLY ON.
    Unmute,
}

/// What a command says of messages.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Queue {
    /// Nothing.
    None,
    /// It appends to a list or a stream.
    Puts,
    /// It waits for the next element of a list, and takes it away: the answer names it in this way.
    Takes(Shape),
    /// It says that an element has been dealt with.
    Finishes,
}

/// How the answer of a command names what it takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Shape {
    /// The list's key and the element.
    Pair,
    /// The element.
    Element,
    /// The list's key and a list of elements.
    Several,
    /// Streams, each with its entries.
    Stream,
}

/// A command.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Command {
    name: [u8; 2 * MAX_NAME],
    len: usize,
    /// Arguments, without the second word of the name.
    pub arguments: usize,
    /// What it does to the connection.
    pub act: Act,
    /// What it says of messages.
    pub queue: Queue,
    /// The time until its answer may be waiting for something to happen.
    pub is_blocking: bool,
    /// The messages that it puts into a list or a stream, hashed.
    pub keys: Vec<u64>,
}

impl Command {
    /// Its name in upper case, of two words where the first does not say what it does.
    pub(super) fn name(&self) -> &[u8] {
        self.name.get(..self.len).unwrap_or_default()
    }

    /// It with its arguments as `?`, at most `limit` bytes.
    pub(super) fn target(&self, limit: usize) -> Box<str> {
        let name = String::from_utf8_lossy(self.name());
        let shown = self.arguments.min(MAX_SHOWN);
        let more = if self.arguments > MAX_SHOWN { " ..." } else { "" };
        // Exactly as long as it gets: it need not be moved.
        let mut text = String::with_capacity(name.len() + 2 * shown + more.len());
        text.push_str(&name);
        for _ in 0..shown {
            text.push_str(" ?");
        }
        text.push_str(more);
        // All of it is ASCII.
        text.truncate(limit);
        text.into_boxed_str()
    }

    fn push(&mut self, word: &[u8]) {
        for (to, from) in self.name.iter_mut().skip(self.len).zip(word.iter().take(MAX_NAME)) {
            *to = from.to_ascii_uppercase();
            self.len += 1;
        }
    }
}

/// Reads a command that was kept; `is_cut`: not all of it was. `None`: it says nothing (an empty array or line).
pub(super) fn read(bytes: &[u8], is_cut: bool, limits: &Limits) -> Option<Command> {
    let mut inline = [&b""[..]; MAX_FIELDS];
    let is_array = bytes.first() == Some(&b'*');
    let (count, mut words) = if is_array {
        let mut words = Words::new(bytes);
        (words.list()?, Arguments::Array(words))
    } else {
        let split = bytes.split(|byte| byte.is_ascii_whitespace()).filter(|word| !word.is_empty());
        let mut count = 0;
        for (to, word) in inline.iter_mut().zip(split) {
            *to = word;
            count += 1;
        }
        (count, Arguments::Line(inline.iter().take(count)))
    };
    if count == 0 {
        return None;
    }
    let mut command = Command {
        name: [0; 2 * MAX_NAME],
        len: 0,
        arguments: count - 1,
        act: Act::None,
        queue: Queue::None,
        is_blocking: false,
        keys: Vec::new(),
    };
    match words.next().filter(|name| is_name(name)) {
        Some(name) => command.push(name),
        None => {
            // What is no name is not shown.
            command.push(b"?");
            return Some(command);
        }
    }
    let mut second = words.clone();
    if CONTAINERS.contains(&command.name())
        && let Some(word) = second.next().filter(|word| is_name(word))
    {
        if command.name() == b"CLIENT" && word.eq_ignore_ascii_case(b"REPLY") {
            command.act = match second.next().map(<[u8]>::to_ascii_uppercase).as_deref() {
                Some(b"OFF") => Act::Mute,
                Some(b"SKIP") => Act::Skip,
                Some(b"ON") => Act::Unmute,
                _ => Act::None,
            };
        }
        command.push(b" ");
        command.push(word);
        command.arguments -= 1;
        return Some(command);
    }
    understand(&mut command, words, is_cut, limits);
    Some(command)
}

/// What follows from the command.
fn understand(command: &mut Command, mut words: Arguments<'_>, is_cut: bool, limits: &Limits) {
    let count = u32::try_from(command.arguments).unwrap_or(u32::MAX);
    match command.name() {
        b"SELECT" => {
            let number = words.next().and_then(|word| std::str::from_utf8(word).ok()?.parse().ok());
            command.act = Act::Select(number);
        }
        b"RESET" => command.act = Act::Reset,
        b"MULTI" => command.act = Act::Multi,
        b"EXEC" | b"DISCARD" => command.act = Act::Exec,
        b"SUBSCRIBE" | b"PSUBSCRIBE" | b"SSUBSCRIBE" => command.act = Act::Subscribe(count),
        b"UNSUBSCRIBE" | b"PUNSUBSCRIBE" | b"SUNSUBSCRIBE" => command.act = Act::Unsubscribe(count),
        b"MONITOR" => command.act = Act::Monitor,
        b"PSYNC" | b"SYNC" => command.act = Act::Replicate,
        b"BLPOP" | b"BRPOP" => command.takes(Shape::Pair),
        b"BLMOVE" | b"BRPOPLPUSH" => command.takes(Shape::Element),
        b"BLMPOP" => command.takes(Shape::Several),
        b"BZPOPMIN" | b"BZPOPMAX" | b"BZMPOP" | b"WAIT" | b"WAITAOF" => command.is_blocking = true,
        b"XREADGROUP" => {
            let blocks = waits(words);
            command.takes(Shape::Stream);
            command.is_blocking = blocks;
        }
        b"XREAD" => command.is_blocking = waits(words),
        b"XACK" | b"XACKDEL" => command.queue = Queue::Finishes,
        b"LPUSH" | b"RPUSH" | b"LPUSHX" | b"RPUSHX" => {
            command.queue = Queue::Puts;
            words.next();
            if !is_cut {
                let keys = words.take(MAX_KEYS + 1).filter_map(|word| element(word, limits));
                command.keys = keys.collect();
                if command.arguments > MAX_KEYS + 1 {
                    command.keys.clear();
                }
            }
        }
        b"XADD" => {
            command.queue = Queue::Puts;
            words.next();
            let rest: Vec<&[u8]> = words.take(MAX_FIELDS).collect();
            if let (false, Some(fields)) = (is_cut || command.arguments > MAX_FIELDS + 1, fields_of(&rest)) {
                command.keys.extend(entry(fields, limits));
            }
        }
        _ => {}
    }
}

impl Command {
    fn takes(&mut self, shape: Shape) {
        self.queue = Queue::Takes(shape);
        self.is_blocking = true;
    }
}

/// Whether XREAD waits: BLOCK stands among its options.
fn waits(words: Arguments<'_>) -> bool {
    words
        .take_while(|word| !word.eq_ignore_ascii_case(b"STREAMS"))
        .any(|word| word.eq_ignore_ascii_case(b"BLOCK"))
}

/// The fields of an entry, given what stands behind the stream's key in XADD: options, the id, and they.
fn fields_of<'a, 'b>(rest: &'b [&'a [u8]]) -> Option<&'b [&'a [u8]]> {
    let mut at = 0;
    loop {
        let word = rest.get(at)?.to_ascii_uppercase();
        at += match word.as_slice() {
            b"NOMKSTREAM" | b"KEEPREF" | b"DELREF" | b"ACKED" => 1,
            b"MAXLEN" | b"MINID" if matches!(rest.get(at + 1), Some(&(b"=" | b"~"))) => 3,
            b"MAXLEN" | b"MINID" | b"LIMIT" => 2,
            _ => return rest.get(at + 1..),
        };
    }
}

/// The hash of an element that no other is likely to be like: it holds something that looks drawn at random. Elements that say the
/// same every time name no message.
pub(super) fn element(bytes: &[u8], limits: &Limits) -> Option<u64> {
    let mut tokens = Tokens::new(limits.hash_key);
    tokens.target(bytes);
    (!tokens.found().is_empty()).then(|| limits.hash_key.hash(&[b"element", bytes]))
}

/// The same of the fields of a stream's entry.
pub(super) fn entry(fields: &[&[u8]], limits: &Limits) -> Option<u64> {
    let is_random = fields.iter().any(|field| {
        let mut tokens = Tokens::new(limits.hash_key);
        tokens.target(field);
        !tokens.found().is_empty()
    });
    is_random.then(|| limits.hash_key.hash(fields))
}

/// Whether a word can be shown as the name of a command.
fn is_name(word: &[u8]) -> bool {
    let is_letter = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    (1..=MAX_NAME).contains(&word.len())
        && word.first().is_some_and(u8::is_ascii_alphabetic)
        && word.iter().all(is_letter)
}

/// The words of a command, of either form.
#[derive(Clone)]
enum Arguments<'a> {
    Array(Words<'a>),
    Line(std::iter::Take<std::slice::Iter<'a, &'a [u8]>>),
}

impl<'a> Iterator for Arguments<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        match self {
            Arguments::Array(words) => words.text(),
            Arguments::Line(words) => words.next().copied(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A command as client libraries send it.
    fn array(words: &[&str]) -> Vec<u8> {
        let mut bytes = format!("*{}\r\n", words.len()).into_bytes();
        for word in words {
            bytes.extend_from_slice(format!("${}\r\n{word}\r\n", word.len()).as_bytes());
        }
        bytes
    }

    fn of(words: &[&str]) -> Command {
        read(&array(words), false, &Limits::default()).unwrap()
    }

    const ID: &str = "7b0e2a4c-9d3f-4a51-8c66-1f2e3d4c5b6a";

    #[test]
    fn names_are_shown_and_arguments_are_not() {
        for (words, target) in [
            (&["set", "user:secret", "pw", "EX", "5"][..], "SET ? ? ? ?"),
            (&["PING"], "PING"),
            (&["client", "setname", "me"], "CLIENT SETNAME ?"),
            (&["Config", "Get", "requirepass"], "CONFIG GET ?"),
            (&["FT.SEARCH", "idx", "q"], "FT.SEARCH ? ?"),
            (&["AUTH", "user", "pw"], "AUTH ? ?"),
            (&["COMMAND"], "COMMAND"),
            (&["pass word", "x"], "? ?"),
            (&["DEL", "1", "2", "3", "4", "5", "6", "7", "8", "9"], "DEL ? ? ? ? ? ? ? ? ..."),
        ] {
            assert_eq!(&*of(words).target(2048), target);
        }
        assert_eq!(&*of(&["DEL", "1"]).target(4), "DEL ");
        let by_hand = read(b" get  a\r\n", false, &Limits::default()).unwrap();
        assert_eq!((by_hand.name(), by_hand.arguments), (&b"GET"[..], 1));
        for empty in [&b"\r\n"[..], b"*0\r\n", b"*-1\r\n", b"  \n"] {
            assert_eq!(read(empty, false, &Limits::default()), None);
        }
        let cut = read(b"*3\r\n$3\r\nSET\r\n$100\r\nab", true, &Limits::default()).unwrap();
        assert_eq!(&*cut.target(2048), "SET ? ?");
    }

    #[test]
    fn what_follows_from_a_command() {
        assert_eq!(of(&["SELECT", "5"]).act, Act::Select(Some(5)));
        assert_eq!(of(&["select", "x"]).act, Act::Select(None));
        assert_eq!(of(&["SUBSCRIBE", "a", "b"]).act, Act::Subscribe(2));
        assert_eq!(of(&["CLIENT", "REPLY", "off"]).act, Act::Mute);
        assert!(of(&["BLPOP", "q", "0"]).is_blocking);
        assert!(of(&["XREAD", "COUNT", "1", "block", "5", "STREAMS", "s", "$"]).is_blocking);
        assert!(!of(&["XREAD", "STREAMS", "BLOCK", "$"]).is_blocking);
    }

    #[test]
    fn a_message_is_named_by_what_it_says_if_that_names_it() {
        let one = of(&["LPUSH", "q", ID]);
        assert_eq!(one.keys.len(), 1);
        assert_eq!(one.keys[0], element(ID.as_bytes(), &Limits::default()).unwrap());
        assert_ne!(of(&["LPUSH", "q", &ID.replace('7', "8")]).keys, one.keys);
        assert!(of(&["LPUSH", "q", "refresh all the caches now"]).keys.is_empty());
        assert_eq!(of(&["RPUSH", "q", ID, "x", &ID.replace('7', "8")]).keys.len(), 2);
        let cut = read(&array(&["LPUSH", "q", ID])[..30], true, &Limits::default()).unwrap();
        assert!(cut.keys.is_empty());
    }

    #[test]
    fn an_entry_of_a_stream_is_its_fields() {
        let plain = of(&["XADD", "s", "*", "job", ID]).keys;
        assert_eq!(plain, [entry(&[b"job", ID.as_bytes()], &Limits::default()).unwrap()]);
        for options in
            [&["MAXLEN", "~", "1000"][..], &["NOMKSTREAM", "MINID", "5-1", "LIMIT", "7"], &["maxlen", "5"]]
        {
            let words = [&["XADD", "s"], options, &["5-1", "job", ID]].concat();
            assert_eq!(of(&words).keys, plain, "{options:?}");
        }
    }
}
