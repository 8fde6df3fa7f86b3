//! Files that are written: which kind, by their names.

use std::ffi::OsStr;
use std::fs::File;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

/// The outputs of a recording.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Outputs {
    /// For traces.
    pub traces: Option<PathBuf>,
    /// For a capture.
    pub capture: Option<PathBuf>,
}

impl Outputs {
    /// Sorts them; one of each kind at most.
    pub fn of(paths: &[PathBuf]) -> Result<Self> {
        let mut outputs = Self::default();
        for path in paths {
            let place = if path.extension() == Some(OsStr::new("tcap")) {
                &mut outputs.capture
            } else {
                &mut outputs.traces
            };
            if let Some(first) = place {
                bail!(
                    "{} and {} are of one kind: name one file for traces (.json) and one for a capture (.tcap) at most",
                    first.display(),
                    path.display()
                );
            }
            *place = Some(path.clone());
        }
        Ok(outputs)
    }
}

/// Opens a file for writing.
pub fn create(path: &Path) -> Result<File> {
    File::create(path).with_context(|| {
        format!(
            "cannot write to {}; choose a file in a directory that exists and can be written",
            path.display()
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn outputs_are_told_apart_by_their_names() {
        let of = |names: &[&str]| Outputs::of(&names.iter().map(PathBuf::from).collect::<Vec<_>>());
        let both = of(&["a.tcap", "b.json"]).unwrap();
        assert_eq!((both.capture, both.traces), (Some("a.tcap".into()), Some("b.json".into())));
        assert_eq!(of(&["out"]).unwrap().traces, Some("out".into()));
        of(&["a.json", "b.json"]).unwrap_err();
        of(&["a.tcap", "b.tcap"]).unwrap_err();
    }
}
