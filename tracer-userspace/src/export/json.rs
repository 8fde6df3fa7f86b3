//! Writes spans as a JSON array, one span per line, while they come.
//!
//! The file is a valid array after every flush, not only at the end: the closing bracket is written behind the last
//! span and overwritten by the next. When the disk is full, what fits is kept, cut after the last whole span.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;

/// Bytes collected before they are written.
const BUFFER: usize = 64 * 1024;
/// What ends the array.
const CLOSING: &[u8] = b"\n]\n";

/// What has a JSON form.
pub trait ToJson {
    /// Appends it.
    fn to_json(&self, out: &mut Vec<u8>);
}

/// Where the array goes.
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
        "the file holds these spans and is valid JSON; free space or choose another place with -o"
    } else {
        "the output is cut off in the middle and is not valid JSON; choose a regular file with -o"
    }
)]
pub struct WriteError {
    /// Spans that are in the output whole.
    pub kept: u64,
    /// Whether the output is valid JSON.
    pub valid: bool,
    /// What the system said.
    #[source]
    pub source: io::Error,
}

/// The writer. [`JsonArray::finish`] must be called; without it the last spans are missing.
#[derive(Debug)]
pub struct JsonArray<T: Target> {
    target: T,
    buffer: Vec<u8>,
    /// Ends of the spans in the buffer.
    ends: Vec<usize>,
    /// Bytes of the target before the buffer.
    offset: u64,
    /// Spans in front of the buffer.
    flushed: u64,
    failed: bool,
}

impl<T: Target> JsonArray<T> {
    /// Begins the array. Nothing is written yet.
    pub fn new(target: T) -> JsonArray<T> {
        let mut buffer = Vec::with_capacity(BUFFER + BUFFER / 4);
        buffer.push(b'[');
        JsonArray { target, buffer, ends: Vec::new(), offset: 0, flushed: 0, failed: false }
    }

    /// How many spans were given.
    pub fn spans(&self) -> u64 {
        self.flushed + self.ends.len() as u64
    }

    /// Bytes so far, those that are not written yet included.
    pub fn bytes(&self) -> u64 {
        self.offset + self.buffer.len() as u64
    }

    /// Adds a span. After an error the output is as the error says, and further spans are dropped.
    pub fn write(&mut self, span: &impl ToJson) -> Result<(), WriteError> {
        if self.failed {
            return Ok(());
        }
        self.buffer.extend_from_slice(if self.spans() == 0 { b"\n" } else { b",\n" });
        span.to_json(&mut self.buffer);
        self.ends.push(self.buffer.len());
        if self.buffer.len() >= BUFFER { self.flush() } else { Ok(()) }
    }

