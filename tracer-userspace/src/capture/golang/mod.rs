//! Go programs: where a goroutine's number stands in their memory, and where their `net/http` hands requests over. All
//! of it is read from the program's file; nothing of the program is changed or run.
//!
//! | file | job |
//! |---|---|
//! | `elf` | headers of the file, and reading it piece by piece |
//! | `version` | which Go made it |
//! | `layout` | what lies where in that version's structures |
//! | `pclntab` | the table of functions that the runtime itself needs, so that it is there in stripped programs too |
//! | `handover` | the two functions of `net/http`, and where a probe on them costs least |
//! | `attached` | puts the probes there, and tells the kernel's side of each process (knows aya) |

pub(super) mod attached;
mod elf;
mod handover;
mod layout;
mod pclntab;
#[cfg(test)]
mod tests;
mod version;

use std::fmt;
use std::io;
use std::os::unix::fs::FileExt;

use self::elf::{Elf, Machine};
use self::handover::Handover;
pub(super) use self::handover::Missing;
use self::layout::Layout;
pub(super) use self::version::Version;

/// What is known of a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Program {
    /// Which Go.
    pub version: Version,
    /// Its structures.
    pub layout: Layout,
    /// From the thread pointer to the pointer to the goroutine, bytes (x86-64).
    pub slot: i32,
    /// Where the program begins, as its file says.
    pub entry: u64,
    /// Where `net/http` hands requests over.
    pub handover: Result<Handover, Missing>,
}

impl fmt::Display for Program {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Layout { goid, parent, start } = self.layout;
        write!(
            f,
            "Go 1.{}, goid={goid} parentGoid={parent} startpc={start} g={}",
            self.version.minor, self.slot
        )?;
        match &self.handover {
            Ok(Handover { round_trip, write_loop, writer }) => {
                let (asks, writes) = (round_trip.offset, write_loop.offset);
                write!(f, "; probed at {asks:#x} and {writes:#x}; writers begin at {writer:#x}")
            }
            Err(missing) => write!(f, "; not probed: {missing}"),
        }
    }
}

/// Why goroutines of a program cannot be told from each other: a sentence's end.
#[derive(Debug)]
pub(super) enum Unknown {
    /// The file could not be read.
    Read(io::Error),
    /// It is no program of this machine's.
    Foreign,
    /// It does not say which Go made it.
    NoVersion,
    /// The structures of that version are not known.
    Version(String),
    /// Where threads keep the goroutine cannot be told.
    Storage,
}

impl fmt::Display for Unknown {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Read(error) => write!(f, "its file cannot be read ({error})"),
            Self::Foreign => f.write_str("it is not a 64-bit program of this machine"),
            Self::NoVersion => f.write_str("it does not say which Go made it"),
            Self::Version(version) => write!(f, "the structures of {version} are not known"),
            Self::Storage => f.write_str(
                "it shares its threads' storage with other languages, and without symbols that cannot be taken apart",
            ),
        }
    }
}

impl From<io::Error> for Unknown {
    fn from(error: io::Error) -> Self {
        Self::Read(error)
    }
}

/// Looks at a program's file.
pub(super) fn examine(file: &impl FileExt) -> Result<Program, Unknown> {
    let elf = Elf::read(file)?.ok_or(Unknown::Foreign)?;
    let named = version::of(&elf)?.ok_or(Unknown::NoVersion)?;
    let version = Version::parse(&named).ok_or_else(|| Unknown::Version(named.clone()))?;
    let layout = Layout::of(version).ok_or(Unknown::Version(named))?;
    let slot = match elf.machine {
        Machine::X86_64 => slot(&elf)?.ok_or(Unknown::Storage)?,
        Machine::Aarch64 => 0,
    };
    Ok(Program { version, layout, slot, entry: elf.entry, handover: handover::find(&elf)? })
}

/// Where the goroutine's pointer lies below the thread pointer. A program that is all Go has nothing else there, and
/// the runtime sets it up so (runtime/sys_linux_amd64.s, `settls`). Linked with C it is the variable `runtime.tlsg` of
/// the program's own thread-local storage, which ends at the thread pointer (ELF TLS ABI, variant II).
fn slot(elf: &Elf<'_, impl FileExt>) -> io::Result<Option<i32>> {
    const WORD: u64 = 8;
    let Some(storage) = elf.thread_storage() else { return Ok(Some(-8)) };
    if storage.size <= WORD {
        return Ok(Some(-8));
    }
    let below = storage.size.checked_next_multiple_of(storage.align.max(1));
    let at = elf.symbol(b"runtime.tlsg")?;
    let slot =
        below.zip(at).and_then(|(below, at)| Some(i64::try_from(at).ok()? - i64::try_from(below).ok()?));
    Ok(slot.and_then(|slot| i32::try_from(slot).ok()).filter(|slot| *slot <= -8))
}

/// As a fuzzer runs it: any bytes are a file.
#[cfg(any(test, feature = "test-support"))]
pub(crate) fn fuzzed(file: &impl FileExt) {
    match examine(file) {
        Err(Unknown::Read(error)) => panic!("reading memory does not fail: {error}"),
        Err(_) => {}
        Ok(program) => {
            assert!(program.slot <= 0);
            assert!(Layout::of(program.version).is_some());
        }
    }
    // What stands behind the version is reached without one, too.
    if let Ok(Some(elf)) = Elf::read(file) {
        if let Ok(Ok(found)) = handover::find(&elf) {
            assert!(found.round_trip.offset > 0 && found.write_loop.offset > 0);
        }
        let _ = slot(&elf);
    }
}
