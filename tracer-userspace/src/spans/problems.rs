//! What was wrong with a file of traces, and what was made of it.

use std::fmt;

use super::parse::Unusable;
use crate::text::plural;

/// So many places are named; the rest is counted.
const MAX_NAMED: usize = 3;

/// Something odd in a span that is used all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doubt {
    /// Its duration is below zero; it is taken for zero.
    NegativeDuration,
    /// It has no service, or no operation.
    Unnamed,
}

/// The problems of one file, counted.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Problems {
    /// Spans that could not be used.
    pub unusable: u64,
    /// The first of them.
    pub named: Vec<Unusable>,
    /// The file ends within the array, on this line.
    pub cut: Option<u64>,
    /// Something stands behind the array, from this line on, and was not read.
    pub more: Option<u64>,
    /// Spans with the trace and id of one before them: left out.
    pub duplicates: u64,
    /// Spans whose parent is not in the file: drawn as beginnings.
    pub absent_parents: u64,
    /// Spans that are among their own ancestors: the earliest of each circle is drawn as a beginning.
    pub circles: u64,
    /// Durations below zero: taken for zero.
    pub negative: u64,
    /// Spans without a service or an operation.
    pub unnamed: u64,
}

impl Problems {
    /// A span could not be used.
    pub fn unusable(&mut self, problem: Unusable) {
        self.unusable += 1;
        if self.named.len() < MAX_NAMED {
            self.named.push(problem);
        }
    }

    /// A span was used by rule.
    pub fn doubt(&mut self, doubt: Doubt) {
        match doubt {
            Doubt::NegativeDuration => self.negative += 1,
            Doubt::Unnamed => self.unnamed += 1,
        }
    }

    /// Whether spans are missing: what is shown is then not the whole file.
    pub fn lost_any(&self) -> bool {
        self.unusable > 0 || self.cut.is_some() || self.more.is_some()
    }
}

/// One line a problem; nothing where there is none. Parents that are not in the file are no problem of it: a recording
/// of chosen processes has many.
impl fmt::Display for Problems {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for problem in &self.named {
            writeln!(f, "{problem}; the span is left out")?;
        }
        if let Some(more @ 1..) = self.unusable.checked_sub(self.named.len() as u64) {
            writeln!(f, "{} left out for the like", plural(more, "more span"))?;
        }
        if let Some(line) = self.cut {
            writeln!(f, "the file ends in the middle, on line {line}; what is whole before that is used")?;
        }
        if let Some(line) = self.more {
            writeln!(f, "something follows the array of spans on line {line}, and is not read")?;
        }
        for (number, what) in [
            (self.duplicates, "with the id of one before: left out"),
            (self.circles, "among their own ancestors: each circle is cut at its earliest span"),
            (self.negative, "with a duration below zero: taken for zero"),
            (self.unnamed, "without serviceName or operationName"),
        ] {
            if number > 0 {
                writeln!(f, "{} {what}", plural(number, "span"))?;
            }
        }
        Ok(())
    }
}
