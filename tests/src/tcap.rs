//! Capture files as bytes: what `docs/capture-format.md` says about their outer form, to build and to break some.

use std::ops::Range;
use std::path::Path;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::paths;
use crate::process::Spec;

/// Where the major version stands, 16 bits.
pub const MAJOR_AT: usize = 8;
/// Where the first frame begins.
pub const FIRST_FRAME: usize = 12;
/// Bytes of a frame before its payload.
pub const HEAD: usize = 24;

/// Kinds of frames.
pub mod kind {
    /// Observations.
    pub const BATCH: u8 = 2;
    /// The end of the capture.
    pub const END: u8 = 5;
}

/// One frame of a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// What it holds.
    pub kind: u8,
    /// Where it stands, head and payload.
    pub at: Range<usize>,
}

/// The frames of a whole file.
pub fn frames(file: &[u8]) -> Result<Vec<Frame>> {
    let mut frames = Vec::new();
    let mut at = FIRST_FRAME;
    while at < file.len() {
        let head = file.get(at..at + HEAD).with_context(|| format!("half a head at {at}"))?;
        let (covered, check) = head.split_at(HEAD - 4);
        ensure!(covered.starts_with(b"\xf7FRM"), "no frame at {at}");
        ensure!(crc32fast::hash(covered).to_le_bytes() == check, "the head at {at} has another checksum");
        let number = |from: usize| covered.get(from..from + 4).and_then(|four| four.try_into().ok());
        let stored = u32::from_le_bytes(number(8).context("no length")?) as usize;
        let end = at + HEAD + stored;
        ensure!(end <= file.len(), "the frame at {at} is not whole");
        let kind = *covered.get(4).context("no kind")?;
        frames.push(Frame { kind, at: at..end });
        at = end;
    }
    Ok(frames)
}

/// The payloads of all frames of a whole file, unpacked, one after the other: all that is in it, to be searched.
pub fn unpacked(file: &[u8]) -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for frame in frames(file)? {
        all.extend(payload(file.get(frame.at).context("no such frame")?)?);
    }
    Ok(all)
}

/// The payload of one frame, unpacked.
pub fn payload(frame: &[u8]) -> Result<Vec<u8>> {
    let (head, stored) = frame.split_at_checked(HEAD).context("half a head")?;
    let plain = head.get(12..).and_then(|rest| rest.first_chunk::<4>()).context("no length")?;
    match head.get(5) {
        Some(0) => Ok(stored.to_vec()),
        Some(1) => {
            let plain = u32::from_le_bytes(*plain) as usize;
            lz4_flex::block::decompress(stored, plain).context("cannot be unpacked")
        }
        other => anyhow::bail!("packing {other:?}"),
    }
}

/// A frame with an unpacked payload.
pub fn frame(kind: u8, payload: &[u8]) -> Result<Vec<u8>> {
    let length = u32::try_from(payload.len())?.to_le_bytes();
    let mut bytes = b"\xf7FRM".to_vec();
    bytes.extend([kind, 0, 0, 0]);
    bytes.extend(length);
    bytes.extend(length);
    bytes.extend(crc32fast::hash(payload).to_le_bytes());
    bytes.extend(crc32fast::hash(&bytes).to_le_bytes());
    bytes.extend(payload);
    Ok(bytes)
}

/// What the reader that was written from the documents alone (`tests/readers/tcap.py`) prints of a file.
#[derive(Debug, Default)]
pub struct Told {
    /// The capture's description.
    pub description: Value,
    /// The exchanges.
    pub exchanges: Vec<Value>,
    /// The recorder's ledger.
    pub ledger: Value,
    /// What was not read.
    pub reading: Value,
    /// Exit code.
    pub code: Option<i32>,
    /// What it printed to stderr.
    pub said: String,
}

/// Reads a file with the stranger's reader.
pub fn by_stranger(file: &Path) -> Result<Told> {
    let reader = paths::readers_dir().join("tcap.py");
    let spec = Spec::new("python3")?.args([reader.to_string_lossy(), file.to_string_lossy()]);
    let output = spec.command().output().context("cannot start python3")?;
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut told = Told { code: output.status.code(), said, ..Told::default() };
    for line in output.stdout.split(|byte| *byte == b'\n').filter(|line| !line.is_empty()) {
        let mut value: Value = serde_json::from_slice(line)
            .with_context(|| format!("not JSON: {}", String::from_utf8_lossy(line)))?;
        let object = value.as_object_mut().context("not an object")?;
        for (key, value) in std::mem::take(object) {
            match key.as_str() {
                "description" => told.description = value,
                "exchange" => told.exchanges.push(value),
                "ledger" => told.ledger = value,
                "reading" => told.reading = value,
                other => anyhow::bail!("what is {other}?"),
            }
        }
    }
    Ok(told)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_built_is_found() {
        let mut file = b"\x89tcap\r\n\x1a\x01\0\0\0".to_vec();
        file.extend(frame(200, b"something").unwrap());
        file.extend(frame(kind::END, b"").unwrap());
        let first = FIRST_FRAME..FIRST_FRAME + HEAD + 9;
        let second = first.end..first.end + HEAD;
        assert_eq!(
            frames(&file).unwrap(),
            [Frame { kind: 200, at: first }, Frame { kind: kind::END, at: second }]
        );
        assert!(frames(&file[..file.len() - 1]).is_err());
        file[20] ^= 1;
        assert!(frames(&file).is_err());
    }
}
