//! Reads a capture, whatever state it is in: what is whole is told, what is not is passed over and said.

use std::collections::VecDeque;
use std::fmt;
use std::io::{self, BufReader, Read};

use prost::Message;
use thiserror::Error;

use super::MAJOR;
use super::decode::Decoder;
use super::frame::{self, HEAD, Head, MAGIC, PREAMBLE, SYNC, kind};
use super::wire;
use super::writer::Description;
use crate::analysis::Observation;
use crate::time::{ClockAnchor, Nanos};

/// Why a file cannot be read at all. Offsets are bytes from the file's beginning.
#[derive(Debug, Error)]
pub enum Problem {
    /// Nothing in it.
    #[error("it is empty: the recording ended before anything was written; record again")]
    Empty,
    /// Something else.
    #[error(
        "it is no capture: it does not begin with the bytes of one (offset 0); `tracer record -o FILE.tcap` writes one, and \
         traces (.json) are shown by `tracer show`"
    )]
    NoCapture,
    /// No such version was ever written.
    #[error(
        "its version {major}.{minor} (offset 8) is none that a tracer ever recorded: its beginning is damaged; copy the file \
         again if the original is whole"
    )]
    NoVersion {
        /// Of the file.
        major: u16,
        /// Of the file.
        minor: u16,
    },
    /// Newer than this program.
    #[error(
        "it has version {major}.{minor} of the format (offset 8), and this tracer ({}) reads up to version {MAJOR}: use the \
         tracer that recorded it, or a newer one",
        env!("CARGO_PKG_VERSION")
    )]
    Newer {
        /// Of the file.
        major: u16,
        /// Of the file.
        minor: u16,
    },
    /// Without it no time of day is known.
    #[error(
        "its description and the clock behind it (from offset {PREAMBLE} on) are damaged or missing, so nothing in it can be placed in time; copy the file again \
         if the original is whole, else record again"
    )]
    NoDescription,
    /// The system.
    #[error("it cannot be read: {0}")]
    Io(#[from] io::Error),
}

/// What is wrong with a file that can be read in part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Damage {
    /// These bytes are not as they were written.
    Corrupt {
        /// Where they begin.
        offset: u64,
        /// How many.
        bytes: u64,
    },
    /// The file ends before the capture did.
    CutOff {
        /// Where.
        offset: u64,
    },
}

impl Damage {
    /// Where it is.
    pub fn offset(&self) -> u64 {
        match self {
            Damage::Corrupt { offset, .. } | Damage::CutOff { offset } => *offset,
        }
    }
}

impl fmt::Display for Damage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Damage::Corrupt { offset, bytes } => write!(
                f,
                "{bytes} bytes at offset {offset} are damaged; what they held is missing, the rest was analysed; copy the \
                 file again if the original is whole"
            ),
            Damage::CutOff { offset } => write!(
                f,
                "its tail is missing: it ends at offset {offset} without the end of the capture (the recorder was killed, or the \
                 file was not copied whole); what is there was analysed; copy the file again if the original is longer"
            ),
        }
    }
}

/// What comes out of a file.
#[derive(Clone, Debug, PartialEq)]
pub enum Told {
    /// An observation.
    Observation(Observation),
    /// Observations are missing here.
    Hole,
    /// Another reading of both clocks.
    Clock(ClockAnchor),
    /// The ledger, JSON.
    Ledger(Vec<u8>),
}

/// Reads a capture from its beginning to its end.
pub struct Reader<R> {
    input: BufReader<R>,
    /// Where the next byte of `input` stands in the file.
    offset: u64,
    /// Bytes that were read while a frame's beginning was searched, and belong before `input`.
    held: Vec<u8>,
    ready: VecDeque<Told>,
    description: Description,
    /// What is wrong, in the order of the file.
    pub damages: Vec<Damage>,
    /// Frames of kinds that this version does not know.
    pub unknown_frames: u64,
    /// Observations that this version does not know.
    pub unknown_observations: u64,
    ended: bool,
}

/// More damages than that are not listed.
const MAX_DAMAGES: usize = 1000;

impl<R: Read> Reader<R> {
    /// Begins to read.
    pub fn open(input: R) -> Result<Self, Problem> {
        let mut input = BufReader::with_capacity(1 << 18, input);
        let mut preamble = Vec::with_capacity(PREAMBLE);
        input.by_ref().take(PREAMBLE as u64).read_to_end(&mut preamble)?;
        if preamble.is_empty() {
            return Err(Problem::Empty);
        }
        let Some((magic, version)) = preamble.split_first_chunk::<8>() else {
            return Err(Problem::NoCapture);
        };
        let &[a, b, c, d] = version else { return Err(Problem::NoCapture) };
        if *magic != MAGIC {
            return Err(Problem::NoCapture);
        }
        let (major, minor) = (u16::from_le_bytes([a, b]), u16::from_le_bytes([c, d]));
        if major == 0 {
            return Err(Problem::NoVersion { major, minor });
        }
        if major > MAJOR {
            return Err(Problem::Newer { major, minor });
        }
        let mut reader = Self {
            input,
            offset: PREAMBLE as u64,
            held: Vec::new(),
            ready: VecDeque::new(),
            description: Description {
                clock: ClockAnchor { monotonic: Nanos(0), unix_nanos: 0 },
                kernel: String::new(),
                provider: String::new(),
                missing: Vec::new(),
                unmasked: false,
                raw: false,
                features: Vec::new(),
            },
            damages: Vec::new(),
            unknown_frames: 0,
            unknown_observations: 0,
            ended: false,
        };
        let first = reader.frame()?;
        let read = match (first, reader.damages.is_empty()) {
            (Some((kind::DESCRIPTION, payload)), true) => wire::Description::decode(&*payload).ok(),
            // What is lost with the description is little, as long as the clock behind it is there.
            (Some((kind::CLOCK, payload)), false) => wire::Clock::decode(&*payload)
                .ok()
                .map(|clock| wire::Description { clock, ..wire::Description::default() }),
            _ => None,
        };
        let read = read.ok_or(Problem::NoDescription)?;
        reader.description = Description {
            clock: anchor(read.clock),
            kernel: read.kernel,
            provider: read.provider,
            missing: read.missing,
            unmasked: read.unmasked,
            raw: read.raw,
            features: read.features,
        };
        Ok(reader)
    }

