//! Archives of the format "newc", which the kernel unpacks as its initramfs (Documentation/driver-api/early-userspace/
//! buffer-format.rst): per entry a header of ASCII hex fields, the name, the content, each padded to four bytes.

use std::io::{self, Write};

/// Mode bits of the three kinds of entries (sys/stat.h).
const DIRECTORY: u32 = 0o040_000;
const FILE: u32 = 0o100_000;
const DEVICE: u32 = 0o020_000;

/// Writes one archive. Everything belongs to root and has no time.
#[derive(Debug)]
pub struct Archive<W> {
    to: W,
    entries: u32,
}

impl<W: Write> Archive<W> {
    /// Begins an archive.
    pub fn new(to: W) -> Self {
        Self { to, entries: 0 }
    }

    /// Adds a directory; its parents must have been added. The name has no slash in front.
    pub fn directory(&mut self, name: &str) -> io::Result<()> {
        self.entry(name, DIRECTORY | 0o755, (0, 0), &[])
    }

    /// Adds a file with the permissions `mode`.
    pub fn file(&mut self, name: &str, mode: u32, content: &[u8]) -> io::Result<()> {
        self.entry(name, FILE | (mode & 0o7777), (0, 0), content)
    }

    /// Adds a character device.
    pub fn device(&mut self, name: &str, major: u32, minor: u32) -> io::Result<()> {
        self.entry(name, DEVICE | 0o600, (major, minor), &[])
    }

    /// Ends the archive and returns what it was written to.
    pub fn finish(mut self) -> io::Result<W> {
        self.entry("TRAILER!!!", 0, (0, 0), &[])?;
        self.to.flush()?;
        Ok(self.to)
    }

    fn entry(&mut self, name: &str, mode: u32, device: (u32, u32), content: &[u8]) -> io::Result<()> {
        let size = u32::try_from(content.len()).map_err(|_| {
            io::Error::new(io::ErrorKind::InvalidInput, format!("{name} has more than 4 GiB"))
        })?;
        self.entries += 1;
        let links = if mode & DIRECTORY == DIRECTORY { 2 } else { 1 };
        let name_size = name.len() as u32 + 1;
        let header = [
            self.entries, // inode: each its own, or they would be hard links
            mode,
            0, // uid
            0, // gid
            links,
            0, // time
            size,
            0, // device of the file system, major and minor
            0,
            device.0,
            device.1,
            name_size,
            0, // checksum, of another format
        ];
        self.to.write_all(b"070701")?;
        for field in header {
            write!(self.to, "{field:08x}")?;
        }
        self.to.write_all(name.as_bytes())?;
        self.to.write_all(&[0])?;
        // Magic (6) and 13 fields of 8 are 110 bytes.
        self.pad(110 + name_size as usize)?;
        self.to.write_all(content)?;
        self.pad(content.len())
    }

    fn pad(&mut self, length: usize) -> io::Result<()> {
        self.to.write_all([0; 3].get(..length.next_multiple_of(4) - length).unwrap_or_default())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::{Command, Stdio};

    fn sample() -> Vec<u8> {
        let mut archive = Archive::new(Vec::new());
        archive.directory("bin").unwrap();
        archive.file("bin/init", 0o755, b"hello").unwrap();
        archive.device("null", 1, 3).unwrap();
        archive.finish().unwrap()
    }

    #[test]
    fn the_bytes_are_those_of_the_format() {
        let bytes = sample();
        let file = &bytes[116..]; // after "bin": 110 + 4 = 114, padded
        let text = std::str::from_utf8(&file[..110]).unwrap();
        assert_eq!(
            text,
            "07070100000002000081ed000000000000000000000001000000000000000500000000000000000000000000000000\
             0000000900000000"
        );
        assert_eq!(&file[110..119], b"bin/init\0");
        assert_eq!(&file[119..128], b"\0hello\0\0\0");
        assert_eq!(bytes.len() % 4, 0);
        assert!(bytes.ends_with(b"TRAILER!!!\0\0\0\0"));
    }

    #[test]
    fn cpio_lists_what_was_written() {
        let Ok(mut cpio) = Command::new("cpio")
            .args(["-tv", "--quiet"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
        else {
            eprintln!("no cpio here: the test of the bytes must do");
            return;
        };
        cpio.stdin.take().unwrap().write_all(&sample()).unwrap();
        let output = cpio.wait_with_output().unwrap();
        assert!(output.status.success());
        let text = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<&str> = text.lines().collect();
        assert_eq!(lines.len(), 3, "{text}");
        assert!(lines[0].starts_with("drwxr-xr-x") && lines[0].ends_with(" bin"), "{text}");
        assert!(lines[1].starts_with("-rwxr-xr-x") && lines[1].ends_with(" bin/init"), "{text}");
        assert!(lines[2].starts_with("crw-------") && lines[2].contains("1,   3"), "{text}");
    }
}
