//! Records, one after the other, into a file that is whole after every flush, not only at its end.
//!
//! What closes the file is written behind the last record and overwritten by the next. When the disk is full, what fits is kept,
//! cut after the last whole record.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes collected before they are written.
const BUFFER: usize = 256 * 1024;

/// Where records go.
pub trait Target {
    /// Whether bytes written once can be overwritten and cut off (a regular file), or not (a pipe).
    fn rewrites(&self) -> bool;
    /// Writes some of the bytes at a position; without [`Target::rewrites`] that is always the end.
    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize>;
    /// Cuts the target off at a length. Only with [`Target::rewrites`].
    fn cut(&mut self, len: u64) -> io::Result<()>;
}

/// A file or whatever else a path leads to.
#[derive(Debug)]
pub struct FileTarget {
    file: File,
    regular: bool,
}

impl FileTarget {
    /// Takes an open file; what was in it is overwritten.
    pub fn new(file: File) -> io::Result<FileTarget> {
        let regular = file.metadata()?.is_file();
        if regular {
            file.set_len(0)?;
        }
        Ok(FileTarget { file, regular })
    }

    /// Takes an open file that others write into too, as standard output is: what is in it stays, and each byte is written once.
    pub fn appending(file: File) -> FileTarget {
        FileTarget { file, regular: false }
    }
}

impl Target for FileTarget {
    fn rewrites(&self) -> bool {
        self.regular
    }

    fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
        if self.regular { self.file.write_at(bytes, offset) } else { io::Write::write(&mut self.file, bytes) }
    }

    fn cut(&mut self, len: u64) -> io::Result<()> {
        self.file.set_len(len)
    }
}

/// Writing failed.
#[derive(Debug, thiserror::Error)]
#[error(
    "writing the traces failed after {kept} spans: {source}; {}",
    if *.valid {
        "the file holds these spans and is valid; free space or choose another place with -o"
    } else if .source.kind() == io::ErrorKind::StorageFull {
        "the file is cut off and is not valid; free space or choose another place with -o"
    } else {
        "the output is cut off in the middle and is not valid; choose a regular file with -o"
    }
)]
pub struct WriteError {
    /// Spans that are in the output whole.
    pub kept: u64,
    /// Whether the output can be read as what it is.
    pub valid: bool,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// A place where the output could end.
#[derive(Clone, Copy, Debug, Default)]
struct Whole {
    /// Bytes before it in the buffer.
    at: usize,
    /// Spans before it in the output.
    spans: u64,
    /// What would have to follow.
    closing: &'static [u8],
}

/// The writer. [`Records::finish`] must be called; without it the last records are missing.
#[derive(Debug)]
pub struct Records<T: Target> {
    target: T,
    buffer: Vec<u8>,
    /// In the buffer, by place.
    whole: Vec<Whole>,
    /// The last that was written out; its place is [`Records::offset`].
    last: Whole,
    /// Bytes of the target before the buffer.
    offset: u64,
    failed: bool,
}

impl<T: Target> Records<T> {
    /// Nothing is written yet. What the output begins with is the first record, of no span.
    pub fn new(target: T) -> Self {
        let buffer = Vec::with_capacity(BUFFER + BUFFER / 4);
        Self { target, buffer, whole: Vec::new(), last: Whole::default(), offset: 0, failed: false }
    }

    /// Where the next record is to be appended.
    pub fn buffer(&mut self) -> &mut Vec<u8> {
        &mut self.buffer
    }

    /// Spans in the records that were ended.
    pub fn spans(&self) -> u64 {
        self.whole.last().unwrap_or(&self.last).spans
    }

