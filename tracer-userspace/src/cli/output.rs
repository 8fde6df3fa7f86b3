//! Files that are written: which kind, by their names.

use std::ffi::OsStr;
use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};

use crate::export::formats::{FileFormat, Host};
use crate::export::records::FileTarget;
use crate::recording::spans::SpanFile;

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

/// Opens a file for traces; `-` is standard output.
pub fn create(path: &Path) -> Result<FileTarget> {
    if is_standard(path) {
        let stdout = io::stdout().as_fd().try_clone_to_owned().context("cannot write to standard output")?;
        return Ok(FileTarget::appending(stdout.into()));
    }
    FileTarget::new(create_file(path)?)
        .with_context(|| format!("cannot use {} for the traces", path.display()))
}

/// Opens a file for writing.
pub fn create_file(path: &Path) -> Result<File> {
    File::create(path).with_context(|| {
        format!(
            "cannot write to {}; choose a file in a directory that exists and can be written",
            path.display()
        )
    })
}

/// A file for spans as they are found, in the format that its name says; the trace JSON where it says none.
pub fn span_file(target: FileTarget, path: &Path, host: Host, max_bytes: u64) -> Result<SpanFile> {
    SpanFile::of_format(target, format(path), host, &beside(path), max_bytes)
        .with_context(|| format!("cannot use {} for the traces", path.display()))
}

/// That format.
fn format(path: &Path) -> FileFormat {
    FileFormat::of_name(path).unwrap_or(FileFormat::Trace)
}

/// What came of it, in a line.
pub fn written(spans: u64, path: &Path) -> String {
    match format(path) {
        _ if is_standard(path) => format!("{spans} spans in standard output"),
        FileFormat::Trace => {
            let path = path.display();
            format!("{spans} spans in {path}; `tracer show {path}` shows the slowest traces")
        }
        format => format!("{spans} spans in {}; {}", path.display(), format.use_of()),
    }
}

/// Whether a path stands for standard input or output.
pub fn is_standard(path: &Path) -> bool {
    path == Path::new("-")
}

/// A path in a sentence.
pub fn shown(path: &Path, standard: &str) -> String {
    if is_standard(path) { standard.to_owned() } else { path.display().to_string() }
}

/// The directory for what is needed only until a file is written.
pub fn beside(path: &Path) -> PathBuf {
    match path.parent().filter(|_| !is_standard(path)) {
        Some(parent) if parent != Path::new("") => parent.to_owned(),
        Some(_) => PathBuf::from("."),
        None => std::env::temp_dir(),
    }
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

    #[test]
    fn what_is_needed_for_a_while_lies_beside_the_output() {
        for (path, directory) in [("a/b.json", "a"), ("b.json", "."), ("/b.json", "/")] {
            assert_eq!(beside(Path::new(path)), Path::new(directory));
        }
        assert_eq!(beside(Path::new("-")), std::env::temp_dir());
    }

    #[test]
    fn whoever_wrote_a_file_learns_what_to_do_with_it() {
        assert!(written(7, Path::new("a.json")).contains("7 spans in a.json; `tracer show a.json`"));
        assert!(written(7, Path::new("a.zipkin.json")).contains("/api/v2/spans"));
        assert!(!written(7, Path::new("-")).contains("show"));
    }
}
