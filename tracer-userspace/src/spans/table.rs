//! All spans of a file, in columns that fit a million of them into little memory, with their parents found.
//!
//! The file may be anybody's: spans that are there twice, parents that are not there, that go round in circles or are their
//! own children are dealt with by rule and counted ([`Problems`]).

use std::hash::Hash;

use hashbrown::HashTable;
use rustc_hash::FxHashMap;
use siphasher::sip128::{Hasher128, SipHasher13};

use super::intern::Names;
use super::{FileSpan, Place, Problems, Value};
use crate::exchange::route;

/// No span.
pub const NO_ROW: u32 = u32::MAX;
/// A name that was not looked at: the empty one.
const NO_NAME: u32 = u32::MAX;

/// Which side of a call a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Kind {
    /// Work done for a request that came.
    Server,
    /// A call that was made.
    Client,
    /// A message that was received.
    Consumer,
    /// A message that was sent.
    Producer,
    /// Not said, or something within a service.
    Internal,
}

impl Kind {
    /// By its name in the tag `span.kind`.
    pub fn of(name: Option<&str>) -> Self {
        match name {
            Some("server" | "SERVER") => Kind::Server,
            Some("client" | "CLIENT") => Kind::Client,
            Some("consumer" | "CONSUMER") => Kind::Consumer,
            Some("producer" | "PRODUCER") => Kind::Producer,
            _ => Kind::Internal,
        }
    }
}

/// What the table keeps of a span.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Row {
    /// Nanoseconds since 1970.
    pub start: i64,
    /// Nanoseconds.
    pub duration: u64,
    /// Where the rest can be read.
    pub place: Place,
    /// Its trace, an index into [`Table::traces`].
    pub trace: u32,
    /// Its parent, an index into [`Table::rows`], or [`NO_ROW`].
    pub parent: u32,
    /// A name ([`Table::name`]).
    pub service: u32,
    /// A name.
    pub operation: u32,
    /// A name: the operation's, with `*` for identifiers in paths; what is summed up.
    pub group: u32,
    /// A name: whom a call went to, as far as its tags say (a database, a host); the empty one if they do not.
    pub peer: u32,
    /// How sure the link to its parent is, 0 to 1; 1 where nothing is said.
    pub confidence: f32,
    /// The status code; 0 where there is none.
    pub status: u16,
    /// Which side of a call.
    pub kind: Kind,
    /// `error`.
    pub is_error: bool,
    /// Its duration is a lower bound.
    pub is_incomplete: bool,
    /// It names a parent that is not in the file.
    pub is_torn: bool,
}

impl Row {
    /// When it ended, ns since 1970.
    pub fn end(&self) -> i64 {
        self.start.saturating_add_unsigned(self.duration)
    }
}

/// One trace.
#[derive(Clone, Debug, PartialEq)]
pub struct Trace {
    /// Its id, as the file has it.
    pub id: Box<str>,
    /// The span that it is told by: the longest of those without a parent, the earliest of equals.
    pub root: u32,
    /// Its spans, a range of [`Table::order`].
    first: u32,
    count: u32,
    /// Spans with an error.
    pub errors: u32,
}

/// The spans of a file.
#[derive(Clone, Debug, Default)]
pub struct Table {
    /// In the file's order.
    pub rows: Vec<Row>,
    /// In the order of their first spans.
    pub traces: Vec<Trace>,
    /// Rows by trace, and in a trace by start, the longer first.
    order: Vec<u32>,
    names: Names,
    /// What was wrong with the file.
    pub problems: Problems,
}

impl Table {
    /// The name with that number.
    pub fn name(&self, number: u32) -> &str {
        self.names.name(number)
    }

    /// All names, by number.
    pub fn names(&self) -> &[Box<str>] {
        self.names.all()
    }

    /// A row that is there.
    pub fn row(&self, row: u32) -> Option<&Row> {
        self.rows.get(row as usize)
    }

    /// The rows of a trace by start, the longer first.
    pub fn rows_of(&self, trace: &Trace) -> &[u32] {
        let first = trace.first as usize;
        self.order.get(first..first + trace.count as usize).unwrap_or_default()
    }

    /// How long a trace took: its root.
    pub fn duration(&self, trace: &Trace) -> u64 {
        self.row(trace.root).map_or(0, |row| row.duration)
    }

    /// The traces whose id begins so.
    pub fn find<'a>(&'a self, id: &'a str) -> impl Iterator<Item = &'a Trace> {
        self.traces.iter().filter(move |trace| trace.id.starts_with(id))
    }
}

/// An id of which only sameness counts.
type IdHash = u128;

/// Takes the spans of a file, one after the other.
#[derive(Debug, Default)]
pub struct Builder {
    table: Table,
    traces: FxHashMap<IdHash, u32>,
    /// By trace and id, which stand in the columns: a table with keys of its own would be ten times as large.
    numbers: HashTable<u32>,
    /// By row.
    ids: Vec<IdHash>,
    /// By row, the parent's id; 0 without one.
    parents: Vec<IdHash>,
}

