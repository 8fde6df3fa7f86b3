//! Why the probes could not be put in place, in words for whoever runs the tool.

use aya::programs::ProgramError;
use thiserror::Error;

use super::offsets::OffsetError;

/// Why the probes could not be put in place.
#[derive(Debug, Error)]
pub enum LoadError {
    /// Type information.
    #[error(transparent)]
    Offsets(#[from] OffsetError),
    /// The kernel refused a program or map for lack of rights.
    #[error(
        "the kernel does not allow loading the probe `{program}` ({reason}). \
         Run as root (or with CAP_BPF and CAP_PERFMON); if it is root already, the kernel may be locked down: \
         `tracer doctor` says more"
    )]
    NotPermitted {
        /// Which.
        program: String,
        /// The kernel's words.
        reason: String,
    },
    /// Something else failed.
    #[error(
        "cannot load the probe `{program}`: {reason}. Please report this with the output of `tracer doctor`"
    )]
    Failed {
        /// Which.
        program: String,
        /// The kernel's words.
        reason: String,
    },
    /// The kernel has no such hook.
    #[error("this kernel has no {0}")]
    NoHook(String),
    /// The list of trace events.
    #[error("the kernel's list of trace events (tracefs) cannot be read: {0}")]
    NoEvents(String),
    /// The provider would be unsafe or useless here.
    #[error("{0}")]
    Unsuitable(&'static str),
    /// No provider.
    #[error("this kernel offers no way to see socket calls: {0}")]
    NoProvider(String),
    /// The self-check failed.
    #[error(
        "the check of this kernel's structures failed, so nothing read from them could be believed: {0}. \
         Please report this with the output of `tracer doctor`"
    )]
    SelfCheck(String),
}

/// A refusal by the verifier is a defect of ours (or a kernel that we do not know), not a lack of rights, though the
/// kernel reports both as EACCES. Its log goes to the debug log; its last words to the user.
pub(super) fn refused(program: &str, error: &ProgramError) -> LoadError {
    let ProgramError::LoadError { io_error, verifier_log } = error else { return failed(program, error) };
    let log = verifier_log.to_string();
    let reason = log.lines().rev().filter(|line| !line.starts_with("processed ") && !line.is_empty());
    let words: Vec<&str> = reason.take(4).collect();
    if words.is_empty() {
        return failed(program, io_error);
    }
    log::debug!("verifier log of {program}:\n{log}");
    let reason = format!("the kernel's verifier refused it ({})", words.join("; "));
    LoadError::Failed { program: program.to_owned(), reason }
}

/// Sorts an error into "not permitted" and the rest, by the operating system's error in its chain.
pub(super) fn failed(program: &str, error: &(dyn std::error::Error + 'static)) -> LoadError {
    let mut reason = error.to_string();
    if let Some(io) = os_error(error).map(ToString::to_string)
        && !reason.contains(&io)
    {
        reason = format!("{reason}: {io}");
    }
    let program = program.to_owned();
    if matches!(os_error(error).and_then(|io| io.raw_os_error()), Some(libc::EPERM | libc::EACCES)) {
        LoadError::NotPermitted { program, reason }
    } else {
        LoadError::Failed { program, reason }
    }
}

/// The operating system's error at the bottom of a chain.
pub(super) fn os_error<'a>(error: &'a (dyn std::error::Error + 'static)) -> Option<&'a std::io::Error> {
    let mut source = Some(error);
    let mut found = None;
    while let Some(inner) = source {
        found = inner.downcast_ref::<std::io::Error>().or(found);
        source = inner.source();
    }
    found
}
