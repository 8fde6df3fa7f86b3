//! The audit: a capture without the ids that carry the truth must give the very same links.
//!
//! Every id that the harness knows is replaced, wherever it stands in the capture's frames, by zeros of the same width.
//! What the tracer then says is compared span by span: same span, same parent, same confidence, same evidence.

use std::collections::{BTreeSet, HashSet};

use anyhow::{Context, Result};

use crate::span::Trace;
use crate::tcap::{self, FIRST_FRAME, Frame};

/// The tags that say what a link rests on.
const LINK: &str = "tracer.link.";

/// The capture with every occurrence of `ids` replaced by zeros, and how many there were.
pub fn blank(capture: &[u8], ids: &HashSet<String>) -> Result<(Vec<u8>, usize)> {
    let widths: BTreeSet<usize> = ids.iter().map(String::len).collect();
    let mut blanked = capture.get(..FIRST_FRAME).context("no capture")?.to_vec();
    let mut replaced = 0;
    for frame in tcap::frames(capture)? {
        let mut payload = tcap::payload(capture, &frame)?;
        let before = replaced;
        for &width in &widths {
            replaced += blank_width(&mut payload, ids, width);
        }
        if replaced == before {
            blanked.extend_from_slice(capture.get(frame.at).context("no such frame")?);
        } else {
            let Frame { kind, .. } = frame;
            blanked.extend(tcap::frame(kind, &payload)?);
        }
    }
    Ok((blanked, replaced))
}

fn blank_width(payload: &mut [u8], ids: &HashSet<String>, width: usize) -> usize {
    let mut replaced = 0;
    let mut at = 0;
    while let Some(window) = payload.get_mut(at..at + width) {
        let found = std::str::from_utf8(window).is_ok_and(|text| ids.contains(text));
        if found {
            window.fill(b'0');
            replaced += 1;
            at += width;
        } else {
            at += 1;
        }
    }
    replaced
}

/// The spans whose links differ between two analyses, in words; nothing if none does.
pub fn differences(one: &Trace, other: &Trace) -> Vec<String> {
    let links = |trace: &Trace| -> Vec<String> {
        let mut links: Vec<String> = trace
            .spans
            .iter()
            .map(|span| {
                let tags = span.tags.iter().filter(|(name, _)| name.starts_with(LINK));
                let tags: Vec<String> = tags.map(|(name, value)| format!("{name}={value}")).collect();
                format!("{} in {} under {:?}: {}", span.span_id, span.trace_id, span.parent, tags.join(" "))
            })
            .collect();
        links.sort();
        links
    };
    let (one, other) = (links(one), links(other));
    let theirs: HashSet<&String> = other.iter().collect();
    let mut different: Vec<String> = one.iter().filter(|link| !theirs.contains(link)).cloned().collect();
    if different.is_empty() && one.len() != other.len() {
        different.push(format!("{} spans and {}", one.len(), other.len()));
    }
    different
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy::known::tests::pair;
    use crate::tcap::kind;

    #[test]
    fn ids_are_replaced_and_nothing_else() {
        let mut capture = b"\x89tcap\r\n\x1a\x01\0\0\0".to_vec();
        capture.extend(tcap::frame(kind::BATCH, b"/b?truth=0123abcd&x=0123abce..0123abcd").unwrap());
        capture.extend(tcap::frame(kind::END, b"").unwrap());
        let ids = HashSet::from(["0123abcd".to_owned()]);
        let (blanked, replaced) = blank(&capture, &ids).unwrap();
        assert_eq!((replaced, blanked.len()), (2, capture.len()));
        assert_eq!(tcap::unpacked(&blanked).unwrap(), b"/b?truth=00000000&x=0123abce..00000000");
        assert_eq!(blank(&capture, &HashSet::new()).unwrap(), (capture, 0));
    }

    #[test]
    fn another_parent_is_a_difference() {
        let one = pair([Some(1), Some(2), None]);
        assert!(differences(&one, &pair([Some(1), Some(2), None])).is_empty());
        assert_eq!(differences(&one, &pair([Some(1), Some(1), None])).len(), 1);
    }
}
