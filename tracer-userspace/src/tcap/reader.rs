//! Reads a capture, whatever state it is in: what is whole is told, what is not is passed over and said.

use std::fmt;
use std::io::{self, Read};

use prost::Message;
use thiserror::Error;

use super::MAJOR;
use super::decode::Decoder;
use super::fields::Broken;
use super::frame::{self, HEAD, Head, MAGIC, PREAMBLE, SYNC, kind};
use super::window::Window;
use super::writer::Description;
use super::{learned, wire};
use crate::analysis::Observation;
use crate::causality::joint::learned::Learned;
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
    /// What was learned until here.
    Learned(Box<Learned>),
}

/// Reads a capture from its beginning to its end.
pub struct Reader<R> {
    input: Window<R>,
    /// The batch that is being told.
    batch: Decoder,
    /// What comes before it.
    first: Option<Told>,
    /// A payload as it stands in the file, and one unpacked: memory that is used again and again.
    stored: Vec<u8>,
    plain: Vec<u8>,
    description: Description,
    /// What is wrong, in the order of the file.
    pub damages: Vec<Damage>,
    /// Frames of kinds that this version does not know.
    pub unknown_frames: u64,
    /// Observations that this version does not know.
    pub unknown_observations: u64,
    ended: bool,
}

/// A frame that is as it was written. Its payload is in [`Reader::plain`].
struct Frame {
    kind: u8,
    /// What stands before it is not.
    after_damage: bool,
}

/// More damages than that are not listed.
const MAX_DAMAGES: usize = 1000;
/// Frames that are kept or taken apart as a whole are no longer than that; longer ones are passed over like unknown ones.
/// The longest that we write is the ledger, some 200 KiB.
const MAX_WHOLE: usize = 1 << 20;

impl<R: Read> Reader<R> {
    /// Begins to read.
    pub fn open(input: R) -> Result<Self, Problem> {
        let mut input = Window::new(input);
        let mut preamble = Vec::new();
        input.take(PREAMBLE, &mut preamble)?;
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
            batch: Decoder::default(),
            first: None,
            stored: Vec::new(),
            plain: Vec::new(),
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
        let first = reader.frame()?.filter(|_| reader.plain.len() <= MAX_WHOLE);
        let read = match first {
            Some(Frame { kind: kind::DESCRIPTION, after_damage: false }) => {
                wire::Description::decode(&*reader.plain).ok()
            }
            // What is lost with the description is little, as long as the clock behind it is there.
            Some(Frame { kind: kind::CLOCK, after_damage: true }) => wire::Clock::decode(&*reader.plain)
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
            if let Some(told) = self.first.take() {
                return Ok(Some(told));
            }
            match self.batch.next() {
                Some(Some(observation)) => return Ok(Some(Told::Observation(observation))),
                Some(None) => {
                    self.unknown_observations += 1;
                    continue;
                }
                None => {}
            }
            if self.ended {
                return Ok(None);
            }
            let Some(frame) = self.frame()? else {
                self.ended = true;
                continue;
            };
            self.first = self.content(frame.kind);
            if frame.after_damage {
                return Ok(Some(Told::Hole));
            }
        }
    }

    /// Takes a whole frame: makes its batch the current one, or says what it tells.
    fn content(&mut self, kind: u8) -> Option<Told> {
        let told = match kind {
            kind::END => {
                self.ended = true;
                return None;
            }
            kind::BATCH => match self.batch.begin(std::mem::take(&mut self.plain)) {
                Ok(memory) => {
                    self.plain = memory;
                    return None;
                }
                // Whole, and yet no batch: of a writer that is not ours.
                Err(Broken) => {
                    self.unknown_frames += 1;
                    return Some(Told::Hole);
                }
            },
            // For people.
            kind::RAW => return None,
            _ if self.plain.len() > MAX_WHOLE => None,
            kind::CLOCK => wire::Clock::decode(&*self.plain).ok().map(|clock| Told::Clock(anchor(clock))),
            kind::LEARNED => learned::decode(&self.plain).map(|learned| Told::Learned(Box::new(learned))),
            kind::LEDGER => Some(Told::Ledger(self.plain.clone())),
            _ => None,
        };
        self.unknown_frames += u64::from(told.is_none());
        told
    }

    /// The next whole frame; `None` where the file ends.
    fn frame(&mut self) -> io::Result<Option<Frame>> {
        let mut skipped = 0u64;
        loop {
            let begins = self.input.offset();
            let bytes = self.input.look(HEAD)?;
            let Some(head) = bytes.first_chunk::<HEAD>() else {
                let rest = bytes.len();
                self.input.skip(rest);
                let damaged = if skipped > 0 { skipped + rest as u64 } else { 0 };
                self.corrupt(begins - skipped, damaged);
                self.cut_off();
                return Ok(None);
            };
            let Some(head) = Head::parse(head) else {
                // Not a frame's beginning: one is searched.
                skipped += self.input.skip_towards(&SYNC)? as u64;
                continue;
            };
            self.input.skip(HEAD);
            self.input.take(head.stored as usize, &mut self.stored)?;
            if self.stored.len() < head.stored as usize {
                self.corrupt(begins - skipped, skipped);
                self.cut_off();
                return Ok(None);
            }
            if frame::unpack(&head, &self.stored, &mut self.plain) {
                self.corrupt(begins - skipped, skipped);
                return Ok(Some(Frame { kind: head.kind, after_damage: skipped > 0 }));
            }
            // The head is right, so is its length: the next frame follows.
            skipped += HEAD as u64 + u64::from(head.stored);
        }
    }

    fn corrupt(&mut self, offset: u64, bytes: u64) {
        if bytes > 0 && self.damages.len() < MAX_DAMAGES {
            self.damages.push(Damage::Corrupt { offset, bytes });
        }
    }

    fn cut_off(&mut self) {
        self.damages.push(Damage::CutOff { offset: self.input.offset() });
    }
}

fn anchor(clock: wire::Clock) -> ClockAnchor {
    ClockAnchor { monotonic: Nanos(clock.monotonic), unix_nanos: clock.unix }
}
