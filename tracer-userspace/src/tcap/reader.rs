//! Reads a capture, whatever state it is in: what is whole is told, what is not is passed over and said.

use std::fmt;
use std::io::{self, BufReader, Read};

use prost::Message;
use thiserror::Error;

use super::MAJOR;
use super::decode::Decoder;
use super::fields::Broken;
use super::frame::{self, HEAD, Head, MAGIC, PREAMBLE, kind};
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
        "it is no capture: it does not begin with the bytes of one (offset 0); `tracer record -o FILE.tcap` writes one"
    )]
    NoCapture,
    /// Newer than this program.
    #[error(
        "it has version {major}.{minor} of the format (offset 8), and this tracer reads up to version {MAJOR}: use tracer of \
         the version that recorded it, or a newer one"
    )]
    Newer {
        /// Of the file.
        major: u16,
        /// Of the file.
        minor: u16,
    },
    /// Without it no time of day is known.
    #[error(
        "its description (offset {PREAMBLE}) is damaged or missing, so nothing in it can be placed in time; record again"
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
                 file was not copied whole); what is there was analysed"
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
    /// What comes next, once the batch is told to its end.
    next: Option<Told>,
    batch: Decoder,
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
        if major > MAJOR {
            return Err(Problem::Newer { major, minor });
        }
        let mut reader = Self {
            input,
            offset: PREAMBLE as u64,
            held: Vec::new(),
            next: None,
            batch: Decoder::default(),
            stored: Vec::new(),
            plain: Vec::new(),
            description: Description {
                clock: ClockAnchor { monotonic: Nanos(0), unix_nanos: 0 },
                kernel: String::new(),
                provider: String::new(),
                missing: Vec::new(),
            },
            damages: Vec::new(),
            unknown_frames: 0,
            unknown_observations: 0,
            ended: false,
        };
        let Some(kind::DESCRIPTION) = reader.frame()? else { return Err(Problem::NoDescription) };
        let read = wire::Description::decode(&*reader.plain).map_err(|_| Problem::NoDescription)?;
        if !reader.damages.is_empty() {
            return Err(Problem::NoDescription);
        }
        reader.description = Description {
            clock: anchor(read.clock),
            kernel: read.kernel,
            provider: read.provider,
            missing: read.missing,
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
            match self.batch.next() {
                Some(Some(observation)) => return Ok(Some(Told::Observation(observation))),
                Some(None) => {
                    self.unknown_observations += 1;
                    continue;
                }
                None => {}
            }
            if let Some(told) = self.next.take() {
                return Ok(Some(told));
            }
            if self.ended {
                return Ok(None);
            }
            let before = self.damages.len();
            let kind = self.frame()?;
            let hole = self.damages.len() > before && kind.is_some();
            match kind {
                None | Some(kind::END) => self.ended = true,
                Some(kind::BATCH) => {
                    let batch = std::mem::take(&mut self.plain);
                    match self.batch.begin(batch) {
                        Ok(memory) => self.plain = memory,
                        // Whole, and yet no batch: of a writer that is not ours.
                        Err(Broken) => {
                            self.unknown_frames += 1;
                            self.next = Some(Told::Hole);
                        }
                    }
                }
                Some(kind::CLOCK) => match wire::Clock::decode(&*self.plain) {
                    Ok(clock) => self.next = Some(Told::Clock(anchor(clock))),
                    Err(_) => self.unknown_frames += 1,
                },
                Some(kind::LEDGER) => self.next = Some(Told::Ledger(self.plain.clone())),
                Some(_) => self.unknown_frames += 1,
            }
            if hole {
                return Ok(Some(Told::Hole));
            }
        }
    }

    /// The next whole frame's kind, its payload in `plain`; `None` where the file ends.
    fn frame(&mut self) -> io::Result<Option<u8>> {
        let mut skipped = 0u64;
        loop {
            let begins = self.offset;
            self.read(HEAD)?;
            let Some(head) = self.stored.first_chunk::<HEAD>() else {
                let rest = if skipped > 0 { self.stored.len() as u64 } else { 0 };
                self.corrupt(begins - skipped, skipped + rest);
                self.cut_off(self.offset);
                return Ok(None);
            };
            let Some(head) = Head::parse(head) else {
                // Not a frame's beginning: the next byte may be.
                let (_, rest) = self.stored.split_at(1);
                let rest = rest.to_vec();
                self.give_back(&rest);
                skipped += 1;
                continue;
            };
            self.read(head.stored as usize)?;
            if self.stored.len() < head.stored as usize {
                self.corrupt(begins - skipped, skipped);
                self.cut_off(self.offset);
                return Ok(None);
            }
            if frame::unpack(&head, &self.stored, &mut self.plain) {
                self.corrupt(begins - skipped, skipped);
                return Ok(Some(head.kind));
            }
            // The head is right, so is its length: the next frame follows.
            skipped += HEAD as u64 + u64::from(head.stored);
        }
    }

    /// Up to `len` bytes into `stored`; fewer only at the end of the file.
    fn read(&mut self, len: usize) -> io::Result<()> {
        let held = self.held.len().min(len);
        self.stored.clear();
        self.stored.extend(self.held.drain(..held));
        self.input.by_ref().take((len - held) as u64).read_to_end(&mut self.stored)?;
        self.offset += self.stored.len() as u64;
        Ok(())
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
