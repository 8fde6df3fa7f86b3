//! The spans of a table as the breakdown takes them.

use crate::breakdown::{self, Named, Node};
use crate::spans::{Kind, NO_ROW, Row, Table};

/// Nodes for these rows, which are of one trace, in the same order.
pub fn nodes(table: &Table, rows: &[u32]) -> Vec<Node> {
    // Rows of a trace lie anywhere in the table: positions are found by search.
    let mut places: Vec<(u32, usize)> = rows.iter().copied().zip(0..).collect();
    places.sort_unstable();
    let place = |row: u32| places.binary_search_by_key(&row, |(row, _)| *row).ok();
    let position = |row: u32| Some(places.get(place(row)?)?.1);
    rows.iter()
        .filter_map(|row| table.row(*row))
        .map(|row| node(table, row, position(row.parent).filter(|_| row.parent != NO_ROW)))
        .collect()
}

/// The same with names, for sentences.
pub fn named<'a>(table: &'a Table, rows: &[u32]) -> Vec<Named<'a>> {
    let rows_at = rows.iter().filter_map(|row| table.row(*row));
    nodes(table, rows)
        .into_iter()
        .zip(rows_at)
        .map(|(node, row)| Named {
            node,
            service: table.name(row.service),
            operation: table.name(row.group),
            peer: Some(table.name(row.peer)).filter(|name| !name.is_empty()),
            kind: match row.kind {
                Kind::Client | Kind::Producer => breakdown::Kind::Client,
                Kind::Server | Kind::Consumer => breakdown::Kind::Server,
                Kind::Internal => breakdown::Kind::Other,
            },
            incomplete: row.is_incomplete,
            confidence: Some(row.confidence).filter(|share| *share < 1.0),
            error: row.is_error,
        })
        .collect()
}

/// Of each row of the table the time that no child covers, ns.
pub fn self_times(table: &Table) -> Vec<u64> {
    let parent = |row: &Row| (row.parent != NO_ROW).then_some(row.parent as usize);
    let nodes: Vec<Node> = table.rows.iter().map(|row| node(table, row, parent(row))).collect();
    crate::breakdown::self_times(&nodes)
}

fn node(table: &Table, row: &Row, parent: Option<usize>) -> Node {
    let detached = table.row(row.parent).is_some_and(|parent| {
        // Who sent a message does not wait for whoever takes it; nor does anyone wait for what begins after its end.
        (parent.kind == Kind::Producer && row.kind == Kind::Consumer) || row.start >= parent.end()
    });
    Node { parent, start: row.start, duration: row.duration, detached }
}
