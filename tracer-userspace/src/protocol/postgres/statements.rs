//! Prepared statements: what the names stand for that a client gives to its statements, and the portals made of them.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use crate::exchange::{Attribute, Extra, Protocol, RequestHead};
use crate::protocol::Context;
use crate::protocol::calls::Begun;
use crate::protocol::sql::{Dialect, normalise};

/// Statements of one connection that are remembered.
pub(super) const MAX_STATEMENTS: usize = 512;
/// Bytes of their texts.
const MAX_BYTES: usize = 128 * 1024;
/// Portals of one connection that are remembered. Nearly all clients have only the one without a name.
pub(super) const MAX_PORTALS: usize = 16;
/// The longest name (`NAMEDATALEN` less one); a longer one is forgotten.
const MAX_NAME: usize = 63;

/// A statement.
#[derive(Debug)]
pub(super) struct Known {
    pub verb: Arc<str>,
    text: Box<str>,
    table: Option<Arc<str>>,
    truncated: bool,
}

/// What is to be executed.
#[derive(Clone, Debug)]
pub(super) enum What {
    /// A statement whose text was seen.
    Known(Arc<Known>),
    /// One that was prepared before it could be seen, by its name; `None`: it has none.
    Unknown(Option<Arc<str>>),
}

impl Known {
    pub fn read(cx: &mut Context<'_>, dialect: Dialect, text: &[u8], truncated: bool) -> Known {
        let told = normalise(dialect, text, truncated, cx.limits.target);
        let verb = cx.names.method(told.verb.as_bytes());
        let table = told.table.map(|table| cx.names.method(table.as_bytes()));
        Known { verb, text: told.text, table, truncated: told.truncated }
    }

    /// What is said of a request for a statement that is executed but once.
    pub fn into_head(self, host: Option<&Arc<str>>) -> RequestHead {
        RequestHead {
            protocol: Protocol::PostgreSql,
            host: host.cloned(),
            method: self.verb,
            target: self.text,
            truncated: self.truncated,
            extra: of_table(self.table.as_ref()),
            ..RequestHead::default()
        }
    }
}

fn of_table(table: Option<&Arc<str>>) -> Option<Box<Extra>> {
    with(table.map(|table| Attribute::text("db.sql.table", Arc::clone(table))))
}

fn with(attribute: Option<Attribute>) -> Option<Box<Extra>> {
    attribute.map(|one| Box::new(Extra { attributes: vec![one], ..Extra::default() }))
}

impl What {
    /// What is said of a request for it. `verb`: in place of the statement's own.
    pub fn head(&self, cx: &mut Context<'_>, host: Option<&Arc<str>>, verb: Option<&str>) -> RequestHead {
        let mut head =
            RequestHead { protocol: Protocol::PostgreSql, host: host.cloned(), ..RequestHead::default() };
        head.extra = match self {
            What::Known(known) => {
                head.method =
                    verb.map_or_else(|| Arc::clone(&known.verb), |verb| cx.names.method(verb.as_bytes()));
                head.target = known.text.clone();
                head.truncated = known.truncated;
                of_table(known.table.as_ref())
            }
            What::Unknown(name) => {
                head.method = cx.names.method(verb.unwrap_or("EXECUTE").as_bytes());
                with(
                    name.as_ref()
                        .map(|name| Attribute::text("db.postgresql.statement_name", Arc::clone(name))),
                )
            }
        };
        head
    }
}

/// A statement bound to its parameters.
#[derive(Clone, Debug)]
pub(super) struct Portal {
    name: Box<[u8]>,
    pub what: What,
    /// Where the exchange began, and how many bytes of it there were so far; `None`: it was executed already.
    pub fresh: Option<(Begun, u64)>,
}

/// Of one connection.
#[derive(Debug, Default)]
pub(super) struct Statements {
    named: FxHashMap<Box<[u8]>, (Arc<Known>, u64)>,
    unnamed: Option<Arc<Known>>,
    bytes: usize,
    clock: u64,
    portals: Vec<Portal>,
}