/// Where a span is looked for, by its trace and id: of an id's hash, any part is as good as another.
fn bucket(trace: u32, id: IdHash) -> u64 {
    (id as u64).wrapping_add(u64::from(trace))
}

impl Builder {
    /// The next span.
    pub fn add(&mut self, span: &FileSpan<'_>, place: Place) {
        let Some(row) = self.outline(span, place) else { return };
        let table = &mut self.table;
        let Some(new) = table.rows.get_mut(row as usize) else { return };
        new.operation = table.names.number(&span.operation_name);
        new.group = table.names.number(&route::name(&span.operation_name));
        let mut peer = Peer::default();
        for (name, value) in &span.tags {
            match &**name {
                "http.status_code" | "http.response.status_code" | "rpc.grpc.status_code" => {
                    new.status = value.whole().unwrap_or_default();
                }
                "span.kind" => new.kind = Kind::of(value.text()),
                "error" => new.is_error = value.truth(),
                "tracer.incomplete" => new.is_incomplete = value.truth(),
                "tracer.link.confidence" => {
                    new.confidence = value.number().map_or(1.0, |share| (share as f32).clamp(0.0, 1.0));
                }
                name => peer.tag(name, value),
            }
        }
        new.peer = table.names.number(&peer.name());
        if let Some(trace) = table.traces.get_mut(new.trace as usize) {
            trace.errors += u32::from(new.is_error);
        }
    }

    /// The next span, without what only lists and sums want of it: its row is as if it had no tags, and has of names only the service's.
    /// Returns the row, if it gets one.
    pub fn outline(&mut self, span: &FileSpan<'_>, place: Place) -> Option<u32> {
        let table = &mut self.table;
        // As many spans as can be numbered: files of that size have more than a terabyte.
        let row = u32::try_from(table.rows.len()).ok().filter(|row| *row < NO_ROW)?;
        // Spans of a trace mostly come one behind the other.
        let last = table.rows.last().map(|row| row.trace);
        let is_last =
            |trace: &u32| table.traces.get(*trace as usize).is_some_and(|last| *last.id == span.trace_id);
        let trace = last.filter(is_last).unwrap_or_else(|| {
            *self.traces.entry(hash(&span.trace_id)).or_insert_with(|| {
                table.traces.push(Trace {
                    id: (&*span.trace_id).into(),
                    root: NO_ROW,
                    first: 0,
                    count: 0,
                    errors: 0,
                });
                (table.traces.len() - 1) as u32
            })
        });
        let id = hash(&span.span_id);
        let (ids, rows) = (&self.ids, &table.rows);
        let of_row = |row: u32| Some((rows.get(row as usize)?.trace, *ids.get(row as usize)?));
        let entry = self.numbers.entry(
            bucket(trace, id),
            |row| of_row(*row) == Some((trace, id)),
            |row| of_row(*row).map_or(0, |(trace, id)| bucket(trace, id)),
        );
        match entry {
            hashbrown::hash_table::Entry::Occupied(_) => {
                table.problems.duplicates += 1;
                return None;
            }
            hashbrown::hash_table::Entry::Vacant(vacant) => vacant.insert(row),
        };
        self.ids.push(id);
        self.parents.push(span.parent_span_id.as_deref().map_or(0, hash));
        if let Some(trace) = table.traces.get_mut(trace as usize) {
            trace.count += 1;
        }
        table.rows.push(Row {
            start: span.start,
            duration: span.duration,
            place,
            trace,
            parent: NO_ROW,
            service: table.names.number(&span.service_name),
            operation: NO_NAME,
            group: NO_NAME,
            peer: NO_NAME,
            confidence: 1.0,
            status: 0,
            kind: Kind::Internal,
            is_error: false,
            is_incomplete: false,
            is_torn: false,
        });
        Some(row)
    }

    /// There are no more: parents are found. `problems` are those that the file has apart from its ids and parents.
    pub fn finish(self, problems: Problems) -> Table {
        let Builder { mut table, numbers, ids, parents, .. } = self;
        table.problems = Problems { duplicates: table.problems.duplicates, ..problems };
        for (row, parent) in (0..).zip(&parents) {
            let Some(trace) = table.row(row).map(|row| row.trace).filter(|_| *parent != 0) else { continue };
            let is_it = |row: &u32| {
                ids.get(*row as usize) == Some(parent)
                    && table.row(*row).is_some_and(|row| row.trace == trace)
            };
            let found = numbers.find(bucket(trace, *parent), is_it).copied();
            let Some(child) = table.rows.get_mut(row as usize) else { continue };
            match found {
                Some(parent) => child.parent = parent,
                None => {
                    child.is_torn = true;
                    table.problems.absent_parents += 1;
                }
            }
        }
        drop((numbers, ids, parents));
        cut_circles(&mut table);
        order(&mut table);
        table
    }
}

