//! The prepared statements of a connection, by the numbers that the server gave them.

use std::collections::VecDeque;
use std::sync::Arc;

/// How many are remembered; the oldest is forgotten first, and what executes it is then not known.
const MAX: usize = 256;

/// The number that stands for the statement prepared last (MariaDB).
const LAST: u32 = u32::MAX;

/// What a prepared statement does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Statement {
    /// In capitals.
    pub verb: Arc<str>,
    /// Without its values.
    pub text: Box<str>,
    pub table: Option<Arc<str>>,
    pub truncated: bool,
}

/// Those of one connection, the oldest first.
#[derive(Clone, Debug, Default)]
pub(super) struct Statements {
    known: VecDeque<(u32, Arc<Statement>)>,
    /// The one that the client asked to be prepared last: it may execute it before it knows its number.
    last: Option<Arc<Statement>>,
}

impl Statements {
    pub fn get(&self, number: u32) -> Option<Arc<Statement>> {
        if number == LAST {
            return self.last.clone();
        }
        self.known
            .iter()
            .rev()
            .find(|(known, _)| *known == number)
            .map(|(_, statement)| Arc::clone(statement))
    }

    /// The client wants a statement prepared.
    pub fn asked(&mut self, statement: &Arc<Statement>) {
        self.last = Some(Arc::clone(statement));
    }

    /// The server has given it a number.
    pub fn add(&mut self, number: u32, statement: Arc<Statement>) {
        self.close(number);
        if self.known.len() >= MAX {
            self.known.pop_front();
        }
        self.known.push_back((number, statement));
    }

    pub fn close(&mut self, number: u32) {
        self.known.retain(|(known, _)| *known != number);
    }

    pub fn clear(&mut self) {
        *self = Statements::default();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_oldest_are_forgotten_first() {
        let statement = |text: &str| {
            Arc::new(Statement { verb: "SELECT".into(), text: text.into(), table: None, truncated: false })
        };
        let mut statements = Statements::default();
        assert_eq!(statements.get(LAST), None);
        for number in 0..MAX as u32 + 1 {
            statements.add(number, statement("a"));
        }
        assert!(statements.get(0).is_none() && statements.get(1).is_some());
        statements.add(5, statement("b"));
        statements.asked(&statement("c"));
        assert_eq!(&*statements.get(LAST).unwrap().text, "c");
        assert_eq!(&*statements.get(5).unwrap().text, "b");
        statements.close(5);
        assert!(statements.get(5).is_none());
        statements.clear();
        assert!(statements.get(1).is_none());
    }
}
