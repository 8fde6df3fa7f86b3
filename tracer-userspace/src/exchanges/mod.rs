//! Observations from elsewhere: a file with one exchange on each line (`tracer analyze --exchanges`), described in
//! `docs/exchanges.md`.
//!
//! Whatever saw the exchanges (another tracer, a data set, a simulation), what follows from them is found by the very engine that
//! captures go through: `line` reads a line, `pairs` finds the two views of one call, `observe` tells it all as
//! [`Observation`]s.
//!
//! Lines may come in any order, so all of them are in memory before the first is used: at most [`MAX_EXCHANGES`] of them with at most
//! [`MAX_TEXT`] bytes of words, about 900 MB in all. What is beyond is refused, like lines that are wrong.

mod line;
mod observe;
mod pairs;

use std::io::{self, BufRead, Read};

use rustc_hash::FxHashMap;

use crate::analysis::Observation;
use crate::exchange::Side;
use line::Wrong;

/// Exchanges of one file.
pub const MAX_EXCHANGES: usize = 1 << 21;
/// Bytes of the words in them: ids one by one, everything else once.
pub const MAX_TEXT: usize = 1 << 28;
/// Processes of one file: what [`crate::process::ProcessTable`] surely keeps.
pub const MAX_PROCESSES: usize = 1 << 14;
/// Longest line, bytes.
pub const MAX_LINE: usize = 1 << 16;

/// A line that was not used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Refused {
    /// Its number, from 1.
    pub line: u64,
    /// Column of the byte at which it shows, from 1.
    pub column: usize,
    /// Why, in words.
    pub why: String,
}

/// An exchange; its words are numbers in lists.
#[derive(Clone, Debug)]
struct Exchange {
    process: u32,
    thread: Option<u32>,
    side: Side,
    operation: u32,
    start: u64,
    end: u64,
    connection: Option<u32>,
    id: Box<str>,
}

#[cfg(test)]
impl Default for Exchange {
    fn default() -> Self {
        let (side, id) = (Side::Server, Box::from(""));
        Self { process: 0, thread: None, side, operation: 0, start: 0, end: 0, connection: None, id }
    }
}

/// Words, each once.
#[derive(Debug, Default)]
struct Texts {
    list: Vec<Box<str>>,
    known: FxHashMap<Box<str>, u32>,
}

impl Texts {
    fn add(&mut self, text: String, bytes: &mut usize) -> u32 {
        if let Some(known) = self.known.get(&*text) {
            return *known;
        }
        let number = u32::try_from(self.list.len()).unwrap_or(u32::MAX);
        *bytes += 2 * text.len();
        self.list.push(text.clone().into());
        self.known.insert(text.into(), number);
        number
    }

    fn get(&self, number: u32) -> &str {
        self.list.get(number as usize).map_or("", |text| text)
    }
}

/// What a file told.
#[derive(Debug, Default)]
pub struct Exchanges {
    all: Vec<Exchange>,
    processes: Texts,
    threads: Texts,
    operations: Texts,
    connections: Texts,
}

impl Exchanges {
    /// Reads all lines; those that cannot be used go to `refused`. Empty lines are passed over.
    pub fn read(mut reader: impl BufRead, refused: &mut impl FnMut(Refused)) -> io::Result<Exchanges> {
        let (mut exchanges, mut bytes, mut number) = (Exchanges::default(), 0, 0u64);
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            number += 1;
            let limit = MAX_LINE as u64 + 1;
            if reader.by_ref().take(limit).read_until(b'\n', &mut buffer)? == 0 {
                return Ok(exchanges);
            }
            let is_whole = buffer.pop_if(|last| *last == b'\n').is_some();
            let taken = if !is_whole && buffer.len() > MAX_LINE {
                pass_over(&mut reader)?;
                Err(Wrong { column: MAX_LINE + 1, why: format!("longer than {MAX_LINE} bytes") })
            } else if buffer.trim_ascii().is_empty() {
                Ok(())
            } else {
                line::parse(&buffer).and_then(|line| exchanges.add(line, &mut bytes))
            };
            if let Err(Wrong { column, why }) = taken {
                refused(Refused { line: number, column, why });
            }
        }
    }

    fn add(&mut self, line: line::Line, bytes: &mut usize) -> Result<(), Wrong> {
        let full = |what: String| Err(Wrong { column: 1, why: what });
        if self.all.len() >= MAX_EXCHANGES {
            return full(format!("beyond the {MAX_EXCHANGES} exchanges that are kept"));
        }
        if *bytes >= MAX_TEXT {
            return full(format!("beyond the {MAX_TEXT} bytes of words that are kept"));
        }
        if self.processes.list.len() >= MAX_PROCESSES && !self.processes.known.contains_key(&*line.process) {
            return full(format!("of a process beyond the {MAX_PROCESSES} that are kept"));
        }
        *bytes += line.id.len();
        self.all.push(Exchange {
            process: self.processes.add(line.process, bytes),
            thread: line.thread.map(|thread| self.threads.add(thread.into_text(), bytes)),
            side: line.kind.into(),
            operation: self.operations.add(line.operation, bytes),
            start: line.start_ns,
            end: line.end_ns,
            connection: line.connection.map(|connection| self.connections.add(connection, bytes)),
            id: line.id.into(),
        });
        Ok(())
    }

    /// How many there are.
    pub fn len(&self) -> usize {
        self.all.len()
    }

    /// There are none.
    pub fn is_empty(&self) -> bool {
        self.all.is_empty()
    }

    /// Tells them as a capture would have; the same whatever the order of the lines was.
    pub fn observations(self, out: &mut impl FnMut(Observation)) {
        observe::tell(self, out);
    }
}

/// Passes over the rest of a line.
fn pass_over(reader: &mut impl BufRead) -> io::Result<()> {
    loop {
        let buffer = match reader.fill_buf() {
            Ok(buffer) => buffer,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        if buffer.is_empty() {
            return Ok(());
        }
        let newline = memchr::memchr(b'\n', buffer);
        let used = newline.map_or(buffer.len(), |at| at + 1);
        reader.consume(used);
        if newline.is_some() {
            return Ok(());
        }
    }
}

#[cfg(test)]
mod tests;
