//! What is said of a capture besides what it holds: secrets in it, what its kernel did not show, what this version does not read, damages.
//! The same words wherever a capture is read.

use std::fs::File;

use crate::tcap::{Damage, Reader};
use crate::text::count;

/// More places are only counted.
const MAX_TOLD: usize = 10;

/// That messages are in it as they were sent. `unmasked` is what the account says.
pub(super) fn secrets(reader: &Reader<File>, unmasked: bool) -> Vec<String> {
    let mut said = Vec::new();
    if reader.description().unmasked || unmasked {
        said.push(
            "was recorded with --unmask: it and what is made of it hold secrets as they were sent".to_owned(),
        );
    }
    if reader.description().raw {
        said.push(
            "was recorded with --raw: it holds messages as they were sent, secrets included".to_owned(),
        );
    }
    said
}

/// What is missing in it, or in what was read of it; to be asked at its end.
pub(super) fn gaps(reader: &Reader<File>) -> Vec<String> {
    let mut said: Vec<String> = reader
        .description()
        .missing
        .iter()
        .map(|missing| format!("the kernel that this was recorded on did not show {missing}"))
        .collect();
    for (number, what) in
        [(reader.unknown_frames, "frames of kinds"), (reader.unknown_observations, "observations of kinds")]
    {
        if number > 0 {
            said.push(format!(
                "passed over {} {what} that this tracer ({}) does not know; the tracer that recorded it, or a newer one, reads them",
                count(number),
                env!("CARGO_PKG_VERSION")
            ));
        }
    }
    said.extend(damages(&reader.damages));
    said
}

fn damages(all: &[Damage]) -> Vec<String> {
    let mut said: Vec<String> = all.iter().take(MAX_TOLD).map(Damage::to_string).collect();
    if let Some(more @ [first, ..]) = all.get(MAX_TOLD..) {
        said.push(format!(
            "{} more places, from offset {} on, are damaged or missing",
            count(more.len() as u64),
            first.offset()
        ));
    }
    said
}

/// Says it on stderr.
pub(super) fn say(name: impl std::fmt::Display, remarks: &[String]) {
    for remark in remarks {
        eprintln!("tracer: {name}: {remark}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_damages_are_counted_and_each_has_its_place() {
        let all: Vec<Damage> = (0..13).map(|at| Damage::Corrupt { offset: at * 100, bytes: 7 }).collect();
        let said = damages(&all);
        assert_eq!(said.len(), 11);
        assert!(said[0].starts_with("7 bytes at offset 0 are damaged"), "{}", said[0]);
        assert_eq!(said[10], "3 more places, from offset 1000 on, are damaged or missing");
        assert!(damages(&[]).is_empty());
    }
}
