//! Finds the offsets of [`Offsets`], and says where each came from: the kernel's type information (BTF), a file with
//! it, or calibration on sockets and tasks of the tracer's own. Whatever the source, each is checked on such
//! specimens before a probe is loaded.

use std::fmt;
use std::io::Read;
use std::path::Path;

use thiserror::Error;
use tracer_common::offsets::{ABSENT, Offsets};

use super::btf::{Btf, BtfError};
use super::calibrate::{CalibrateError, Calibration, Finding, PT_REGS, calibrate};

/// Where the running kernel keeps its type information (CONFIG_DEBUG_INFO_BTF, Linux 5.4).
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// What to say instead of a file's name so that type information is not used at all.
pub const CALIBRATE: &str = "calibrate";

/// Type information is some 5 to 10 MB.
const MAX_BTF: u64 = 64 << 20;

/// Fields that the probes can do without.
const OPTIONAL: &[&str] = &["task_io_uring", "thread_fsbase"];

/// Where a field's offset came from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Source {
    /// The running kernel's type information.
    Kernel,
    /// The file given with `--btf`.
    File,
    /// Found on specimens.
    Calibrated,
    /// Not found, and not needed; why.
    Absent(String),
}

impl fmt::Display for Source {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Kernel => f.write_str("kernel's type information (BTF)"),
            // Not the file's name: it may say who the user is, and this may be sent to somebody.
            Self::File => f.write_str("type information given with --btf"),
            Self::Calibrated => f.write_str("calibrated"),
            Self::Absent(reason) => write!(f, "absent: {reason}"),
        }
    }
}

/// One field, for `tracer doctor`.
#[derive(Clone, Debug)]
pub struct FieldSource {
    /// Its name in [`Offsets`], or [`PT_REGS`].
    pub field: &'static str,
    /// The C path that it stands for.
    pub path: &'static str,
    /// The offset in bytes; `None` if it is absent.
    pub bytes: Option<u32>,
    /// Where it came from.
    pub source: Source,
    /// Why specimens could neither confirm nor contradict it, if they could not.
    pub unchecked: Option<String>,
}

impl fmt::Display for FieldSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.unchecked {
            Some(reason) => write!(f, "{} (not checked: {reason})", self.source),
            None => self.source.fmt(f),
        }
    }
}

/// All that the probes need to know.
#[derive(Clone, Debug)]
pub struct Located {
    /// The offsets.
    pub offsets: Offsets,
    /// Where a task's saved registers lie above the base of its kernel stack, bytes.
    pub pt_regs_offset: Option<u32>,
    /// Where each came from, in the order of [`Offsets::PATHS`], and the registers last.
    pub fields: Vec<FieldSource>,
}

/// Why the offsets could not be found.
#[derive(Debug, Error)]
pub enum OffsetError {
    /// The file could not be read.
    #[error(
        "cannot read type information from {path}: {source}. Without --btf the kernel's own is used, or none"
    )]
    Read {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not BTF.
    #[error(
        "cannot use {path} as type information: {source}. Give a raw BTF file, made for this very kernel"
    )]
    Parse {
        /// Which file.
        path: String,
        /// Why.
        source: BtfError,
    },
    /// Type information does not fit this kernel.
    #[error("the type information in {path} is not that of the running kernel: {what}. {remedy}")]
    Wrong {
        /// Which file.
        path: String,
        /// The fields and what is wrong with them.
        what: String,
        /// What to do.
        remedy: &'static str,
    },
    /// A field was not found.
    #[error(
        "cannot find where this kernel keeps {what}. `--btf FILE` with this kernel's type information would help; \
         please report the kernel version"
    )]
    NotFound {
        /// The fields and why.
        what: String,
    },
    /// There is no type information, and calibration did not begin.
    #[error("there is no type information at {KERNEL_BTF} (--btf FILE gives it), and the tracer {source}")]
    Calibration {
        /// Why.
        source: CalibrateError,
    },
}

/// Finds all offsets. `btf` is a file with type information, or [`CALIBRATE`]; without it the kernel's own is used if
/// there is one. What type information does not have is calibrated.
pub fn find(btf: Option<&Path>) -> Result<Located, OffsetError> {
    let (path, source) = match btf {
        Some(path) if path == Path::new(CALIBRATE) => (None, Source::Calibrated),
        Some(path) => (Some(path), Source::File),
        None => (Some(Path::new(KERNEL_BTF)), Source::Kernel),
    };
    let given = match path.map(from_btf_file) {
        Some(Ok(given)) => given,
        // Kernels without BTF are what calibration is for; a damaged one is looked at in the same way.
        Some(Err(error)) if source == Source::Kernel => {
            log::info!("{error}");
            Offsets::ABSENT
        }
        Some(Err(error)) => return Err(error),
        None => Offsets::ABSENT,
    };
    let path = path.map(|path| path.display().to_string()).unwrap_or_default();
    merge(&given, &source, &path, calibrate(&given))
}

/// Looks all offsets up in a file of type information; what it does not have is [`ABSENT`].
pub fn from_btf_file(path: &Path) -> Result<Offsets, OffsetError> {
    let name = || path.display().to_string();
    let mut bytes = Vec::new();
    std::fs::File::open(path)
        .and_then(|file| file.take(MAX_BTF).read_to_end(&mut bytes))
        .map_err(|source| OffsetError::Read { path: name(), source })?;
    let btf = Btf::parse(&bytes).map_err(|source| OffsetError::Parse { path: name(), source })?;
    let mut offsets = Offsets::ABSENT;
    for (field, path, alias) in Offsets::PATHS {
        let found = btf.member_offset(path).or_else(|| alias.and_then(|alias| btf.member_offset(alias)));
        offsets.set(field, found.unwrap_or(ABSENT));
    }
    Ok(offsets)
}

