//! Unpacks a capture file (docs/capture-format.md), so that all that is in it can be searched.

use std::path::Path;

use anyhow::{Context, Result, ensure};

/// Magic and version.
const PREAMBLE: usize = 12;
/// Bytes of a frame before its payload.
const HEAD: usize = 24;

/// The payloads of all frames, unpacked, with their kinds. The file must be whole.
pub fn frames(path: &Path) -> Result<Vec<(u8, Vec<u8>)>> {
    let bytes = std::fs::read(path).with_context(|| format!("cannot read {}", path.display()))?;
    let mut rest = bytes.get(PREAMBLE..).context("it is shorter than its preamble")?;
    let mut frames = Vec::new();
    while !rest.is_empty() {
        let (head, after) = rest.split_at_checked(HEAD).context("it ends in a frame's head")?;
        ensure!(head.starts_with(b"\xf7FRM"), "no frame begins where one must");
        let number = |at: usize| -> Result<usize> {
            let bytes = head.get(at..).and_then(|bytes| bytes.first_chunk::<4>()).context("short head")?;
            Ok(u32::from_le_bytes(*bytes) as usize)
        };
        let (stored, plain) = (number(8)?, number(12)?);
        let (payload, next) = after.split_at_checked(stored).context("it ends in a payload")?;
        let payload = match head.get(5) {
            Some(0) => payload.to_vec(),
            Some(1) => lz4_flex::block::decompress(payload, plain).context("a payload cannot be unpacked")?,
            other => anyhow::bail!("packing {other:?}"),
        };
        frames.push((head.get(4).copied().unwrap_or_default(), payload));
        rest = next;
    }
    Ok(frames)
}
