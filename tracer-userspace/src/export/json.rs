//! Writes spans as a JSON array, one span per line, while they come. The file is a valid array after every flush.

use super::records::Records;
pub use super::records::{FileTarget, Target, WriteError};

/// What ends the array.
const CLOSING: &[u8] = b"\n]\n";

/// What has a JSON form.
pub trait ToJson {
    /// Appends it.
    fn to_json(&self, out: &mut Vec<u8>);
}

/// The writer. [`JsonArray::finish`] must be called; without it the last spans are missing.
#[derive(Debug)]
pub struct JsonArray<T: Target> {
    records: Records<T>,
}

impl<T: Target> JsonArray<T> {
    /// Begins the array. Nothing is written yet.
    pub fn new(target: T) -> Self {
        let mut records = Records::new(target);
        records.buffer().push(b'[');
        // One byte is kept, not written: that does not fail.
        let _ = records.end_record(0, CLOSING);
        Self { records }
    }

    /// How many spans were given.
    pub fn spans(&self) -> u64 {
        self.records.spans()
    }

    /// Bytes so far, those that are not written yet included.
    pub fn bytes(&self) -> u64 {
        self.records.bytes()
    }

    /// Adds a span. After an error the output is as the error says, and further spans are dropped.
    pub fn write(&mut self, span: &impl ToJson) -> Result<(), WriteError> {
        let between: &[u8] = if self.spans() == 0 { b"\n" } else { b",\n" };
        let buffer = self.records.buffer();
        buffer.extend_from_slice(between);
        span.to_json(buffer);
        self.records.end_record(1, CLOSING)
    }

    /// Writes out what is collected, so that a reader finds a valid array with all spans so far.
    pub fn flush(&mut self) -> Result<(), WriteError> {
        self.records.flush()
    }

    /// Ends the array. Returns how many spans it has.
    pub fn finish(self) -> Result<u64, WriteError> {
        self.records.finish()
    }
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io;

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
        assert!(error.to_string().contains("not valid"), "{error}");
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