/// What type information said and what specimens showed, field by field.
fn merge(
    given: &Offsets,
    source: &Source,
    path: &str,
    calibration: Result<Calibration, CalibrateError>,
) -> Result<Located, OffsetError> {
    let finding = |field: &str| match &calibration {
        Ok(calibration) => calibration.finding(field),
        Err(error) => Finding::Unknown(error.to_string()),
    };
    let mut located = Located { offsets: *given, pt_regs_offset: None, fields: Vec::new() };
    let (mut wrong, mut lost) = (Vec::new(), Vec::new());
    let names = Offsets::PATHS.iter().map(|(field, path, _)| (*field, *path));
    for (field, path) in names.chain([(PT_REGS, "pt_regs on the stack")]) {
        let said = given.get(field).filter(|offset| *offset != ABSENT);
        let mut one = FieldSource { field, path, bytes: said, source: source.clone(), unchecked: None };
        match (finding(field), said) {
            (Finding::Confirmed(_), _) => {}
            (Finding::Found(bytes), _) => {
                one.bytes = Some(bytes);
                one.source = Source::Calibrated;
            }
            (Finding::Wrong(said, measured), _) => wrong.push(contradiction(path, said, measured)),
            (Finding::Unknown(reason), Some(_)) => one.unchecked = Some(reason),
            (Finding::Unneeded(_), Some(_)) => {}
            (Finding::Unneeded(reason), None) => one.source = Source::Absent(reason),
            (Finding::Unknown(reason), None) => {
                if !OPTIONAL.contains(&field) && field != PT_REGS {
                    lost.push(format!("{path} ({reason})"));
                }
                one.source = Source::Absent(reason);
            }
        }
        if field == PT_REGS {
            located.pt_regs_offset = one.bytes;
        } else {
            located.offsets.set(field, one.bytes.unwrap_or(ABSENT));
        }
        located.fields.push(one);
    }
    if !wrong.is_empty() {
        let remedy = match source {
            Source::File => "Leave --btf out, or give the file that belongs to this kernel (`uname -r`)",
            _ => "Try `--btf calibrate`, and please report this with the kernel version",
        };
        return Err(OffsetError::Wrong { path: path.to_owned(), what: some_of(&wrong), remedy });
    }
    match calibration {
        Err(source) if *given == Offsets::ABSENT => Err(OffsetError::Calibration { source }),
        _ if !lost.is_empty() => Err(OffsetError::NotFound { what: some_of(&lost) }),
        _ => Ok(located),
    }
}

fn contradiction(path: &str, said: u32, measured: Option<u32>) -> String {
    match measured {
        Some(measured) => format!("it says {path} is at byte {said}, and here it is at byte {measured}"),
        None => format!("it says {path} is at byte {said}, and here it is not"),
    }
}

/// The first few, and how many more.
fn some_of(all: &[String]) -> String {
    const SHOWN: usize = 4;
    let shown: Vec<&str> = all.iter().take(SHOWN).map(String::as_str).collect();
    match all.len().saturating_sub(SHOWN) {
        0 => shown.join("; "),
        more => format!("{}; and {more} more", shown.join("; ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_is_not_there_or_not_btf_says_what_to_do() {
        let error = find(Some(Path::new("/no/such/btf"))).err().unwrap().to_string();
        assert!(error.contains("/no/such/btf") && error.contains("--btf"), "{error}");
        let error = find(Some(Path::new("/proc/self/status"))).err().unwrap().to_string();
        assert!(error.contains("raw BTF file"), "{error}");
    }

    #[test]
    fn an_endless_file_is_not_read_for_ever() {
        let error = from_btf_file(Path::new("/dev/zero")).err().unwrap().to_string();
        assert!(error.contains("not BTF"), "{error}");
        let error = from_btf_file(Path::new("/dev/null")).err().unwrap().to_string();
        assert!(error.contains("cut off"), "{error}");
    }

    #[test]
    fn without_specimens_what_was_given_is_used_and_said_to_be_unchecked() {
        let mut given = Offsets::ABSENT;
        for (field, ..) in Offsets::PATHS {
            given.set(field, 8);
        }
        let failed = || Err(CalibrateError::Specimens(std::io::Error::other("no threads")));
        let located = merge(&given, &Source::Kernel, "btf", failed()).unwrap();
        assert_eq!(located.offsets, given);
        assert!(located.fields.iter().take(3).all(|one| one.to_string().contains("no threads")));
        given.sk_num = ABSENT;
        let error = merge(&given, &Source::Kernel, "btf", failed()).err().unwrap().to_string();
        assert!(error.contains("skc_num"), "{error}");
        let error = merge(&Offsets::ABSENT, &Source::Kernel, "btf", failed()).err().unwrap().to_string();
        assert!(error.contains("no type information") && error.contains("no threads"), "{error}");
        given.sk_num = 4;
        given.task_io_uring = ABSENT;
        let located = merge(&given, &Source::Kernel, "btf", failed()).unwrap();
        assert_eq!(located.offsets.task_io_uring, ABSENT, "an optional field may be missing");
    }

    #[test]
    fn many_reasons_are_not_all_told() {
        let all: Vec<String> = (0..6).map(|n| n.to_string()).collect();
        assert_eq!(some_of(&all), "0; 1; 2; 3; and 2 more");
        assert_eq!(some_of(&all[..1]), "0");
    }
}