    /// What the capture is of.
    pub fn description(&self) -> &Description {
        &self.description
    }

    /// What comes next; `None` at the end.
    pub fn read_next(&mut self) -> io::Result<Option<Told>> {
        loop {
            if let Some(told) = self.ready.pop_front() {
                return Ok(Some(told));
            }
            if self.ended {
                return Ok(None);
            }
            let before = self.damages.len();
            let frame = self.frame()?;
            if self.damages.len() > before && frame.is_some() {
                self.ready.push_back(Told::Hole);
            }
            match frame {
                None => self.ended = true,
                Some((kind::END, _)) => self.ended = true,
                Some((kind::BATCH, payload)) => self.batch(&payload),
                Some((kind::CLOCK, payload)) => match wire::Clock::decode(&*payload) {
                    Ok(clock) => self.ready.push_back(Told::Clock(anchor(clock))),
                    Err(_) => self.unknown_frames += 1,
                },
                Some((kind::LEDGER, payload)) => self.ready.push_back(Told::Ledger(payload)),
                // For people.
                Some((kind::RAW, _)) => {}
                Some(_) => self.unknown_frames += 1,
            }
        }
    }

    fn batch(&mut self, payload: &[u8]) {
        let Ok(batch) = wire::Batch::decode(payload) else {
            // Whole, and yet no batch: of a writer that is not ours.
            self.unknown_frames += 1;
            self.ready.push_back(Told::Hole);
            return;
        };
        let (decoder, items) = Decoder::new(batch);
        for item in items {
            match decoder.observation(item) {
                Some(observation) => self.ready.push_back(Told::Observation(observation)),
                None => self.unknown_observations += 1,
            }
        }
    }

    /// The next whole frame; `None` where the file ends.
    fn frame(&mut self) -> io::Result<Option<(u8, Vec<u8>)>> {
        let mut skipped = 0u64;
        loop {
            let begins = self.offset;
            let bytes = self.read(HEAD)?;
            let Some(head) = bytes.first_chunk::<HEAD>() else {
                let rest = if skipped > 0 { bytes.len() as u64 } else { 0 };
                self.corrupt(begins - skipped, skipped + rest);
                self.cut_off(self.offset);
                return Ok(None);
            };
            let Some(head) = Head::parse(head) else {
                // Not a frame's beginning: the next byte that looks like one may be.
                let found = bytes.iter().skip(1).position(|byte| *byte == SYNC[0]);
                let passed = found.map_or(bytes.len(), |at| at + 1);
                self.give_back(bytes.get(passed..).unwrap_or_default());
                skipped += passed as u64;
                continue;
            };
            let payload = self.read(head.stored as usize)?;
            if payload.len() < head.stored as usize {
                self.corrupt(begins - skipped, skipped);
                self.cut_off(self.offset);
                return Ok(None);
            }
            match frame::unpack(&head, payload) {
                Some(payload) => {
                    self.corrupt(begins - skipped, skipped);
                    return Ok(Some((head.kind, payload)));
                }
                // The head is right, so is its length: the next frame follows.
                None => skipped += HEAD as u64 + u64::from(head.stored),
            }
        }
    }

    /// Up to `len` bytes; fewer only at the end of the file.
    fn read(&mut self, len: usize) -> io::Result<Vec<u8>> {
        let held = self.held.len().min(len);
        let mut bytes: Vec<u8> = self.held.drain(..held).collect();
        self.input.by_ref().take((len - held) as u64).read_to_end(&mut bytes)?;
        self.offset += bytes.len() as u64;
        Ok(bytes)
    }

    fn give_back(&mut self, bytes: &[u8]) {
        self.offset -= bytes.len() as u64;
        self.held.splice(..0, bytes.iter().copied());
    }

    fn corrupt(&mut self, offset: u64, bytes: u64) {
        if bytes > 0 && self.damages.len() < MAX_DAMAGES {
            self.damages.push(Damage::Corrupt { offset, bytes });
        }
    }

    fn cut_off(&mut self, offset: u64) {
        self.damages.push(Damage::CutOff { offset });
    }
}

fn anchor(clock: wire::Clock) -> ClockAnchor {
    ClockAnchor { monotonic: Nanos(clock.monotonic), unix_nanos: clock.unix }
}
