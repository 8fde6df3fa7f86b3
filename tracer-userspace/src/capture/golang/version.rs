//! Which Go made a program: the build information that the linker leaves in it (go/src/debug/buildinfo/buildinfo.go).

use std::io;
use std::os::unix::fs::FileExt;

use super::elf::Elf;
use crate::capture::program_file::{GO_MAGIC, GO_MAGIC_ALIGN, GO_MAGIC_SEARCH, int};

/// Flag: the version stands right after the head (Go 1.18 and later).
const INLINE: u64 = 2;
const HEAD: u64 = 32;
const MAX_LEN: u64 = 100;

/// A release: the number after `go1.`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Version {
    /// As in Go 1.24.
    pub minor: u32,
}

impl Version {
    /// Reads `go1.24.11`. What is no plain release (`devel`, a vendor's own, experiments that may change the runtime)
    /// may have other structures: `None`.
    pub fn parse(text: &str) -> Option<Self> {
        // The FIPS variant of cryptography leaves the runtime as it is.
        let text = text.strip_suffix(" X:boringcrypto").unwrap_or(text);
        let mut numbers = text.strip_prefix("go1.")?.split('.');
        let mut number = || numbers.next().map(|number| decimal(number).ok_or(()));
        let minor = number()?.ok()?;
        match number() {
            None => {}
            Some(patch) => drop(patch.ok()?),
        }
        number().is_none().then_some(Self { minor })
    }
}

fn decimal(text: &str) -> Option<u32> {
    text.bytes().all(|byte| byte.is_ascii_digit()).then(|| text.parse().ok())?
}

/// What the program says of itself, such as `go1.24.11`; `None` if it says nothing.
pub fn of(elf: &Elf<'_, impl FileExt>) -> io::Result<Option<String>> {
    let place = match elf.section(b".go.buildinfo") {
        Some(section) => Some(section),
        None => elf.writable().next(),
    };
    let Some(place) = place else { return Ok(None) };
    let Some(at) = elf.search(place, GO_MAGIC, GO_MAGIC_ALIGN, GO_MAGIC_SEARCH)? else { return Ok(None) };
    let bytes = elf.bytes(at, HEAD + 2 + MAX_LEN)?;
    if int(&bytes, GO_MAGIC.len() + 1, 1).is_none_or(|flags| flags & INLINE == 0) {
        return Ok(None);
    }
    // A varint; a version is shorter than 128 bytes.
    let Some(len) = int(&bytes, HEAD as usize, 1).filter(|len| *len <= MAX_LEN) else { return Ok(None) };
    let text = bytes.get(HEAD as usize + 1..HEAD as usize + 1 + len as usize);
    Ok(text.and_then(|text| std::str::from_utf8(text).ok()).map(str::to_owned))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_releases_are_known() {
        for (text, minor) in
            [("go1.24.11", Some(24)), ("go1.27", Some(27)), ("go1.22.5 X:boringcrypto", Some(22))]
        {
            assert_eq!(Version::parse(text).map(|version| version.minor), minor, "{text}");
        }
        for text in [
            "devel go1.27-abc",
            "go1.27rc1",
            "go1.26.1 X:runtimesecret",
            "go2.1",
            "go1.24.3-vendor",
            "go1.1.1.1",
            "go1.",
            "go1.+4",
            "",
        ] {
            assert_eq!(Version::parse(text), None, "{text}");
        }
    }
}
