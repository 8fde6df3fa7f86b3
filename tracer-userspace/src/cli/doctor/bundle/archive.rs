//! The bundle as a file: a compressed tar archive that is there as a whole or not at all, and for its owner only.

use std::fs::{self, OpenOptions};
use std::io::Write as _;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use flate2::Compression;
use flate2::write::GzEncoder;

/// A file of the archive.
pub struct File {
    /// Its path there.
    pub name: &'static str,
    /// Why it is there.
    pub why: &'static str,
    /// What is in it.
    pub bytes: Vec<u8>,
}

/// Writes the archive to a file of its own and then gives it its name. Returns its size in bytes.
pub fn write(path: &Path, files: &[File]) -> Result<u64> {
    let bytes = pack(files).context("cannot put the bundle together")?;
    let temporary = temporary(path);
    let written = write_new(&temporary, &bytes).and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // It may not be there at all.
        let _absent = fs::remove_file(&temporary);
        return Err(error).with_context(|| {
            format!(
                "cannot write the bundle to {}; choose a file in a directory that exists and can be written, as in \
                 `tracer doctor --bundle /tmp/tracer-support.tar.gz`",
                path.display()
            )
        });
    }
    Ok(bytes.len() as u64)
}

/// In the same directory, so that renaming does not cross file systems.
fn temporary(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".{}.part", std::process::id()));
    path.with_file_name(name)
}

fn write_new(path: &Path, bytes: &[u8]) -> std::io::Result<()> {
    // `create_new` follows no link that somebody may have put there.
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(bytes)?;
    file.sync_all()
}

fn pack(files: &[File]) -> std::io::Result<Vec<u8>> {
    let mut archive = tar::Builder::new(GzEncoder::new(Vec::new(), Compression::default()));
    for file in files {
        // Owner 0, time 0: neither who wrote it nor when is told.
        let mut header = tar::Header::new_gnu();
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_size(file.bytes.len() as u64);
        header.set_entry_type(tar::EntryType::Regular);
        archive.append_data(&mut header, format!("tracer-support/{}", file.name), file.bytes.as_slice())?;
    }
    archive.into_inner()?.finish()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::procfs::tests::TempTree;
    use std::io::Read as _;
    use std::os::unix::fs::PermissionsExt as _;

    fn file(bytes: &[u8]) -> [File; 1] {
        [File { name: "a/b.txt", why: "", bytes: bytes.to_vec() }]
    }

    #[test]
    fn the_archive_is_whole_private_and_anonymous() {
        let tree = TempTree::new();
        tree.file("bundle.tar.gz", b"an older one");
        let path = tree.path().join("bundle.tar.gz");
        let size = write(&path, &file(b"hello")).unwrap();
        let meta = fs::metadata(&path).unwrap();
        assert_eq!((meta.permissions().mode() & 0o777, meta.len()), (0o600, size));
        let mut archive = tar::Archive::new(flate2::read::GzDecoder::new(fs::File::open(&path).unwrap()));
        let mut entries = archive.entries().unwrap();
        let mut entry = entries.next().unwrap().unwrap();
        assert_eq!(entry.path().unwrap().to_str(), Some("tracer-support/a/b.txt"));
        let header = entry.header().clone();
        assert_eq!((header.uid().ok(), header.gid().ok(), header.mtime().ok()), (Some(0), Some(0), Some(0)));
        assert_eq!(header.username().unwrap().unwrap_or(""), "");
        let mut text = String::new();
        entry.read_to_string(&mut text).unwrap();
        assert_eq!(text, "hello");
        assert!(entries.next().is_none());
        let left: Vec<_> = fs::read_dir(tree.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }

    #[test]
    fn where_it_cannot_be_written_the_place_is_named_and_nothing_is_left() {
        let tree = TempTree::new();
        let error = write(&tree.path().join("no/such/bundle.tar.gz"), &file(b"")).unwrap_err();
        assert!(format!("{error:#}").contains("no/such/bundle.tar.gz"), "{error:#}");
        // A directory of that name cannot be replaced.
        tree.file("taken/x", b"");
        assert!(write(&tree.path().join("taken"), &file(b"")).is_err());
        let left: Vec<_> = fs::read_dir(tree.path()).unwrap().collect();
        assert_eq!(left.len(), 1, "{left:?}");
    }
}