    /// Writes out what is collected, so that a reader finds a valid array with all spans so far.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        if self.failed {
            return Ok(());
        }
        let body = self.buffer.len();
        if self.target.rewrites() {
            self.buffer.extend_from_slice(CLOSING);
        }
        match write_all(&mut self.target, &self.buffer, self.offset) {
            Ok(()) => {
                self.offset += body as u64;
                self.flushed += self.ends.len() as u64;
                self.buffer.clear();
                self.ends.clear();
                Ok(())
            }
            Err((written, source)) => Err(self.rescue(written, source)),
        }
    }

    /// Ends the array.
    pub fn finish(mut self) -> Result<u64, WriteError> {
        if !self.target.rewrites() {
            self.buffer.extend_from_slice(CLOSING);
        }
        self.flush()?;
        Ok(self.flushed)
    }

    /// Cuts the file after the last span that fits together with the closing bracket. The bracket goes where bytes
    /// of a later span were already written, so it needs no new space.
    fn rescue(&mut self, written: usize, source: io::Error) -> WriteError {
        self.failed = true;
        let fits = |end: &&usize| **end + CLOSING.len() <= written;
        let whole = self.ends.iter().take_while(fits).count();
        let kept = self.flushed + whole as u64;
        if !self.target.rewrites() {
            let whole = self.ends.iter().take_while(|end| **end <= written).count();
            return WriteError { kept: self.flushed + whole as u64, valid: false, source };
        }
        let end = match self.ends.iter().take_while(fits).last() {
            Some(end) => self.offset + *end as u64,
            // Nothing of this buffer; before it the file ended with the bracket that was overwritten.
            None => self.offset.max(1),
        };
        let bracket: &[u8] = if end == 1 { b"[\n]\n" } else { CLOSING };
        let at = if end == 1 { 0 } else { end };
        let valid = write_all(&mut self.target, bracket, at).is_ok()
            && self.target.cut(at + bracket.len() as u64).is_ok();
        WriteError { kept, valid, source }
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

    impl ToJson for String {
        fn to_json(&self, out: &mut Vec<u8>) {
            serde_json::to_writer(out, self).unwrap();
        }
    }

    /// A disk with a size.
    struct Disk {
        bytes: Vec<u8>,
        size: usize,
        rewrites: bool,
    }

    impl Target for &mut Disk {
        fn rewrites(&self) -> bool {
            self.rewrites
        }

        fn write_at(&mut self, bytes: &[u8], offset: u64) -> io::Result<usize> {
            let offset = if self.rewrites { offset as usize } else { self.bytes.len() };
            let room = self.size.saturating_sub(offset).min(bytes.len()).min(1000);
            if room == 0 {
                return Err(io::ErrorKind::StorageFull.into());
            }
            self.bytes.resize(self.bytes.len().max(offset + room), 0);
            self.bytes[offset..offset + room].copy_from_slice(&bytes[..room]);
            Ok(room)
        }

        fn cut(&mut self, len: u64) -> io::Result<()> {
            self.bytes.truncate(len as usize);
            Ok(())
        }
    }

    fn disk(size: usize) -> Disk {
        Disk { bytes: Vec::new(), size, rewrites: true }
    }

    fn read(bytes: &[u8]) -> Vec<String> {
        serde_json::from_slice(bytes).expect("a valid array")
    }

    #[test]
    fn an_empty_capture_is_an_empty_array() {
        let mut disk = disk(100);
        assert_eq!(JsonArray::new(&mut disk).finish().unwrap(), 0);
        assert_eq!(disk.bytes, b"[\n]\n");
    }

    #[test]
    fn the_array_is_valid_after_every_flush() {
        let mut disk = disk(usize::MAX);
        for spans in 0..4 {
            let mut array = JsonArray::new(&mut disk);
            for span in 0..spans {
                array.write(&format!("span {span}")).unwrap();
                array.flush().unwrap();
            }
            array.flush().unwrap();
            drop(array);
            assert_eq!(read(&disk.bytes).len(), spans);
        }
    }

    #[test]
    fn a_full_disk_keeps_whole_spans_wherever_it_is_full() {
        for size in (4..170_000).step_by(1_777).chain(4..40) {
            let mut disk = disk(size);
            let mut array = JsonArray::new(&mut disk);
            let mut failed = None;
            for span in 0..3000 {
                if let Err(error) = array.write(&format!("span {span} {}", "x".repeat(span % 97))) {
                    failed = Some(error);
                    break;
                }
            }
            let failed = match (failed, array.finish()) {
                (Some(error), _) | (None, Err(error)) => error,
                (None, Ok(_)) => panic!("{size} bytes are not enough"),
            };
            assert!(failed.valid, "{size}: {failed}");
            assert_eq!(read(&disk.bytes).len() as u64, failed.kept, "{size}");
            assert!(size < 200 || failed.kept as usize > size / 200, "{size}: only {}", failed.kept);
        }
    }

    #[test]
    fn a_pipe_gets_every_byte_once_and_an_error_says_that_it_is_cut() {
        let mut pipe = Disk { bytes: Vec::new(), size: usize::MAX, rewrites: false };
        let mut array = JsonArray::new(&mut pipe);
        for span in 0..10_000 {
            array.write(&span.to_string()).unwrap();
        }
        array.finish().unwrap();
        assert_eq!(read(&pipe.bytes).len(), 10_000);
        let mut pipe = Disk { bytes: Vec::new(), size: 50, rewrites: false };
        let mut array = JsonArray::new(&mut pipe);
        for span in 0..100 {
            array.write(&span.to_string()).unwrap();
        }
        let error = array.finish().unwrap_err();
        assert!(!error.valid);
        assert!(error.to_string().contains("not valid JSON"), "{error}");
    }

    #[test]
    fn a_file_is_overwritten_and_dev_full_is_reported() {
        let path = std::env::temp_dir().join(format!("tracer-json-{}", std::process::id()));
        std::fs::write(&path, "x".repeat(1000)).unwrap();
        let file = File::options().write(true).open(&path).unwrap();
        let mut array = JsonArray::new(FileTarget::new(file).unwrap());
        array.write(&"one".to_owned()).unwrap();
        assert_eq!(array.finish().unwrap(), 1);
        assert_eq!(std::fs::read_to_string(&path).unwrap(), "[\n\"one\"\n]\n");
        std::fs::remove_file(&path).unwrap();
        if let Ok(file) = File::options().write(true).open("/dev/full") {
            let error = JsonArray::new(FileTarget::new(file).unwrap()).finish().unwrap_err();
            assert!(!error.valid && error.kept == 0);
        }
    }
}
