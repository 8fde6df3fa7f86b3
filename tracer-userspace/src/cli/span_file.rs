//! A file of traces on disk, or from standard input: read once into a table, and again where more of a span is to be shown.

use std::fs::File;
use std::io::{self, BufReader, Seek, SeekFrom};
use std::os::unix::fs::FileExt;
use std::path::Path;

use anyhow::{Context, Result};

use crate::spans::elements::ElementError;
use crate::spans::file::{read_again, read_table};
use crate::spans::{FileSpan, Place, Problems, Table};

/// Where spans are read from.
#[derive(Debug)]
pub struct Source {
    file: File,
    name: String,
}

impl Source {
    /// Opens a file; `-` is standard input, of which a copy without a name is made beside the temporary files, because it is read twice.
    pub fn open(path: &Path) -> Result<Self> {
        let open = || {
            File::open(path).with_context(|| {
                format!("cannot open {}; `tracer record -o FILE` writes such a file", path.display())
            })
        };
        let (file, name) = if path == Path::new("-") {
            (
                spooled(&mut io::stdin().lock()).context("cannot keep what came by standard input")?,
                "standard input".to_owned(),
            )
        } else {
            let file = open()?;
            let name = path.display().to_string();
            // Of a pipe nothing can be read again.
            if file.metadata().is_ok_and(|meta| meta.is_file()) {
                (file, name)
            } else {
                (spooled(&mut &file).with_context(|| format!("cannot read {name}"))?, name)
            }
        };
        Ok(Self { file, name })
    }

    /// Of an open file.
    pub fn of(file: File, name: String) -> Self {
        Self { file, name }
    }

    /// Whether it begins so.
    pub fn begins_with(&self, bytes: &[u8]) -> bool {
        let mut begin = vec![0; bytes.len()];
        self.file.read_exact_at(&mut begin, 0).is_ok() && begin == bytes
    }

    /// The file, at its beginning.
    pub fn into_file(mut self) -> io::Result<File> {
        self.file.rewind()?;
        Ok(self.file)
    }

    /// As a person would call it.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// From the beginning.
    pub fn reader(&self) -> Result<BufReader<&File>> {
        let mut file = &self.file;
        file.seek(SeekFrom::Start(0)).with_context(|| format!("cannot read {}", self.name))?;
        Ok(BufReader::new(file))
    }

    /// All its spans.
    pub fn table(&self) -> Result<Table> {
        read_table(self.reader()?)
            .map_err(|error: ElementError| anyhow::anyhow!("{} cannot be used: {error}", self.name()))
    }

    /// Says on stderr what was wrong with it.
    pub fn say(&self, problems: &Problems) {
        for line in problems.to_string().lines() {
            eprintln!("tracer: {}: {line}", self.name());
        }
    }

    /// Reads one span again; `None` if it is not there any more.
    pub fn read<T>(&self, place: Place, with: impl FnOnce(&FileSpan<'_>) -> T) -> Option<T> {
        let mut bytes = vec![0; place.len as usize];
        self.file.read_exact_at(&mut bytes, place.offset).ok()?;
        read_again(&bytes).as_ref().map(with)
    }
}

/// A copy that is gone with its descriptor.
fn spooled(from: &mut impl io::Read) -> io::Result<File> {
    let mut file = tempfile::tempfile()?;
    io::copy(from, &mut file)?;
    Ok(file)
}

/// All spans of a file; what was wrong with it is said on stderr.
pub fn table(source: &Source) -> Result<Table> {
    let table = source.table()?;
    source.say(&table.problems);
    Ok(table)
}
