//! Writes a capture while it comes, so that what is on the disk is whole up to the last second.

use std::io::{self, Write};

use prost::Message;
use thiserror::Error;
use tracer_common::abi::ConnId;

use super::encode::Encoder;
use super::frame::{self, MAGIC, kind};
use super::raw::RawEncoder;
use super::{MAJOR, MINOR, learned, wire};
use crate::analysis::Observation;
use crate::causality::joint::learned::Learned;
use crate::event::Segment;
use crate::time::{ClockAnchor, Nanos};

/// A batch is written when it has about so many bytes, unpacked.
const BATCH_BYTES: usize = 256 << 10;
/// Or when its first observation is so old: what a crash can cost, ns.
const BATCH_NANOS: u64 = 500_000_000;

/// What the capture is of.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Description {
    /// Both clocks at its beginning.
    pub clock: ClockAnchor,
    /// The kernel's release.
    pub kernel: String,
    /// How socket calls were seen.
    pub provider: String,
    /// What the kernel did not show.
    pub missing: Vec<String>,
    /// Secrets are not masked.
    pub unmasked: bool,
    /// Raw payload is kept.
    pub raw: bool,
    /// What of the kernel is used: programs and where they are hooked in, where the offsets come from.
    pub features: Vec<String>,
}

/// Writing failed.
#[derive(Debug, Error)]
#[error("the capture cannot be written any further: {source}; what was written until then can be analysed")]
pub struct Failed {
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// The writer. [`Writer::finish`] must be called: a file without an end is read as one that was cut off.
#[derive(Debug)]
pub struct Writer<W> {
    file: W,
    encoder: Encoder,
    raw: RawEncoder,
    /// When the batch's first observation was added.
    since: Nanos,
    frame: Vec<u8>,
    /// Bytes written.
    written: u64,
}

impl<W: Write> Writer<W> {
    /// Begins a file that is empty.
    pub fn new(file: W, description: &Description) -> Result<Self, Failed> {
        let mut writer = Self {
            file,
            encoder: Encoder::default(),
            raw: RawEncoder::default(),
            since: Nanos(0),
            frame: Vec::new(),
            written: 0,
        };
        let mut preamble = MAGIC.to_vec();
        preamble.extend_from_slice(&MAJOR.to_le_bytes());
        preamble.extend_from_slice(&MINOR.to_le_bytes());
        writer.frame = preamble;
        let began = description.clock;
        let description = wire::Description {
            writer: format!("tracer {}", env!("CARGO_PKG_VERSION")),
            clock: clock(began),
            kernel: description.kernel.clone(),
            architecture: std::env::consts::ARCH.to_owned(),
            provider: description.provider.clone(),
            missing: description.missing.clone(),
            unmasked: description.unmasked,
            raw: description.raw,
            features: description.features.clone(),
        };
        writer.put(kind::DESCRIPTION, &description.encode_to_vec())?;
        // Once more by itself: without it nothing is placed in time, and a damaged byte must not cost the whole file.
        writer.clock(began)?;
        Ok(writer)
    }

    /// Adds an observation, made at `now` (CLOCK_MONOTONIC).
    pub fn observe(&mut self, observation: &Observation, now: Nanos) -> Result<(), Failed> {
        self.begin(now);
        self.encoder.add(observation, now);
        if self.encoder.weight() >= BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    /// Keeps what was captured of a call, as it is; `conn` is the name that the connection has in the capture.
    pub fn raw(&mut self, conn: ConnId, segment: &Segment<'_>, now: Nanos) -> Result<(), Failed> {
        self.begin(now);
        self.raw.add(conn, segment, now);
        if self.raw.weight() >= BATCH_BYTES { self.flush_raw() } else { Ok(()) }
    }

    /// Writes what has waited long enough.
    pub fn tick(&mut self, now: Nanos) -> Result<(), Failed> {
        if !self.is_empty() && now.since(self.since) >= BATCH_NANOS { self.flush() } else { Ok(()) }
    }

    /// Notes another reading of both clocks.
    pub fn clock(&mut self, anchor: ClockAnchor) -> Result<(), Failed> {
        self.put(kind::CLOCK, &clock(anchor).encode_to_vec())
    }

    /// Notes what was learned until now.
    pub fn learned(&mut self, learned: &Learned) -> Result<(), Failed> {
        learned::encode(learned).map_or(Ok(()), |payload| self.put(kind::LEARNED, &payload))
    }

    /// Ends the file with the capture's ledger (JSON). Returns how many bytes it has.
    pub fn finish(mut self, ledger: &[u8]) -> Result<u64, Failed> {
        self.flush()?;
        self.put(kind::LEDGER, ledger)?;
        self.put(kind::END, &[])?;
        Ok(self.written)
    }

    /// Bytes written so far.
    pub fn written(&self) -> u64 {
        self.written
    }

    fn is_empty(&self) -> bool {
        self.encoder.is_empty() && self.raw.weight() == 0
    }

    /// What is added now may be the first that waits.
    fn begin(&mut self, now: Nanos) {
        if self.is_empty() {
            self.since = now;
        }
    }

    fn flush_raw(&mut self) -> Result<(), Failed> {
        match self.raw.take() {
            Some(raw) => self.put(kind::RAW, &raw.encode_to_vec()),
            None => Ok(()),
        }
    }

    fn flush(&mut self) -> Result<(), Failed> {
        self.flush_raw()?;
        if self.encoder.is_empty() {
            return Ok(());
        }
        let batch = self.encoder.take();
        self.put(kind::BATCH, &batch.encode_to_vec())
    }

    fn put(&mut self, kind: u8, payload: &[u8]) -> Result<(), Failed> {
        frame::pack(kind, payload, &mut self.frame);
        let result = self.file.write_all(&self.frame);
        self.written += self.frame.len() as u64;
        self.frame.clear();
        result.map_err(failed)
    }
}

fn clock(anchor: ClockAnchor) -> wire::Clock {
    wire::Clock { monotonic: anchor.monotonic.0, unix: anchor.unix_nanos }
}

fn failed(source: io::Error) -> Failed {
    Failed { source }
}
