//! Traces with all their spans and tags, in blocks: the page unpacks a block when one of its traces is opened.

use std::io;

use serde::Serialize;

use super::operations::kind_number;
use super::pack::pack;
use super::tags::{Cell, Tags};
use super::{Again, Limits};
use crate::breakdown::{Tree, statement};
use crate::report::fold::{groups, likeness};
use crate::report::tree;
use crate::report::waterfall::Details;
use crate::spans::{FileSpan, Row, Table, Trace, Value};

/// A block is closed when it has so much, bytes of JSON: unpacked in some hundredths of a second.
const BLOCK: usize = 1 << 20;
/// A trace with more spans has a block of its own.
const LARGE: usize = 5_000;
/// A trace of which not even so many spans fit is left out.
const LEAST: usize = 100;

/// A trace that is in a block.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Kept {
    /// Its number.
    pub trace: u32,
    /// Its block.
    pub block: usize,
    /// Its place in there.
    pub at: usize,
    /// How many of its spans are there.
    pub spans: usize,
}

/// What was written.
#[derive(Debug, Default)]
pub(super) struct Written {
    /// Packed.
    pub blocks: Vec<String>,
    pub traces: Vec<Kept>,
    /// Spans that could not be read again.
    pub unread: usize,
    /// Where the spans are that others name as candidates for their parent: id, and place in `traces`. By id.
    pub candidates: Vec<(u64, usize)>,
}

/// The spans of a trace by columns; times in nanoseconds, from the start of its first span.
#[derive(Debug, Default, Serialize)]
struct Spans {
    id: Vec<u32>,
    /// Place of the parent, or -1.
    parent: Vec<i64>,
    service: Vec<u32>,
    name: Vec<u32>,
    kind: Vec<u8>,
    /// 1 error, 2 incomplete, 4 its parent is not in the file.
    flags: Vec<u8>,
    start: Vec<u64>,
    duration: Vec<u64>,
    own: Vec<u64>,
    /// Thousandths.
    sure: Vec<u16>,
    shape: Vec<u32>,
    tags: Vec<Vec<Cell>>,
    /// Ids of parents that are not in the file, by place.
    absent: Vec<(usize, u32)>,
    /// The critical path of each root: span, start, length, and so on.
    path: Vec<u64>,
    /// Spans that are one line until it is opened, as in the terminal: what was asked, identifiers left out, and which.
    groups: Vec<(u32, Vec<usize>)>,
    /// Where the time went, in a sentence.
    says: Option<String>,
}

pub(super) struct Blocks<'a> {
    limits: Limits,
    table: &'a Table,
    own_times: &'a [u64],
    written: Written,
    /// Of all that was written, as in [`Block`]; places are those in all of them.
    ids: Vec<(u64, usize)>,
    candidates: Vec<u64>,
    /// Bytes that may still be written.
    left: usize,
    open: Block,
}

#[derive(Default)]
struct Block {
    tags: Tags,
    /// JSON, each.
    traces: Vec<String>,
    /// Number, and spans that are there.
    kept: Vec<(u32, usize)>,
    bytes: usize,
    unread: usize,
    /// Of each of its spans its id, and the place of its trace here.
    ids: Vec<(u64, usize)>,
    /// Ids that spans name as candidates for their parent.
    candidates: Vec<u64>,
}

impl<'a> Blocks<'a> {
    pub fn new(limits: Limits, table: &'a Table, own_times: &'a [u64]) -> Self {
        Self {
            limits,
            table,
            own_times,
            written: Written::default(),
            ids: Vec::new(),
            candidates: Vec::new(),
            left: limits.bytes,
            open: Block::default(),
        }
    }

    /// Adds a trace. Tells whether there is room for more.
    pub fn add(&mut self, number: u32, trace: &Trace, again: &Again<'_>) -> io::Result<bool> {
        let (table, own_times) = (self.table, self.own_times);
        let spans = table.rows_of(trace).len();
        if spans <= LARGE {
            let limit = self.limits.spans_of_one;
            self.open.add(number, trace, table, own_times, limit, again)?;
            return if self.open.bytes + self.open.tags.bytes() < BLOCK { Ok(true) } else { self.close() };
        }
        if !self.close()? {
            return Ok(false);
        }
        let mut limit = spans.min(self.limits.spans_of_one);
        while limit >= LEAST {
            self.open.add(number, trace, table, own_times, limit, again)?;
            if self.close()? {
                break;
            }
            limit /= 2;
        }
        Ok(true)
    }

    /// Writes the open block; false if it does not fit, and is lost.
    fn close(&mut self) -> io::Result<bool> {
        let block = std::mem::take(&mut self.open);
        if block.traces.is_empty() {
            return Ok(true);
        }
        let packed = block.pack()?;
        let Some(left) = self.left.checked_sub(packed.len()) else { return Ok(false) };
        self.left = left;
        self.written.unread += block.unread;
        let before = self.written.traces.len();
        self.ids.extend(block.ids.iter().map(|(id, at)| (*id, before + at)));
        self.candidates.extend(&block.candidates);
        let number = self.written.blocks.len();
        let kept = block.kept.iter().enumerate();
        self.written.traces.extend(kept.map(|(at, (trace, spans))| Kept {
            trace: *trace,
            block: number,
            at,
            spans: *spans,
        }));
        self.written.blocks.push(packed);
        Ok(true)
    }

    pub fn finish(mut self) -> io::Result<Written> {
        self.close()?;
        self.candidates.sort_unstable();
        self.ids.retain(|(id, _)| self.candidates.binary_search(id).is_ok());
        self.ids.sort_unstable();
        // An id that several traces have says nothing.
        let of_one = self.ids.chunk_by(|one, other| one.0 == other.0).filter(|same| same.len() == 1);
        self.written.candidates = of_one.flatten().copied().collect();
        Ok(self.written)
    }
}

