//! Finished spans, as files of traces hold them: ours, or anybody's with the same eight fields.
//!
//! `elements` cuts a file into its spans without holding it, `parse` reads one, and `table` keeps of each what lists, sums and trees take,
//! so that a million spans fit into little memory. What else a span says is read again from its [`Place`] in the file, when it is shown.
//! Whatever is converted (`export`), shown or compared (`report`, `breakdown`) begins here.

pub mod elements;
pub mod file;
mod intern;
pub mod parse;
pub mod problems;
pub mod table;
#[cfg(test)]
mod table_tests;
pub mod timestamp;

use std::borrow::Cow;

pub use problems::Problems;
pub use table::{Kind, NO_ROW, Row, Table, Trace};

/// Where a span stands in its file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// Of its first byte, the opening brace.
    pub offset: u64,
    /// Bytes to its closing brace, that included.
    pub len: u32,
}

/// A span with all that its file says of it.
#[derive(Clone, Debug, PartialEq)]
pub struct FileSpan<'a> {
    /// Its trace; never empty.
    pub trace_id: Cow<'a, str>,
    /// Its id; never empty.
    pub span_id: Cow<'a, str>,
    /// Its parent's id, if it names one.
    pub parent_span_id: Option<Cow<'a, str>>,
    /// Who did the work, or made the call.
    pub service_name: Cow<'a, str>,
    /// What was done.
    pub operation_name: Cow<'a, str>,
    /// Nanoseconds since 1970.
    pub start: i64,
    /// Nanoseconds.
    pub duration: u64,
    /// Everything else, in the file's order.
    pub tags: Vec<(Cow<'a, str>, Value<'a>)>,
}

/// The value of a tag.
#[derive(Clone, Debug, PartialEq)]
pub enum Value<'a> {
    /// `null`.
    Null,
    /// A truth value.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(Cow<'a, str>),
    /// A list.
    List(Vec<Value<'a>>),
    /// Named values.
    Map(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl Value<'_> {
    /// As text, if it is text.
    pub fn text(&self) -> Option<&str> {
        if let Value::Text(text) = self { Some(text) } else { None }
    }

    /// As a truth value. Tools differ in whether they write those as such or as text.
    pub fn truth(&self) -> bool {
        match self {
            Value::Bool(value) => *value,
            Value::Text(text) => text == "true",
            Value::Null | Value::Int(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => false,
        }
    }

    /// As a number, also one that is written as text.
    pub fn number(&self) -> Option<f64> {
        match self {
            Value::Int(number) => Some(*number as f64),
            Value::Float(number) => Some(*number),
            Value::Text(text) => text.parse().ok(),
            Value::Null | Value::Bool(_) | Value::List(_) | Value::Map(_) => None,
        }
    }

    /// As a whole number that fits.
    pub fn whole<T: TryFrom<i64>>(&self) -> Option<T> {
        match self {
            Value::Int(number) => T::try_from(*number).ok(),
            Value::Float(number) if number.fract() == 0.0 && number.abs() < 9e15 => {
                T::try_from(*number as i64).ok()
            }
            Value::Text(text) => T::try_from(text.parse().ok()?).ok(),
            Value::Null | Value::Bool(_) | Value::Float(_) | Value::List(_) | Value::Map(_) => None,
        }
    }
}

impl FileSpan<'_> {
    /// The first tag of that name.
    pub fn tag(&self, name: &str) -> Option<&Value<'_>> {
        self.tags.iter().find(|(key, _)| key == name).map(|(_, value)| value)
    }

    /// The text of a tag.
    pub fn text(&self, name: &str) -> Option<&str> {
        self.tag(name).and_then(Value::text)
    }

    /// When it ended, ns since 1970.
    pub fn end(&self) -> i64 {
        self.start.saturating_add_unsigned(self.duration)
    }
}