/// Whoever is its own ancestor loses its parent: in each circle the span that began first.
fn cut_circles(table: &mut Table) {
    const NEW: u32 = 0;
    const DONE: u32 = u32::MAX;
    // Rows on the way up from one row have that row's number, plus one.
    let mut seen = vec![NEW; table.rows.len()];
    for first in 0..table.rows.len() {
        let mark = first as u32 + 1;
        let mut path = Vec::new();
        let mut at = first as u32;
        let circle = loop {
            match seen.get_mut(at as usize) {
                Some(seen) if *seen == NEW => *seen = mark,
                Some(seen) if *seen == mark => break true,
                // Ends well, or is no row.
                _ => break false,
            }
            path.push(at);
            at = table.row(at).map_or(NO_ROW, |row| row.parent);
        };
        if circle {
            let round =
                path.iter().position(|row| *row == at).and_then(|from| path.get(from..)).unwrap_or_default();
            let earliest =
                round.iter().min_by_key(|row| (table.row(**row).map(|row| row.start), **row)).copied();
            table.problems.circles += round.len() as u64;
            if let Some(row) = earliest.and_then(|row| table.rows.get_mut(row as usize)) {
                row.parent = NO_ROW;
            }
        }
        for row in path {
            if let Some(seen) = seen.get_mut(row as usize) {
                *seen = DONE;
            }
        }
    }
}

/// Sorts the rows by trace and start, and finds the roots.
fn order(table: &mut Table) {
    let mut first = 0;
    for trace in &mut table.traces {
        trace.first = first;
        first += trace.count;
    }
    let rows = &table.rows;
    let key = |row: u32| {
        rows.get(row as usize).map(|at| (at.trace, at.start, u64::MAX - at.duration, row)).unwrap_or_default()
    };
    table.order = (0..rows.len() as u32).collect();
    table.order.sort_unstable_by_key(|row| key(*row));
    for trace in &mut table.traces {
        let from = trace.first as usize;
        let own = table.order.get(from..from + trace.count as usize).unwrap_or_default();
        let length = |row: u32| rows.get(row as usize).map_or(0, |row| row.duration);
        let is_root = |row: &u32| rows.get(*row as usize).is_some_and(|row| row.parent == NO_ROW);
        // Of equals the last maximum is taken: looked at from behind, that is the earliest.
        let root = own.iter().rev().filter(|row| is_root(row)).max_by_key(|row| length(**row));
        trace.root = root.copied().unwrap_or(NO_ROW);
    }
}

/// Same for the same text. Ids of 16 and 32 digits, which nearly all are, could be numbers; others' need not be.
fn hash(id: &str) -> IdHash {
    let mut hasher = SipHasher13::new();
    id.hash(&mut hasher);
    let hash = hasher.finish128().as_u128();
    // 0 stands for none.
    hash.max(1)
}

/// Whom a call went to, as its tags say.
#[derive(Default)]
struct Peer<'a> {
    /// How much each tells: the lowest is taken.
    best: Option<(u8, &'a str)>,
    system: Option<&'a str>,
    port: Option<u16>,
}

impl<'a> Peer<'a> {
    fn tag(&mut self, name: &str, value: &'a Value<'_>) {
        let rank = match name {
            "peer.service" => 0,
            "db.instance" | "db.name" | "db.namespace" => 1,
            "messaging.destination" | "messaging.destination.name" => 1,
            "http.host" | "server.address" | "net.peer.name" => 2,
            "net.peer.ip" | "network.peer.address" => 3,
            "db.system" | "db.system.name" | "messaging.system" | "rpc.system" => {
                self.system = value.text();
                return;
            }
            "net.peer.port" | "server.port" | "network.peer.port" => {
                self.port = value.whole();
                return;
            }
            _ => return,
        };
        let Some(text) = value.text() else { return };
        if self.best.is_none_or(|(best, _)| rank < best) {
            self.best = Some((rank, text));
        }
    }

    fn name(&self) -> String {
        match (self.best, self.system, self.port) {
            (Some((0 | 2, name)), ..) => name.to_owned(),
            (Some((1, name)), Some(system), _) => format!("{system} {name}"),
            (Some((1, name)), None, _) => name.to_owned(),
            (Some((_, address)), Some(system), Some(port)) => format!("{system} {address}:{port}"),
            (Some((_, address)), None, Some(port)) => format!("{address}:{port}"),
            (Some((_, address)), Some(system), None) => format!("{system} {address}"),
            (Some((_, address)), None, None) => address.to_owned(),
            (None, Some(system), _) => system.to_owned(),
            (None, None, _) => String::new(),
        }
    }
}
