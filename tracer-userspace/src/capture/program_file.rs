//! Pieces of a program's file, as both need them that look into programs (`golang`, `procfs::go_binary`); and the mark of Go
//! programs.

use std::io;
use std::os::unix::fs::FileExt;

/// Start of the build information that Go's linker leaves (go/src/debug/buildinfo/buildinfo.go, `buildInfoMagic`).
pub const GO_MAGIC: &[u8] = b"\xff Go buildinf:";
/// Its alignment.
pub const GO_MAGIC_ALIGN: usize = 16;
/// How far into the data segment it is looked for (as the Go toolchain does).
pub const GO_MAGIC_SEARCH: u64 = 64 << 10;

/// A little-endian number of `len` bytes.
pub fn int(bytes: &[u8], at: usize, len: usize) -> Option<u64> {
    let bytes = bytes.get(at..at.checked_add(len)?)?;
    Some(bytes.iter().rev().fold(0, |value, byte| value << 8 | u64::from(*byte)))
}

/// Up to `len` bytes, at most `most`, from `offset`; fewer at the end of the file.
pub fn read(file: &impl FileExt, offset: u64, len: u64, most: usize) -> io::Result<Vec<u8>> {
    let mut bytes = vec![0; usize::try_from(len).unwrap_or(usize::MAX).min(most)];
    let mut got = 0;
    while let Some(rest) = bytes.get_mut(got..).filter(|rest| !rest.is_empty()) {
        let Some(at) = offset.checked_add(got as u64).filter(|at| i64::try_from(*at).is_ok()) else { break };
        match file.read_at(rest, at) {
            Ok(0) => break,
            Ok(count) => got += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    bytes.truncate(got);
    Ok(bytes)
}

/// A file in memory, for tests and fuzzing.
#[cfg(any(test, feature = "test-support"))]
pub(crate) struct InMemory<'a>(pub(crate) &'a [u8]);

#[cfg(any(test, feature = "test-support"))]
impl FileExt for InMemory<'_> {
    fn read_at(&self, into: &mut [u8], offset: u64) -> io::Result<usize> {
        let from = usize::try_from(offset).ok().and_then(|at| self.0.get(at..)).unwrap_or_default();
        let len = from.len().min(into.len());
        into.iter_mut().zip(from).for_each(|(to, from)| *to = *from);
        Ok(len)
    }

    fn write_at(&self, _: &[u8], _: u64) -> io::Result<usize> {
        Err(io::ErrorKind::Unsupported.into())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_read_than_there_is_and_than_was_allowed() {
        let file = InMemory(b"0123456789");
        for (offset, len, most, found) in [
            (2, 3, 100, b"234".as_slice()),
            (2, 3, 2, b"23"),
            (8, 100, 100, b"89"),
            (10, 1, 1, b""),
            (u64::MAX, 4, 4, b""),
        ] {
            assert_eq!(read(&file, offset, len, most).unwrap(), found, "{offset} {len} {most}");
        }
    }

    #[test]
    fn numbers_are_little_endian_and_within_the_bytes() {
        assert_eq!(int(&[9, 1, 2], 1, 2), Some(0x201));
        assert_eq!(int(&[1, 2], 1, 2), None);
        assert_eq!(int(&[1, 2], usize::MAX, 2), None);
    }
}
