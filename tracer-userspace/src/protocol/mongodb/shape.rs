//! A command without its values: `{find: users, filter: {age: {$gt: ?}}, limit: ?}`. Names of fields are kept, as those of columns
//! are in SQL; a name that looks like a value is `?`. Whole documents (what is inserted, what takes another's place) are `?`.

use super::bson::{Element, Elements, Ended, Value};

/// How deep documents are shown.
const DEPTH: usize = 6;
/// The longest name that is shown.
const MAX_NAME: usize = 64;
/// More digits than that are an id, not a name.
const MAX_DIGITS: usize = 3;
/// What drivers add to every command.
const NOISE: [&[u8]; 14] = [
    b"$db",
    b"lsid",
    b"$clusterTime",
    b"$readPreference",
    b"txnNumber",
    b"autocommit",
    b"apiVersion",
    b"apiStrict",
    b"apiDeprecationErrors",
    b"client",
    b"speculativeAuthenticate",
    b"compression",
    b"topologyVersion",
    b"comment",
];

/// Whether a name can be shown.
pub(super) fn is_name(name: &[u8]) -> bool {
    let fine = |byte: &u8| byte.is_ascii_alphanumeric() || b"_.$-".contains(byte);
    (1..=MAX_NAME).contains(&name.len())
        && name.iter().all(fine)
        && name.iter().filter(|byte| byte.is_ascii_digit()).count() <= MAX_DIGITS
}

/// Writes the shape of a command.
pub(super) struct Shape<'a> {
    text: &'a mut String,
    limit: usize,
    is_full: bool,
}

impl<'a> Shape<'a> {
    /// At most `limit` bytes, put together in a text that is there for it.
    pub fn new(text: &'a mut String, limit: usize) -> Shape<'a> {
        text.clear();
        Shape { text, limit: limit.saturating_sub(3), is_full: false }
    }

    /// The text; what is cut off ends in `...`.
    pub fn text(self) -> Box<str> {
        if self.is_full {
            self.text.push_str("...");
        }
        Box::from(self.text.as_str())
    }

    fn add(&mut self, text: &str) {
        self.is_full |= self.text.len() + text.len() > self.limit;
        if !self.is_full {
            self.text.push_str(text);
        }
    }

    fn name(&mut self, name: &[u8]) {
        let shown = std::str::from_utf8(name).ok().filter(|text| is_name(text.as_bytes()));
        self.add(shown.unwrap_or("?"));
    }

    /// A command; `collection`: the value of its first element, where that is one.
    pub fn command(&mut self, mut elements: Elements<'_>, collection: Option<&str>) {
        self.add("{");
        let mut is_first = true;
        while !self.is_full
            && let Some(Element { name, value }) = elements.next()
        {
            if NOISE.contains(&name) {
                continue;
            }
            if !is_first {
                self.add(", ");
            }
            self.name(name);
            self.add(": ");
            match (collection, name) {
                (Some(collection), _) if is_first => self.add(collection),
                // What is inserted.
                (_, b"documents") => self.add("?"),
                _ => self.value(value, DEPTH),
            }
            is_first = false;
        }
        self.close(&elements, "}");
    }

    fn close(&mut self, elements: &Elements<'_>, bracket: &str) {
        match elements.ended() {
            Ended::Well => self.add(bracket),
            _ => self.is_full = true,
        }
    }

    fn value(&mut self, value: Value<'_>, depth: usize) {
        match value {
            Value::Document(elements) if depth > 0 => self.document(elements, depth - 1),
            Value::Array(elements) if depth > 0 => self.array(elements, depth - 1),
            _ => self.add("?"),
        }
    }

    fn document(&mut self, mut elements: Elements<'_>, depth: usize) {
        self.add("{");
        let mut is_first = true;
        while !self.is_full
            && let Some(Element { name, value }) = elements.next()
        {
            if !std::mem::take(&mut is_first) {
                self.add(", ");
            }
            self.name(name);
            self.add(": ");
            match value {
                // A document that takes another's place is data.
                Value::Document(by) if name == b"u" && !is_operators(by) => self.add("?"),
                value => self.value(value, depth),
            }
        }
        self.close(&elements, "}");
    }

    /// Of elements that look alike, one.
    fn array(&mut self, mut elements: Elements<'_>, depth: usize) {
        self.add("[");
        let (mut before, mut is_first) = (self.text.len()..self.text.len(), true);
        while !self.is_full
            && let Some(Element { value, .. }) = elements.next()
        {
            let begin = self.text.len();
            if !is_first {
                self.add(", ");
            }
            let from = self.text.len();
            self.value(value, depth);
            if !is_first && !self.is_full && self.text.get(before.clone()) == self.text.get(from..) {
                self.text.truncate(begin);
                continue;
            }
            before = from..self.text.len();
            is_first = false;
        }
        self.close(&elements, "]");
    }
}

/// Whether a document says how another changes.
fn is_operators(mut document: Elements<'_>) -> bool {
    document.next().is_none_or(|element| element.name.starts_with(b"$"))
}
