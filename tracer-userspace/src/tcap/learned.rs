//! What was learned of services, in a frame of its own: to be taken up by the analysis of another capture.

use std::collections::BTreeMap;
use std::sync::Arc;

use prost::Message;

use super::wire_learned as wire;
use crate::causality::joint::Operation;
use crate::causality::joint::learned::{
    Counted, EVIDENCE_BINS, Kind, Learned, Lesson, MOST_SERVICES, evidence,
};

/// The division into bins (`gap_bin`, the kinds of evidence) that the counts are of. To be raised when it changes: counts
/// by another division mean something else.
const DIVISION: u32 = 1;
/// A payload is no longer: services of which least was learned are left out.
pub(super) const MOST_BYTES: usize = 1 << 20;

/// As it stands in a file; `None` if there is nothing.
pub(super) fn encode(learned: &Learned) -> Option<Vec<u8>> {
    let mut services: Vec<(u64, wire::Service)> =
        learned.services().map(|(name, lesson)| (lesson.seen(), service(name, lesson))).collect();
    let mut bytes: usize = services.iter().map(|(_, service)| service.encoded_len() + 16).sum();
    while bytes > MOST_BYTES - 4096 {
        let least = (0..services.len()).min_by_key(|at| services.get(*at).map(|(seen, _)| *seen))?;
        let (_, left_out) = services.remove(least);
        bytes -= left_out.encoded_len() + 16;
    }
    let services: Vec<wire::Service> = services.into_iter().map(|(_, service)| service).collect();
    let evidence = evidence().map(str::to_owned).into();
    (!services.is_empty()).then(|| wire::Learned { division: DIVISION, evidence, services }.encode_to_vec())
}

/// What a payload says. What cannot be is left out; `None` if it is no message, or of another division.
pub(super) fn decode(payload: &[u8]) -> Option<Learned> {
    let message = wire::Learned::decode(payload).ok().filter(|message| message.division == DIVISION)?;
    // Where each kind of evidence stands there and here.
    let kinds: BTreeMap<u32, usize> = (0u32..)
        .zip(&message.evidence)
        .filter_map(|(there, name)| Some((there, evidence().iter().position(|own| own == name)?)))
        .collect();
    let mut learned = Learned::default();
    for service in message.services.into_iter().take(MOST_SERVICES) {
        let operations = |list: Vec<wire::Operation>| {
            list.into_iter().map(|one| Operation { words: one.words.into(), to: one.to.into() }).collect()
        };
        let mut lesson = Lesson::new(operations(service.requests), operations(service.calls));
        for (kind, counted) in service.steps.iter().filter_map(|step| counted(step, &kinds)) {
            lesson.put(kind, counted);
        }
        for (kind, counted) in service.random.iter().filter_map(|step| counted(step, &kinds)) {
            lesson.put_random(kind.next, counted);
        }
        learned.add(&Arc::from(service.name), &lesson);
    }
    Some(learned)
}

fn service(name: &str, lesson: &Lesson) -> wire::Service {
    let operations = |list: &[Operation]| {
        let operation =
            |one: &Operation| wire::Operation { words: one.words.to_string(), to: one.to.to_string() };
        list.iter().map(operation).collect()
    };
    let none = |next| Kind { after: Err(0), next, way: 0 };
    wire::Service {
        name: name.to_owned(),
        requests: operations(lesson.requests()),
        calls: operations(lesson.calls()),
        steps: lesson.steps().map(|(kind, counted)| step(kind, counted)).collect(),
        random: lesson.random().map(|(next, counted)| step(none(next), counted)).collect(),
    }
}

fn step(kind: Kind, counted: &Counted) -> wire::Counted {
    let split = |counts: &BTreeMap<u8, u32>| {
        counts.iter().map(|(at, count)| (u32::from(*at), *count)).collect::<(Vec<u32>, Vec<u32>)>()
    };
    let (gap_bins, gap_counts) = split(&counted.gaps);
    let (evidence_bins, evidence_counts) = split(&counted.bins);
    let (request, after, nth) = match kind.after {
        Ok((call, nth)) => (0, u32::from(call) + 1, u32::from(nth)),
        Err(request) => (u32::from(request), 0, 0),
    };
    wire::Counted {
        request,
        after,
        nth,
        next: kind.next.map_or(0, |next| u32::from(next) + 1),
        way: i32::from(kind.way),
        steps: counted.steps,
        gap_bins,
        gap_counts,
        evidence_bins,
        evidence_counts,
        pairs: counted.pairs,
        crossed: counted.crossed,
    }
}

fn counted(step: &wire::Counted, kinds: &BTreeMap<u32, usize>) -> Option<(Kind, Counted)> {
    let byte = |number: u32| u8::try_from(number).ok();
    let after = match step.after.checked_sub(1) {
        Some(call) => Ok((byte(call)?, byte(step.nth)?)),
        None => Err(byte(step.request)?),
    };
    let next = match step.next.checked_sub(1) {
        Some(call) => Some(byte(call)?),
        None => None,
    };
    // A bin of a kind of evidence that is not known here says nothing.
    let own = |bin: &u32| {
        let (kind, bin) = (bin / EVIDENCE_BINS as u32, *bin as usize % EVIDENCE_BINS);
        u8::try_from(kinds.get(&kind)? * EVIDENCE_BINS + bin).ok()
    };
    let gaps = step.gap_bins.iter().map(|bin| byte(*bin)).zip(&step.gap_counts);
    let bins = step.evidence_bins.iter().map(own).zip(&step.evidence_counts);
    let counted = Counted {
        steps: step.steps,
        gaps: gaps.map(|(bin, count)| Some((bin?, *count))).collect::<Option<_>>()?,
        bins: bins.filter_map(|(bin, count)| Some((bin?, *count))).collect(),
        pairs: step.pairs,
        crossed: step.crossed,
    };
    Some((Kind { after, next, way: u8::try_from(step.way).ok()? }, counted))
}

#[cfg(test)]
#[path = "learned_tests.rs"]
mod tests;
