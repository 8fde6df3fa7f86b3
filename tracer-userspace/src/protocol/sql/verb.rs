//! The commands of SQL, and where they name the table that they are about.

use super::Family;

/// What is known of a command.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Verb {
    /// In capitals.
    pub name: &'static str,
    /// Where its table stands.
    pub table: Place,
}

/// Where a command names its table.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Place {
    /// It has none, or none that is certain.
    None,
    /// Behind the first FROM that is not in parentheses.
    AnyFrom,
    /// Behind this word, before which only [`BEFORE_GATE`] stand.
    Behind(&'static str),
    /// The same, but MySQL does not ask for the word.
    BehindOr(&'static str),
}

/// Words before the one behind which the table stands.
pub(super) const BEFORE_GATE: &[&str] = &[
    "LOW_PRIORITY",
    "HIGH_PRIORITY",
    "DELAYED",
    "QUICK",
    "IGNORE",
    "TEMPORARY",
    "TEMP",
    "UNLOGGED",
    "GLOBAL",
    "LOCAL",
    "FOREIGN",
    "OR",
    "REPLACE",
];

/// Commands that are about a table.
const TABLES: &[Verb] = &[
    Verb { name: "SELECT", table: Place::AnyFrom },
    Verb { name: "INSERT", table: Place::BehindOr("INTO") },
    Verb { name: "UPDATE", table: Place::Behind("") },
    Verb { name: "DELETE", table: Place::Behind("FROM") },
    Verb { name: "REPLACE", table: Place::BehindOr("INTO") },
    Verb { name: "MERGE", table: Place::Behind("INTO") },
    Verb { name: "COPY", table: Place::Behind("") },
    Verb { name: "TRUNCATE", table: Place::BehindOr("TABLE") },
    Verb { name: "TABLE", table: Place::Behind("") },
    Verb { name: "CREATE", table: Place::Behind("TABLE") },
    Verb { name: "ALTER", table: Place::Behind("TABLE") },
    Verb { name: "DROP", table: Place::Behind("TABLE") },
    Verb { name: "LOCK", table: Place::Behind("TABLE") },
];

/// Other commands: PostgreSQL's manual, "SQL Commands"; MySQL's, "SQL Statements".
const OTHERS: &[&str] = &[
    "ABORT",
    "ANALYZE",
    "BACKUP",
    "BEGIN",
    "BINLOG",
    "CACHE",
    "CALL",
    "CHANGE",
    "CHECK",
    "CHECKPOINT",
    "CHECKSUM",
    "CLONE",
    "CLOSE",
    "CLUSTER",
    "COMMENT",
    "COMMIT",
    "DEALLOCATE",
    "DECLARE",
    "DESC",
    "DESCRIBE",
    "DISCARD",
    "DO",
    "END",
    "EXECUTE",
    "EXPLAIN",
    "FETCH",
    "FLUSH",
    "GRANT",
    "HANDLER",
    "HELP",
    "IMPORT",
    "INSTALL",
    "KILL",
    "LISTEN",
    "LOAD",
    "MOVE",
    "NOTIFY",
    "OPTIMIZE",
    "PREPARE",
    "PURGE",
    "REASSIGN",
    "REFRESH",
    "REINDEX",
    "RELEASE",
    "RENAME",
    "REPAIR",
    "RESET",
    "RESIGNAL",
    "RESTART",
    "REVOKE",
    "ROLLBACK",
    "SAVEPOINT",
    "SECURITY",
    "SET",
    "SHOW",
    "SHUTDOWN",
    "SIGNAL",
    "START",
    "STOP",
    "UNINSTALL",
    "UNLISTEN",
    "UNLOCK",
    "USE",
    "VACUUM",
    "VALUES",
    "WITH",
    "XA",
];

/// What a word commands.
pub(super) fn find(word: &[u8]) -> Option<Verb> {
    let same = |name: &str| name.as_bytes().eq_ignore_ascii_case(word);
    TABLES.iter().find(|verb| same(verb.name)).copied().or_else(|| {
        let name = OTHERS.iter().find(|name| same(name))?;
        Some(Verb { name, table: Place::None })
    })
}

/// Whether a word is one of a list in capitals.
pub(super) fn is_one(word: &[u8], names: &[&str]) -> bool {
    names.iter().any(|name| name.as_bytes().eq_ignore_ascii_case(word))
}

impl Verb {
    /// Words before a table's name that no table can be called by.
    pub fn before_name(&self, family: Family) -> &'static [&'static str] {
        match (family, matches!(self.name, "CREATE" | "ALTER" | "DROP")) {
            (Family::PostgreSql, true) => &["ONLY", "IF", "NOT", "EXISTS"],
            (Family::PostgreSql, false) => &["ONLY"],
            (Family::MySql, true) => &["IF", "NOT", "EXISTS"],
            (Family::MySql, false) => &["LOW_PRIORITY", "HIGH_PRIORITY", "DELAYED", "IGNORE"],
        }
    }
}

impl Place {
    /// The word behind which the table stands, and whether it must be there; `None`: there is no such place.
    pub fn gate(self, family: Family) -> Option<(&'static str, bool)> {
        match self {
            Place::None => None,
            Place::AnyFrom => Some(("FROM", true)),
            Place::Behind(word) => Some((word, !word.is_empty())),
            // PostgreSQL's TRUNCATE is the one that lets it out too.
            Place::BehindOr(word) => Some((word, family == Family::PostgreSql && word != "TABLE")),
        }
    }
}
