//! Operations: what which service was asked for, or asked others for.

use rustc_hash::FxHashMap;
use serde::Serialize;

use super::tally::{Sample, Tally, tallies};
use crate::spans::{Kind, Row, Table};

/// More are counted, and not listed.
const MAX: usize = 2_000;

/// One line of the table of operations.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(super) struct Operation {
    /// Names, by their numbers in the table.
    pub service: u32,
    pub name: u32,
    /// As [`kind_number`] has it.
    pub kind: u8,
    #[serde(flatten)]
    pub tally: Tally,
}

/// All operations, those with the most time first.
#[derive(Debug, Default)]
pub(super) struct Operations {
    /// At most [`MAX`].
    pub listed: Vec<Operation>,
    /// How many there are.
    pub count: usize,
}

impl Operations {
    pub fn of(table: &Table, own_times: &[u64]) -> Self {
        let mut numbers: FxHashMap<(u32, u32, Kind), u32> = FxHashMap::default();
        let mut keys = Vec::new();
        let samples = table.rows.iter().zip(own_times).map(|(row, own)| {
            let key = (row.service, row.group, row.kind);
            let kind = *numbers.entry(key).or_insert_with(|| {
                keys.push(key);
                keys.len() as u32 - 1
            });
            sample(row, kind, *own)
        });
        let samples: Vec<Sample> = samples.collect();
        let tallies = tallies(samples, keys.len());
        let mut listed: Vec<Operation> = keys
            .into_iter()
            .zip(tallies)
            .map(|((service, name, kind), tally)| Operation { service, name, kind: kind_number(kind), tally })
            .collect();
        let count = listed.len();
        listed.sort_by_key(|one| (u64::MAX - one.tally.total, one.service, one.name, one.kind));
        listed.truncate(MAX);
        Self { listed, count }
    }
}

pub(super) fn sample(row: &Row, kind: u32, own: u64) -> Sample {
    Sample { kind, measured: row.into(), own }
}

/// The number of a kind, as the page knows it.
pub(super) fn kind_number(kind: Kind) -> u8 {
    match kind {
        Kind::Server => 0,
        Kind::Client => 1,
        Kind::Consumer => 2,
        Kind::Producer => 3,
        Kind::Internal => 4,
    }
}
