//! How the guest reports over its virtio-serial port: frames of a tag, a length (32 bits, little endian) and a
//! payload. Output of the jobs travels in them byte for byte, and nothing that a job prints can be taken for a report.

use std::io::{self, Write};

/// The largest payload that is sent or accepted.
pub const MAX_PAYLOAD: usize = 64 * 1024;

/// Bytes before the payload.
const HEADER: usize = 5;

/// One report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Frame {
    /// The guest is up and begins with the jobs; the text is the kernel's release.
    Ready(String),
    /// A piece of the running job's standard output.
    Stdout(Vec<u8>),
    /// A piece of the running job's standard error.
    Stderr(Vec<u8>),
    /// The running job has ended; the next one, if any, begins.
    Exit {
        /// Its exit code; 128 + N if signal N ended it; [`crate::plan::TIMED_OUT`] if its time was up.
        code: i32,
        /// How long it ran, in milliseconds of the guest's clock.
        millis: u64,
    },
    /// The guest itself could not do what was planned; nothing follows but [`Frame::Done`].
    Failed(String),
    /// The guest powers off.
    Done,
}

/// What came from a guest is not what `guest-init` sends.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Malformed(pub String);

impl std::fmt::Display for Malformed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "the guest's report cannot be read: {}", self.0)
    }
}

impl std::error::Error for Malformed {}

impl Frame {
    /// Writes it in one call, cut to [`MAX_PAYLOAD`] bytes of payload.
    pub fn write(&self, to: &mut impl Write) -> io::Result<()> {
        let (tag, payload) = match self {
            Frame::Ready(text) => (1, text.clone().into_bytes()),
            Frame::Stdout(bytes) => (2, bytes.clone()),
            Frame::Stderr(bytes) => (3, bytes.clone()),
            Frame::Exit { code, millis } => {
                let mut payload = code.to_le_bytes().to_vec();
                payload.extend(millis.to_le_bytes());
                (4, payload)
            }
            Frame::Failed(text) => (5, text.clone().into_bytes()),
            Frame::Done => (6, Vec::new()),
        };
        let payload = payload.get(..MAX_PAYLOAD).unwrap_or(&payload);
        let mut bytes = Vec::with_capacity(HEADER + payload.len());
        bytes.push(tag);
        bytes.extend((payload.len() as u32).to_le_bytes());
        bytes.extend(payload);
        to.write_all(&bytes)
    }

    fn read(tag: u8, payload: &[u8]) -> Result<Self, Malformed> {
        let text = || String::from_utf8_lossy(payload).into_owned();
        Ok(match tag {
            1 => Frame::Ready(text()),
            2 => Frame::Stdout(payload.to_vec()),
            3 => Frame::Stderr(payload.to_vec()),
            4 => {
                let malformed = || Malformed(format!("an exit of {} bytes", payload.len()));
                let (code, millis) = payload.split_first_chunk::<4>().ok_or_else(malformed)?;
                let millis: [u8; 8] = millis.try_into().map_err(|_| malformed())?;
                Frame::Exit { code: i32::from_le_bytes(*code), millis: u64::from_le_bytes(millis) }
            }
            5 => Frame::Failed(text()),
            6 => Frame::Done,
            other => return Err(Malformed(format!("unknown frame {other}"))),
        })
    }
}

/// Puts frames together again from pieces of any size.
#[derive(Debug, Default)]
pub struct Decoder {
    pending: Vec<u8>,
}

impl Decoder {
    /// Takes the next piece and returns what is complete.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<Frame>, Malformed> {
        self.pending.extend_from_slice(bytes);
        let mut frames = Vec::new();
        loop {
            let Some((&[tag, a, b, c, d], rest)) = self.pending.split_first_chunk::<HEADER>() else {
                return Ok(frames);
            };
            let length = u32::from_le_bytes([a, b, c, d]) as usize;
            if length > MAX_PAYLOAD {
                return Err(Malformed(format!("a frame of {length} bytes")));
            }
            let Some(payload) = rest.get(..length) else { return Ok(frames) };
            frames.push(Frame::read(tag, payload)?);
            self.pending.drain(..HEADER + length);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Frame> {
        vec![
            Frame::Ready("6.1.0-56-cloud-amd64".into()),
            Frame::Stdout(b"\x00\xff\n\x06".to_vec()),
            Frame::Stderr(Vec::new()),
            Frame::Exit { code: -1, millis: 1 << 40 },
            Frame::Failed("no root disk".into()),
            Frame::Done,
        ]
    }

    #[test]
    fn every_frame_survives_being_cut_anywhere() {
        let mut bytes = Vec::new();
        for frame in all() {
            frame.write(&mut bytes).unwrap();
        }
        for size in 1..bytes.len() {
            let mut decoder = Decoder::default();
            let frames: Vec<Frame> =
                bytes.chunks(size).flat_map(|piece| decoder.push(piece).unwrap()).collect();
            assert_eq!(frames, all(), "in pieces of {size}");
        }
    }

    #[test]
    fn noise_is_refused_instead_of_waited_for() {
        assert!(Decoder::default().push(b"Linux version 6.1").is_err());
        assert!(Decoder::default().push(&[9, 0, 0, 0, 0]).is_err());
        assert!(Decoder::default().push(&[4, 1, 0, 0, 0, 7]).is_err());
    }

    #[test]
    fn a_payload_beyond_the_limit_is_cut_and_stays_readable() {
        let mut bytes = Vec::new();
        Frame::Stdout(vec![1; MAX_PAYLOAD + 9]).write(&mut bytes).unwrap();
        let frames = Decoder::default().push(&bytes).unwrap();
        assert_eq!(frames, [Frame::Stdout(vec![1; MAX_PAYLOAD])]);
    }
}
