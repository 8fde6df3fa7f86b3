//! What is known of a field's value in one structure, and which offsets agree with all that is known.
//!
//! A field is looked for by evidence from several specimens with different values; what is left over is believed only
//! if it is one offset, and if specimens made after it had become the only one agree too.

use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use super::memory::{half, word};

/// What the field holds in a structure.
#[derive(Clone, Debug)]
pub enum Want {
    /// This byte.
    U8(u8),
    /// This number of two bytes.
    U16(u16),
    /// This number of four bytes.
    U32(u32),
    /// This number, or pointer, of eight bytes.
    U64(u64),
    /// These bytes.
    Bytes(Vec<u8>),
    /// An IPv4 address that is not the end of an IPv6 address (`::ffff:a.b.c.d` holds one too).
    V4([u8; 4]),
    /// A number of four bytes that grew by this since the snapshot.
    Moved(Rc<[u8]>, u32),
    /// A kernel pointer that was NULL in the snapshot.
    Appeared(Rc<[u8]>),
    /// The lowest address of a kernel stack that contains this address.
    StackOf(u64),
}

/// Kernel stacks are no larger (arm64 with 64 KiB pages).
const MAX_STACK: u64 = 65_536;

impl Want {
    /// Fields lie at multiples of this.
    fn align(&self) -> usize {
        match self {
            Want::U8(_) => 1,
            Want::U16(_) => 2,
            Want::Bytes(bytes) => bytes.len().clamp(1, 4),
            Want::U32(_) | Want::V4(_) | Want::Moved(..) => 4,
            Want::U64(_) | Want::Appeared(_) | Want::StackOf(_) => 8,
        }
    }

    fn holds(&self, bytes: &[u8], at: usize) -> bool {
        let is =
            |wanted: &[u8]| at.checked_add(wanted.len()).and_then(|end| bytes.get(at..end)) == Some(wanted);
        match self {
            Want::U8(value) => is(&[*value]),
            Want::U16(value) => is(&value.to_ne_bytes()),
            Want::U32(value) => is(&value.to_ne_bytes()),
            Want::U64(value) => is(&value.to_ne_bytes()),
            Want::Bytes(wanted) => is(wanted),
            Want::V4(address) => is(address) && !ends_mapped(bytes, at),
            Want::Moved(before, by) => match (half(before, at), half(bytes, at)) {
                (Some(before), Some(after)) => after.wrapping_sub(before) == *by,
                _ => false,
            },
            Want::Appeared(before) => {
                // The upper half of the address space is the kernel's.
                word(before, at) == Some(0) && word(bytes, at).is_some_and(|pointer| pointer >> 63 == 1)
            }
            Want::StackOf(frame) => word(bytes, at)
                .is_some_and(|base| base % 4096 == 0 && base <= *frame && frame - base < MAX_STACK),
        }
    }
}

/// Whether the bytes before an offset are the beginning of an IPv4-mapped IPv6 address.
fn ends_mapped(bytes: &[u8], at: usize) -> bool {
    const PREFIX: [u8; 12] = [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff];
    at.checked_sub(PREFIX.len()).and_then(|start| bytes.get(start..at)) == Some(PREFIX.as_slice())
}

/// A structure's bytes, and what the field holds there.
#[derive(Clone, Debug)]
pub struct Sample {
    /// The bytes from the structure's beginning; only as many as the field may lie in.
    pub bytes: Rc<[u8]>,
    /// What is known.
    pub want: Want,
}

/// What is left of a field's possible offsets.
#[derive(Debug, Default)]
struct Field {
    candidates: Option<BTreeSet<u32>>,
    /// Rounds of specimens that left exactly one, the same.
    agreed: u32,
    samples: usize,
    missing: Option<String>,
    unneeded: Option<String>,
}

/// What became of a field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Finding {
    /// The offset that was given fits all specimens.
    Confirmed(u32),
    /// None was given, and this one was found.
    Found(u32),
    /// The offset that was given does not fit; this one does, if only one does.
    Wrong(u32, Option<u32>),
    /// It could not be told, and why.
    Unknown(String),
    /// This kernel has nothing that the field would be read from, and why.
    Unneeded(String),
}

/// All that is known of all fields.
#[derive(Debug, Default)]
pub struct Evidence {
    fields: BTreeMap<&'static str, Field>,
}

