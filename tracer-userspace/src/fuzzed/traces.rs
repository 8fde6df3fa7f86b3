//! Trace files, ours or anybody's, as `tracer show` and `tracer report` read and print them.

use super::Input;
use crate::breakdown::statement;
use crate::report::filter::Filter;
use crate::report::operations::operations;
use crate::report::waterfall::{self, Details, Style};
use crate::report::{html, listing, tree};
use crate::spans::file::{read_again, read_table};
use crate::spans::{FileSpan, NO_ROW, Place, Table};

/// Reads `data` as a trace file and prints what was read.
pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (width, slowest) = (80 + usize::from(input.byte()), usize::from(input.byte() % 8));
    let file = input.rest();
    let table = match read_table(file) {
        Ok(table) => table,
        Err(error) => {
            assert!(!error.to_string().is_empty());
            return;
        }
    };
    let again = |row: &crate::spans::Row| {
        let from = row.place.offset as usize;
        file.get(from..from + row.place.len as usize).and_then(read_again)
    };
    let own = tree::self_times(&table);
    let style = Style { width, ..Style::default() };
    let operations = operations(&table, &own, &Filter::default());
    let told: u64 = operations.all.iter().map(|operation| operation.counts.requests).sum();
    assert!(told <= table.rows.len() as u64);
    let mut text = listing::render(&table, &operations, style, 20);
    for (row, own) in table.rows.iter().zip(&own) {
        assert!(row.duration <= 10_u64.pow(19), "{row:?}");
        assert!(*own <= row.duration);
        assert!(
            row.parent == NO_ROW || table.row(row.parent).is_some_and(|parent| parent.trace == row.trace)
        );
        assert_eq!(again(row).map(|span| span.start), Some(row.start));
    }
    for at in Filter::default().slowest(&table).into_iter().take(slowest) {
        let Some(trace) = table.traces.get(at as usize) else { panic!("no trace {at}") };
        let rows = table.rows_of(trace);
        assert!(rows.contains(&trace.root));
        let sentence = statement(&tree::named(&table, rows));
        let details = |_, row: &_| again(row).map(|span| Details::of(&span)).unwrap_or_default();
        text.push_str(&waterfall::render(&table, trace, style, details, sentence.as_deref()));
    }
    if slowest == 0 {
        // Sometimes only: packing takes as long as all the rest.
        report(file, &table);
    }
    text.push_str(&table.problems.to_string());
    // Names from a file reach a terminal: nothing in them may steer it.
    let steers = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(steers), "{text:?}");
}

fn report(file: &[u8], table: &Table) {
    let again = |place: Place, each: &mut dyn FnMut(&FileSpan<'_>)| {
        let from = place.offset as usize;
        if let Some(span) = file.get(from..from + place.len as usize).and_then(read_again) {
            each(&span);
        }
    };
    let limits = html::Limits { traces: 20, spans_of_one: 50, bytes: 100_000 };
    let input = html::Input { table, source: "fuzzed", account: None, remarks: &[] };
    let (traces, unread) = match html::contents(&input, &again, limits) {
        Ok(contents) => contents.counts(),
        Err(error) => panic!("{error}"),
    };
    assert!(traces <= 20 && unread == 0);
    assert!(traces > 0 || table.traces.is_empty());
}