impl Statements {
    pub fn insert(&mut self, name: &[u8], known: Arc<Known>) {
        if name.is_empty() {
            self.unnamed = Some(known);
            return;
        }
        self.remove(name);
        let size = known.text.len();
        if name.len() > MAX_NAME || size > MAX_BYTES {
            return;
        }
        while self.named.len() >= MAX_STATEMENTS || self.bytes + size > MAX_BYTES {
            let oldest = self.named.iter().min_by_key(|(_, (_, used))| *used).map(|(name, _)| name.clone());
            let Some(oldest) = oldest else { break };
            self.remove(&oldest);
        }
        self.clock += 1;
        self.bytes += size;
        self.named.insert(Box::from(name), (known, self.clock));
    }

    pub fn remove(&mut self, name: &[u8]) {
        if let Some((known, _)) = self.named.remove(name) {
            self.bytes = self.bytes.saturating_sub(known.text.len());
        }
    }

    /// What a name stands for.
    pub fn find(&mut self, name: &[u8]) -> What {
        if name.is_empty() {
            return self.unnamed.clone().map_or(What::Unknown(None), What::Known);
        }
        self.clock += 1;
        match self.named.get_mut(name) {
            Some((known, used)) => {
                *used = self.clock;
                What::Known(Arc::clone(known))
            }
            None => What::Unknown(shown(name)),
        }
    }

    pub fn bind(&mut self, name: &[u8], what: What, begun: Begun, bytes: u64) {
        self.unbind(name);
        if self.portals.len() >= MAX_PORTALS {
            self.portals.remove(0);
        }
        if name.len() <= MAX_NAME {
            self.portals.push(Portal { name: Box::from(name), what, fresh: Some((begun, bytes)) });
        }
    }

    pub fn unbind(&mut self, name: &[u8]) {
        self.portals.retain(|portal| *portal.name != *name);
    }

    pub fn portal(&mut self, name: &[u8]) -> Option<&mut Portal> {
        self.portals.iter_mut().find(|portal| *portal.name == *name)
    }

    /// The portal that was bound last.
    pub fn last_portal(&mut self) -> Option<&mut Portal> {
        self.portals.last_mut()
    }

    /// What portals there are is not known.
    pub fn forget_portals(&mut self) {
        self.portals.clear();
    }

    /// Requests were not seen: what names stand for may have changed.
    pub fn forget(&mut self) {
        *self = Statements::default();
    }
}

/// A statement's name as it may be shown.
fn shown(name: &[u8]) -> Option<Arc<str>> {
    let text = std::str::from_utf8(name).ok()?;
    (text.len() <= MAX_NAME && !text.chars().any(char::is_control)).then(|| Arc::from(text))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(text: &str) -> Arc<Known> {
        Arc::new(Known { verb: Arc::from("SELECT"), text: Box::from(text), table: None, truncated: false })
    }

    fn text(what: &What) -> Option<&str> {
        match what {
            What::Known(known) => Some(&known.text),
            What::Unknown(_) => None,
        }
    }

    #[test]
    fn what_was_not_used_for_long_is_forgotten_first() {
        let mut statements = Statements::default();
        for number in 0..MAX_STATEMENTS {
            statements.insert(format!("s{number}").as_bytes(), known("SELECT ?"));
        }
        assert_eq!(text(&statements.find(b"s0")), Some("SELECT ?"));
        statements.insert(b"new", known("SELECT a"));
        assert_eq!(statements.named.len(), MAX_STATEMENTS);
        assert_eq!(text(&statements.find(b"s0")), Some("SELECT ?"));
        assert_eq!(text(&statements.find(b"s1")), None);
    }

    #[test]
    fn texts_are_bounded_together() {
        let mut statements = Statements::default();
        let long = "x".repeat(2000);
        for number in 0..200 {
            statements.insert(format!("s{number}").as_bytes(), known(&long));
        }
        assert!(statements.bytes <= MAX_BYTES, "{}", statements.bytes);
        for number in 0..200 {
            statements.remove(format!("s{number}").as_bytes());
        }
        assert_eq!(statements.bytes, 0);
    }
}