impl Evidence {
    /// Adds one round's samples of a field.
    pub fn add(&mut self, name: &'static str, samples: &[Sample]) {
        let field = self.fields.entry(name).or_default();
        field.samples += samples.len();
        for sample in samples {
            let fits = |at: usize| sample.want.holds(&sample.bytes, at);
            field.candidates = Some(match field.candidates.take() {
                None => (0..sample.bytes.len())
                    .step_by(sample.want.align())
                    .filter(|at| fits(*at))
                    .map(|at| at as u32)
                    .collect(),
                Some(left) => left.into_iter().filter(|at| fits(*at as usize)).collect(),
            });
        }
    }

    /// The same value stands in a field of one structure and in a field of another.
    pub fn add_equal(&mut self, one: (&'static str, &[u8]), other: (&'static str, &[u8])) {
        let left = self.candidates(one.0);
        let right = self.candidates(other.0);
        let values = |set: &BTreeSet<u32>, bytes: &[u8]| -> BTreeSet<Option<u32>> {
            set.iter().map(|at| half(bytes, *at as usize)).collect()
        };
        let common: BTreeSet<_> =
            values(&left, one.1).intersection(&values(&right, other.1)).copied().collect();
        for (name, bytes) in [one, other] {
            if let Some(set) = self.fields.entry(name).or_default().candidates.as_mut() {
                set.retain(|at| common.contains(&half(bytes, *at as usize)));
            }
        }
    }

    /// Adds offsets that one round's specimens left of a field which was found otherwise.
    pub fn intersect(&mut self, name: &'static str, fits: &BTreeSet<u32>) {
        let field = self.fields.entry(name).or_default();
        field.samples += 1;
        field.candidates = Some(match field.candidates.take() {
            None => fits.clone(),
            Some(left) => left.intersection(fits).copied().collect(),
        });
    }

    /// A field's specimen could not be made.
    pub fn missing(&mut self, names: &[&'static str], reason: &str) {
        for name in names {
            self.fields.entry(name).or_default().missing.get_or_insert_with(|| reason.to_owned());
        }
    }

    /// There is nothing on this kernel that the fields would be read from.
    pub fn unneeded(&mut self, names: &[&'static str], reason: &str) {
        for name in names {
            self.fields.entry(name).or_default().unneeded = Some(reason.to_owned());
        }
    }

    /// The offsets left of a field.
    pub fn candidates(&self, name: &str) -> BTreeSet<u32> {
        self.fields.get(name).and_then(|field| field.candidates.clone()).unwrap_or_default()
    }

    /// The only offset left of a field.
    pub fn only(&self, name: &str) -> Option<u32> {
        let left = self.fields.get(name)?.candidates.as_ref()?;
        if left.len() == 1 { left.first().copied() } else { None }
    }

    /// All specimens of a round have been looked at.
    pub fn end_round(&mut self) {
        for field in self.fields.values_mut() {
            let single = field.candidates.as_ref().is_some_and(|left| left.len() == 1);
            field.agreed = if single { field.agreed + 1 } else { 0 };
        }
    }

    /// Whether no more rounds are needed for a field: found and found again, or hopeless.
    pub fn settled(&self, name: &str) -> bool {
        self.fields
            .get(name)
            .is_none_or(|field| field.agreed >= 2 || field.candidates.as_ref().is_none_or(BTreeSet::is_empty))
    }

    /// What became of a field, for which `given` may have been said by type information.
    pub fn finding(&self, name: &str, given: Option<u32>) -> Finding {
        let Some(field) = self.fields.get(name) else {
            return Finding::Unknown("nothing was tried to find it".to_owned());
        };
        let Some(left) = field.candidates.as_ref() else {
            if let Some(reason) = field.unneeded.clone() {
                return Finding::Unneeded(reason);
            }
            let reason = field.missing.clone();
            return Finding::Unknown(reason.unwrap_or_else(|| "there was no specimen".to_owned()));
        };
        let single = self.only(name);
        match given {
            Some(given) if left.contains(&given) => Finding::Confirmed(given),
            Some(given) => Finding::Wrong(given, single),
            None => match single {
                Some(found) if field.agreed >= 2 => Finding::Found(found),
                Some(_) => Finding::Unknown("there were too few specimens to be sure".to_owned()),
                None if left.is_empty() => {
                    Finding::Unknown(format!("no place fits all {} specimens", field.samples))
                }
                None => {
                    let places: Vec<String> = left.iter().take(8).map(u32::to_string).collect();
                    Finding::Unknown(format!("{} places fit: {}", left.len(), places.join(", ")))
                }
            },
        }
    }
}

#[cfg(test)]
#[path = "sample_tests.rs"]
mod tests;
