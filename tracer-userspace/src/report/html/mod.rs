//! The report: all that was found, in one page that opens anywhere and fetches nothing. docs/report.md says what stands where.
//!
//! Numbers are computed over all spans (`operations`, `map`, `findings`); of the traces as many are carried along as fit into
//! [`Limits`] (`choose`), with all their tags, in blocks that the page unpacks when one of them is opened (`block`). The page itself,
//! its scripts and styles, is put together in `page` from `assets/report`.

#[cfg(test)]
mod agreement_tests;
mod block;
mod choose;
mod data;
mod findings;
mod ledger;
mod map;
mod operations;
mod pack;
mod page;
mod tags;
mod tally;
#[cfg(test)]
mod tests;

use std::io;

use crate::breakdown::findings::Collector;
use crate::spans::{FileSpan, Place, Table};

use super::account::Account;
use super::tree;
use block::{Blocks, Written};

/// Reads a span again, where the table says that it stands, and hands it over; nothing if it is not there any more.
pub type Again<'a> = dyn Fn(Place, &mut dyn FnMut(&FileSpan<'_>)) + 'a;

/// What the report is made of.
#[derive(Clone, Copy, Debug)]
pub struct Input<'a> {
    /// All spans.
    pub table: &'a Table,
    /// What the file is called.
    pub source: &'a str,
    /// The account of the recording, if it is at hand.
    pub account: Option<&'a Account>,
    /// What else is to be said of the file, a sentence without its end each.
    pub remarks: &'a [String],
}

/// How much a page may hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// Traces that can be opened.
    pub traces: usize,
    /// Spans of one of them.
    pub spans_of_one: usize,
    /// Bytes of the blocks with the traces; what comes besides takes half a megabyte, and two at most.
    pub bytes: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { traces: 10_000, spans_of_one: 100_000, bytes: 8_000_000 }
    }
}

/// A finished report.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Page {
    /// HTML, in UTF-8.
    pub bytes: Vec<u8>,
    /// Traces that can be opened in it.
    pub traces: usize,
    /// Spans that could not be read again: they are there without their tags.
    pub unread: usize,
}

/// Makes the report.
pub fn page(input: &Input<'_>, again: &Again<'_>, limits: Limits) -> io::Result<Page> {
    let Contents { main, written } = contents(input, again, limits)?;
    let candidates = data::candidates(&written.candidates)?;
    let bytes = page::assemble(input.source, &main, &candidates, &written.blocks);
    Ok(Page { bytes, traces: written.traces.len(), unread: written.unread })
}

/// What a page carries, packed.
pub(crate) struct Contents {
    main: String,
    written: Written,
}

impl Contents {
    /// Traces that can be opened, and spans that could not be read again.
    #[cfg(any(test, feature = "test-support"))]
    pub fn counts(&self) -> (usize, usize) {
        (self.written.traces.len(), self.written.unread)
    }
}

/// The same without the page around it.
pub(crate) fn contents(input: &Input<'_>, again: &Again<'_>, limits: Limits) -> io::Result<Contents> {
    let table = input.table;
    let own_times = tree::self_times(table);
    let mut collector = Collector::default();
    for (number, trace) in table.traces.iter().enumerate() {
        collector.add(number, &tree::named(table, table.rows_of(trace)));
    }
    let findings = findings::worst(collector.finish());
    let order = choose::choose(table, &findings::traces(&findings), limits.traces);
    let mut blocks = Blocks::new(limits, table, &own_times);
    for number in order {
        let Some(trace) = table.traces.get(number as usize) else { continue };
        if !blocks.add(number, trace, again)? {
            break;
        }
    }
    let written = blocks.finish()?;
    let main = data::main(input, &findings, &written.traces, &own_times)?;
    Ok(Contents { main, written })
}
