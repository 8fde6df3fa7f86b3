//! What a client asks for: the command packet as a request, without the values in it.

use std::sync::Arc;

use super::answer::Shape;
use super::handshake;
use super::packet::Reader;
use super::statements::{Statement, Statements};
use crate::exchange::{Attribute, Extra, Protocol, RequestHead};
use crate::protocol::names::Names;
use crate::protocol::sql::{self, Backslash, Dialect};

/// What follows for the connection once a command has succeeded.
#[derive(Clone, Debug)]
pub(super) enum Effect {
    None,
    /// Another schema; `None`: which one is not known.
    Schema(Option<Arc<str>>),
    /// The statement gets a number.
    Prepare(Arc<Statement>),
    /// Prepared statements are forgotten.
    Reset,
    /// The same, and another schema.
    User(Option<Arc<str>>),
}

/// A command that was read.
pub(super) enum Command {
    /// Something that is answered.
    Ask { head: RequestHead, shape: Shape, effect: Effect },
    /// Nobody answers it. `closes`: the statement that is not needed any more.
    Tell { closes: Option<u32> },
    /// No command.
    Unknown,
}

/// What is known of the connection.
pub(super) struct Setting<'a> {
    pub schema: Option<&'a Arc<str>>,
    pub backslash: Backslash,
    pub statements: &'a Statements,
    pub names: &'a mut Names,
    /// Bytes of a statement that are kept.
    pub limit: usize,
}

/// Whether a byte is a command's.
pub(super) fn is_command(byte: u8) -> bool {
    matches!(byte, 0x01..=0x20 | 0xfa)
}

/// Reads a command. `truncated`: not all of it was captured.
pub(super) fn read(payload: &[u8], truncated: bool, setting: &mut Setting<'_>) -> Command {
    let Some((command, rest)) = payload.split_first() else { return Command::Unknown };
    let (name, shape) = match command {
        0x01 => return Command::Tell { closes: None },
        0x02 => {
            let schema = if truncated { None } else { setting.names.host(rest) };
            return ask(setting, "INIT_DB", Shape::Ok, Effect::Schema(schema));
        }
        0x03 => return query(rest, truncated, setting),
        0x04 => ("FIELD_LIST", Shape::Fields),
        0x05 => ("CREATE_DB", Shape::Ok),
        0x06 => ("DROP_DB", Shape::Ok),
        0x07 => ("REFRESH", Shape::Ok),
        0x08 => ("SHUTDOWN", Shape::Ok),
        0x09 => ("STATISTICS", Shape::Text),
        0x0a => ("PROCESS_INFO", Shape::Rows),
        0x0c => ("PROCESS_KILL", Shape::Ok),
        0x0d => ("DEBUG", Shape::Ok),
        0x0e => ("PING", Shape::Ok),
        0x11 => {
            let schema = handshake::change_user(rest).and_then(|schema| setting.names.host(schema));
            return ask(setting, "CHANGE_USER", Shape::Login, Effect::User(schema));
        }
        0x12 => ("BINLOG_DUMP", Shape::Stream),
        0x15 => ("REGISTER_SLAVE", Shape::Ok),
        0x16 => return prepare(rest, truncated, setting),
        0x17 | 0xfa => return execute(rest, setting),
        // What the client sends, or gives back, before and after it works with a statement.
        0x18 => return Command::Tell { closes: None },
        0x19 => return Command::Tell { closes: Reader(rest).u32() },
        0x1a => ("STMT_RESET", Shape::Ok),
        0x1b => ("SET_OPTION", Shape::Ok),
        0x1c => ("FETCH", Shape::Fetch),
        0x1e => ("BINLOG_DUMP_GTID", Shape::Stream),
        0x1f => return ask(setting, "RESET_CONNECTION", Shape::Ok, Effect::Reset),
        _ => return Command::Unknown,
    };
    ask(setting, name, shape, Effect::None)
}

fn ask(setting: &mut Setting<'_>, name: &str, shape: Shape, effect: Effect) -> Command {
    Command::Ask { head: head(setting, name, "".into()), shape, effect }
}

fn head(setting: &mut Setting<'_>, name: &str, target: Box<str>) -> RequestHead {
    RequestHead {
        protocol: Protocol::MySql,
        method: setting.names.method(name.as_bytes()),
        target,
        host: setting.schema.cloned(),
        ..RequestHead::default()
    }
}

fn with_table(mut head: RequestHead, table: Option<&Arc<str>>) -> RequestHead {
    if let Some(table) = table {
        let attributes = vec![Attribute::text("db.sql.table", Arc::clone(table))];
        head.extra = Some(Box::new(Extra { attributes, ..Extra::default() }));
    }
    head
}

/// The statement of COM_QUERY and what it does.
fn query(payload: &[u8], truncated: bool, setting: &mut Setting<'_>) -> Command {
    // What could not be passed over hides where the statement begins.
    let text = after_attributes(payload);
    let hidden = text.is_none();
    let text = text.unwrap_or_default();
    let statement = normalised(text, truncated || hidden, setting);
    let verb = if statement.verb.is_empty() { "QUERY" } else { statement.verb };
    let effect = if statement.verb == "USE" {
        let name = if truncated { None } else { used(text) };
        Effect::Schema(name.and_then(|name| setting.names.host(name)))
    } else if hidden || changes_schema(&statement.text) {
        Effect::Schema(None)
    } else {
        Effect::None
    };
    let mut head = head(setting, verb, statement.text);
    head.truncated = statement.truncated;
    let table = statement.table.map(|table| setting.names.method(table.as_bytes()));
    Command::Ask { head: with_table(head, table.as_ref()), shape: Shape::Rows, effect }
}