    /// Bytes so far, those that are not written yet included.
    pub fn bytes(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    /// A record ends here. With it `spans` more are in the output, which would be whole if `closing` followed.
    ///
    /// After an error the output is as the error says, and further records are dropped.
    pub fn end_record(&mut self, spans: u64, closing: &'static [u8]) -> Result<(), WriteError> {
        if self.failed {
            self.buffer.clear();
            return Ok(());
        }
        let spans = self.spans() + spans;
        self.whole.push(Whole { at: self.buffer.len(), spans, closing });
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    /// Writes out what is collected, so that a reader finds all records so far. What is no whole record yet stays.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        let Some(last) = self.whole.last().copied().filter(|_| !self.failed) else { return Ok(()) };
        let begun = self.buffer.split_off(last.at);
        if self.target.rewrites() {
            self.buffer.extend_from_slice(last.closing);
        }
        match write_all(&mut self.target, &self.buffer, self.offset) {
            Ok(()) => {
                self.offset += last.at as u64;
                self.last = Whole { at: 0, ..last };
                self.whole.clear();
                self.buffer.clear();
                self.buffer.extend_from_slice(&begun);
                Ok(())
            }
            Err((written, source)) => Err(self.rescue(written, source)),
        }
    }

    /// Ends the output. Returns the spans in it.
    pub fn finish(mut self) -> Result<u64, WriteError> {
        let last = *self.whole.last().unwrap_or(&self.last);
        if !self.target.rewrites() && !self.failed {
            self.buffer.truncate(if self.whole.is_empty() { 0 } else { last.at });
            self.buffer.extend_from_slice(last.closing);
            self.whole.push(Whole { at: self.buffer.len(), ..last });
        }
        self.flush()?;
        Ok(last.spans)
    }

    /// Cuts the file after the last record that fits together with what closes it. That goes where bytes of a later record were
    /// already written, so it needs no new space.
    fn rescue(&mut self, written: usize, source: io::Error) -> WriteError {
        self.failed = true;
        if !self.target.rewrites() {
            let kept = self.whole.iter().take_while(|whole| whole.at <= written).last();
            return WriteError { kept: kept.unwrap_or(&self.last).spans, valid: false, source };
        }
        let fitting = self.whole.iter().take_while(|whole| whole.at + whole.closing.len() <= written).last();
        let (end, bytes) = match (fitting, self.whole.first()) {
            (Some(whole), _) => (whole, whole.closing.to_vec()),
            // Nothing of this buffer. Before it the file ended with what was overwritten,
            (None, _) if self.offset > 0 => (&self.last, self.last.closing.to_vec()),
            // or had not even begun.
            (None, first) => {
                let first = first.unwrap_or(&self.last);
                let opening = self.buffer.get(..first.at).unwrap_or_default();
                (&self.last, [opening, first.closing].concat())
            }
        };
        let at = self.offset + end.at as u64;
        let valid = write_all(&mut self.target, &bytes, at).is_ok()
            && self.target.cut(at + bytes.len() as u64).is_ok();
        WriteError { kept: end.spans, valid, source }
    }
}

fn write_all(target: &mut impl Target, bytes: &[u8], offset: u64) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while let Some(rest) = bytes.get(written..).filter(|rest| !rest.is_empty()) {
        match target.write_at(rest, offset + written as u64) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((written, error)),
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A disk of a size.
    struct Disk(Vec<u8>, usize);

    impl Target for &mut Disk {
        fn rewrites(&self) -> bool {
            true
        }

        fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
            let offset = offset as usize;
            let room = self.1.saturating_sub(offset).min(bytes.len());
            if room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.0.resize(self.0.len().max(offset + room), 0);
            self.0[offset..offset + room].copy_from_slice(&bytes[..room]);
            Ok(room)
        }

        fn cut(&mut self, len: u64) -> io::Result<()> {
            self.0.truncate(len as usize);
            Ok(())
        }
    }

    #[test]
    fn a_record_that_does_not_fit_leaves_what_was_written_before() {
        let mut disk = Disk(Vec::new(), 100);
        let mut records = Records::new(&mut disk);
        records.buffer().extend_from_slice(b"<");
        records.end_record(0, b">").unwrap();
        records.buffer().extend_from_slice(b"one");
        records.end_record(1, b"!>").unwrap();
        records.flush().unwrap();
        records.buffer().extend_from_slice(&[b'x'; 200]);
        records.end_record(1, b"?>").unwrap();
        let error = records.flush().unwrap_err();
        assert!(error.valid && error.kept == 1, "{error}");
        assert_eq!(disk.0, b"<one!>");
    }

    #[test]
    fn what_is_no_whole_record_yet_is_not_written() {
        let mut disk = Disk(Vec::new(), 100);
        let mut records = Records::new(&mut disk);
        records.buffer().extend_from_slice(b"<");
        records.end_record(0, b">").unwrap();
        records.buffer().extend_from_slice(b"half");
        records.flush().unwrap();
        records.buffer().extend_from_slice(b" and half");
        records.end_record(2, b"!>").unwrap();
        records.buffer().extend_from_slice(b"begun");
        assert_eq!(records.finish().unwrap(), 2);
        assert_eq!(disk.0, b"<half and half!>");
    }

    #[test]
    fn a_disk_that_holds_nothing_is_told() {
        let mut disk = Disk(Vec::new(), 0);
        let mut records = Records::new(&mut disk);
        records.buffer().extend_from_slice(b"<");
        records.end_record(0, b">").unwrap();
        let error = records.finish().unwrap_err();
        assert!(!error.valid && error.kept == 0 && error.to_string().contains("free space"), "{error}");
    }
}