impl Block {
    fn add(
        &mut self,
        number: u32,
        trace: &Trace,
        table: &Table,
        own_times: &[u64],
        limit: usize,
        again: &Again<'_>,
    ) -> io::Result<()> {
        let rows = table.rows_of(trace);
        let nodes = tree::nodes(table, rows);
        let tree = Tree::new(nodes.iter().copied());
        // By place in the trace: the place here. Rows are in the order of their start, and stay so.
        let mut places = vec![None; rows.len()];
        for (to, from) in nearest(&tree, limit).into_iter().enumerate() {
            if let Some(place) = places.get_mut(from) {
                *place = Some(to);
            }
        }
        let begin = rows.first().and_then(|row| table.row(*row)).map_or(0, |row| row.start);
        let since = |time: i64| time.saturating_sub(begin).max(0).unsigned_abs();
        let mut spans = Spans::default();
        let (mut alike, mut names) = (Vec::new(), Vec::new());
        for (at, row_number) in rows.iter().enumerate() {
            let (Some(Some(place)), Some(row)) = (places.get(at), table.row(*row_number)) else { continue };
            let parent = nodes.get(at).and_then(|node| node.parent).and_then(|parent| *places.get(parent)?);
            spans.parent.push(parent.map_or(-1, |parent| parent as i64));
            spans.start.push(since(row.start));
            names.push(row.group);
            spans.own.push(own_times.get(*row_number as usize).copied().unwrap_or_default());
            self.row(row, table, &mut spans);
            let mut is_read = false;
            again(row.place, &mut |span| {
                is_read = true;
                self.span(row, span, *place, &mut spans);
                alike.push(likeness(row, &Details::of(span)));
            });
            if !is_read {
                alike.push(likeness(row, &Details::default()));
                self.unread += 1;
                spans.shape.push(self.tags.add(&[]).0);
                spans.tags.push(Vec::new());
                spans.id.push(self.tags.plain(""));
            }
        }
        for root in tree.roots() {
            for segment in tree.critical_path(root) {
                if let Some(Some(place)) = places.get(segment.span) {
                    spans.path.extend([*place as u64, since(segment.start), segment.length()]);
                }
            }
        }
        let parents: Vec<Option<usize>> = spans.parent.iter().map(|at| usize::try_from(*at).ok()).collect();
        for group in groups(&parents, &alike) {
            let name = group.first().and_then(|first| names.get(*first)).map_or("", |name| table.name(*name));
            spans.groups.push((self.tags.plain(name), group));
        }
        spans.says = statement(&tree::named(table, rows));
        let json = serde_json::to_string(&spans)?;
        self.bytes += json.len();
        self.kept.push((number, spans.id.len()));
        self.traces.push(json);
        Ok(())
    }

    /// What the table says of a span.
    fn row(&mut self, row: &Row, table: &Table, spans: &mut Spans) {
        spans.service.push(self.tags.plain(table.name(row.service)));
        spans.name.push(self.tags.plain(table.name(row.operation)));
        spans.kind.push(kind_number(row.kind));
        spans
            .flags
            .push(u8::from(row.is_error) + 2 * u8::from(row.is_incomplete) + 4 * u8::from(row.is_torn));
        spans.duration.push(row.duration);
        // As the file says it, to three decimals.
        spans.sure.push((row.confidence * 1_000.0).round() as u16);
    }

    /// What only the file says.
    fn span(&mut self, row: &Row, span: &FileSpan<'_>, place: usize, spans: &mut Spans) {
        let (shape, tags) = self.tags.add(&span.tags);
        spans.shape.push(shape);
        spans.tags.push(tags);
        spans.id.push(self.tags.plain(&span.span_id));
        self.ids.extend(number(&span.span_id).map(|id| (id, self.kept.len())));
        if let Some(Value::List(candidates)) = span.tag("tracer.link.candidates") {
            self.candidates.extend(candidates.iter().filter_map(candidate));
        }
        if let Some(parent) = span.parent_span_id.as_deref().filter(|_| row.is_torn) {
            spans.absent.push((place, self.tags.plain(parent)));
        }
    }

    fn pack(&self) -> io::Result<String> {
        let shapes = serde_json::to_string(self.tags.shapes())?;
        let (texts, traces) = (self.tags.texts_json(), self.traces.join(","));
        pack(format!(r#"{{"texts":{texts},"shapes":{shapes},"traces":[{traces}]}}"#).as_bytes())
    }
}

/// An id as the tracer makes them: 16 hexadecimal digits.
fn number(id: &str) -> Option<u64> {
    u64::from_str_radix(id, 16).ok().filter(|_| id.len() == 16)
}

/// The span that a candidate for a parent is.
fn candidate(one: &Value<'_>) -> Option<u64> {
    let Value::Map(said) = one else { return None };
    let (_, id) = said.iter().find(|(name, _)| name == "spanId")?;
    id.text().and_then(number)
}

/// At most so many spans of a tree, those nearest to its roots, by their places.
fn nearest(tree: &Tree, limit: usize) -> Vec<usize> {
    if tree.nodes().len() <= limit {
        return (0..tree.nodes().len()).collect();
    }
    let mut found: Vec<usize> = tree.roots().take(limit).collect();
    let mut next = 0;
    while let Some(at) = found.get(next).copied().filter(|_| found.len() < limit) {
        let room = limit - found.len();
        let mut children = tree.children(at).to_vec();
        children.sort_unstable();
        found.extend(children.into_iter().take(room));
        next += 1;
    }
    found.sort_unstable();
    found
}