fn normalised(text: &[u8], truncated: bool, setting: &Setting<'_>) -> sql::Statement {
    let dialect = Dialect { backslash: setting.backslash, ..Dialect::MYSQL };
    sql::normalise(dialect, text, truncated, setting.limit)
}

fn prepare(text: &[u8], truncated: bool, setting: &mut Setting<'_>) -> Command {
    let statement = normalised(text, truncated, setting);
    let mut head = head(setting, "PREPARE", statement.text.clone());
    head.truncated = statement.truncated;
    let verb = if statement.verb.is_empty() { "EXECUTE" } else { statement.verb };
    let kept = Statement {
        verb: setting.names.method(verb.as_bytes()),
        text: statement.text,
        table: statement.table.map(|table| setting.names.method(table.as_bytes())),
        truncated: statement.truncated,
    };
    let head = with_table(head, kept.table.as_ref());
    Command::Ask { head, shape: Shape::Prepare, effect: Effect::Prepare(Arc::new(kept)) }
}

fn execute(payload: &[u8], setting: &mut Setting<'_>) -> Command {
    let statement = Reader(payload).u32().and_then(|number| setting.statements.get(number));
    let head = match statement {
        Some(statement) => {
            let mut head = head(setting, &statement.verb, statement.text.clone());
            head.truncated = statement.truncated;
            with_table(head, statement.table.as_ref())
        }
        None => head(setting, "EXECUTE", "".into()),
    };
    Command::Ask { head, shape: Shape::Rows, effect: Effect::None }
}

/// The schema that `USE name` names, given a statement that is one.
fn used(text: &[u8]) -> Option<&[u8]> {
    let text = text.trim_ascii();
    let name = text.get(3..).filter(|rest| rest.first().is_some_and(|byte| b" \t\r\n`".contains(byte)))?;
    if !text.get(..3)?.eq_ignore_ascii_case(b"use") {
        return None;
    }
    let name = name.trim_ascii();
    let name = name.strip_suffix(b";").unwrap_or(name).trim_ascii();
    let name = name.strip_prefix(b"`").and_then(|name| name.strip_suffix(b"`")).unwrap_or(name);
    let plain = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'$' | b'-');
    (!name.is_empty() && name.iter().all(plain)).then_some(name)
}

/// Whether another statement behind the first one may change the schema.
fn changes_schema(text: &str) -> bool {
    let is_use = |rest: &str| rest.trim_start().get(..3).is_some_and(|word| word.eq_ignore_ascii_case("use"));
    text.split(';').skip(1).any(is_use)
}

/// What follows the query's attributes (CLIENT_QUERY_ATTRIBUTES), if there are any: no statement has a byte of one at its second place.
/// `None`: they are not all there, or cannot be passed over.
fn after_attributes(payload: &[u8]) -> Option<&[u8]> {
    if payload.get(1) != Some(&1) {
        return Some(payload);
    }
    let mut reader = Reader(payload);
    let count = usize::try_from(reader.number()?).ok()?;
    reader.number()?;
    if count == 0 {
        return Some(reader.0);
    }
    let nulls = reader.take(count.div_ceil(8))?;
    let 1 = reader.byte()? else { return None };
    let mut types = Vec::new();
    for _ in 0..count {
        let [kind, _] = reader.take(2)? else { return None };
        reader.string()?;
        types.push(*kind);
    }
    for (at, kind) in types.into_iter().enumerate() {
        let is_null = nulls.get(at / 8).is_some_and(|bits| bits >> (at % 8) & 1 == 1);
        // Types of columns: NULL; of one, two, four and eight bytes; dates and times with their length; else strings.
        let len = match kind {
            _ if is_null => 0,
            6 => 0,
            1 => 1,
            2 | 13 => 2,
            3 | 4 | 9 => 4,
            5 | 8 => 8,
            7 | 10..=12 => usize::from(reader.byte()?),
            _ => usize::try_from(reader.number()?).ok()?,
        };
        reader.take(len)?;
    }
    Some(reader.0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn attributes_are_passed_over() {
        assert_eq!(after_attributes(b"SELECT 1"), Some(&b"SELECT 1"[..]));
        assert_eq!(after_attributes(b"\0\x01SELECT 1"), Some(&b"SELECT 1"[..]));
        // The example of MySQL's documentation: a string.
        let one = b"\x01\x01\0\x01\xfe\0\x01a\x011select @@x";
        assert_eq!(after_attributes(one), Some(&b"select @@x"[..]));
        let three = b"\x03\x01\x02\x01\x08\0\x01a\x03\0\x01b\x0c\0\0\x01\0\0\0\0\0\0\0\x04\x01\x02\x03\x04S";
        assert_eq!(after_attributes(three), Some(&b"S"[..]));
        for len in 2..three.len() - 1 {
            assert_eq!(after_attributes(&three[..len]), None, "{len}");
        }
    }

    #[test]
    fn use_names_a_schema_or_leaves_it_unknown() {
        assert_eq!(used(b"USE shop"), Some(&b"shop"[..]));
        assert_eq!(used(b" use `shop` ; "), Some(&b"shop"[..]));
        for other in [&b"use"[..], b"used", b"use a; use b", b"/* x */ use a", b"use 'a'", b"use `a``b`"] {
            assert_eq!(used(other), None, "{other:?}");
        }
        assert!(changes_schema("SELECT ?; USE b") && !changes_schema("SELECT ?; SELECT used"));
    }
}
