//! Finds the offsets of [`Offsets`] in this kernel's type information.

use std::path::Path;

use thiserror::Error;
use tracer_common::offsets::{ABSENT, Offsets};

use super::btf::{Btf, BtfError};

/// Where the running kernel keeps its type information (CONFIG_DEBUG_INFO_BTF, Linux 5.4).
pub const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

/// Fields without which the probes can still work.
const OPTIONAL: &[&str] = &["task_io_uring"];

/// Why the offsets could not be found.
#[derive(Debug, Error)]
pub enum OffsetError {
    /// The file could not be read.
    #[error(
        "cannot read the kernel's type information at {path}: {source}. \
         This kernel was built without BTF, or /sys is not mounted; tracing needs it"
    )]
    Read {
        /// Which file.
        path: String,
        /// Why.
        source: std::io::Error,
    },
    /// It is not BTF.
    #[error("cannot use the kernel's type information at {path}: {source}")]
    Parse {
        /// Which file.
        path: String,
        /// Why.
        source: BtfError,
    },
    /// A field is missing.
    #[error(
        "this kernel's type information has no `{0}`, which the tracer reads; please report the kernel version"
    )]
    Missing(&'static str),
}

/// Looks all offsets up.
pub fn from_btf_file(path: &Path) -> Result<Offsets, OffsetError> {
    let name = || path.display().to_string();
    let bytes = std::fs::read(path).map_err(|source| OffsetError::Read { path: name(), source })?;
    let btf = Btf::parse(&bytes).map_err(|source| OffsetError::Parse { path: name(), source })?;
    from_btf(&btf)
}

fn from_btf(btf: &Btf<'_>) -> Result<Offsets, OffsetError> {
    let mut offsets = Offsets::ABSENT;
    for (field, path, alias) in Offsets::PATHS {
        let found = btf.member_offset(path).or_else(|| alias.and_then(|alias| btf.member_offset(alias)));
        match found {
            Some(value) => offsets.set(field, value),
            None if OPTIONAL.contains(field) => offsets.set(field, ABSENT),
            None => return Err(OffsetError::Missing(path)),
        };
    }
    Ok(offsets)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_missing_file_says_what_to_do() {
        let error = from_btf_file(Path::new("/no/such/btf")).err().unwrap().to_string();
        assert!(error.contains("/no/such/btf") && error.contains("BTF"), "{error}");
    }
}
