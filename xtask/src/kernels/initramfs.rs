//! The initramfs of one guest: `guest-init`, a busybox, the kernel's modules, the plan, the files of the jobs.

use std::fs::{self, File};
use std::io::BufWriter;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use tracer_guest::plan::{BUSYBOX, JOB, MODULES, PATH, Plan};

use super::cpio::Archive;

/// A file or directory for the jobs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct JobFile {
    /// On this machine.
    pub from: PathBuf,
    /// Below `/job` in the guest.
    pub name: String,
}

impl JobFile {
    /// From `PATH` or `PATH=NAME`.
    pub fn parse(text: &str) -> Result<Self> {
        let (from, name) = match text.split_once('=') {
            Some((from, name)) => (from, name.trim_matches('/').to_owned()),
            None => {
                let name = Path::new(text).file_name().with_context(|| format!("{text} has no name"))?;
                (text, name.to_string_lossy().into_owned())
            }
        };
        if name.is_empty() || name.split('/').any(|part| matches!(part, "" | "." | "..")) {
            bail!("{name:?} is no name for a file below {JOB}");
        }
        Ok(Self { from: from.into(), name })
    }
}

/// Writes the archive.
pub fn write(
    to: &Path,
    init: &Path,
    busybox: &Path,
    modules: &[PathBuf],
    files: &[JobFile],
    plan: &Plan,
) -> Result<()> {
    let file = File::create(to).with_context(|| format!("cannot write {}", to.display()))?;
    let mut archive = Archive::new(BufWriter::new(file));
    let inside = |path: &str| path.trim_start_matches('/').to_owned();
    for directory in ["bin", "dev", "proc", "sys", "tmp", "run", "root", &inside(MODULES), &inside(JOB)] {
        archive.directory(directory)?;
    }
    // Where the kernel does not mount devtmpfs by itself, process 1 still has a console to complain on.
    archive.device("dev/console", 5, 1)?;
    archive.file("init", 0o755, &read(init)?)?;
    archive.file(&inside(BUSYBOX), 0o755, &read(busybox)?)?;
    for module in modules {
        let name = module.file_name().context("a module without a name")?.to_string_lossy();
        archive.file(&format!("{}/{name}", inside(MODULES)), 0o644, &read(module)?)?;
    }
    archive.file(&inside(PATH), 0o644, &serde_json::to_vec(plan).context("the plan is no JSON")?)?;
    let mut made = Vec::new();
    for file in files {
        let mut parent = inside(JOB);
        let (parents, _) = file.name.rsplit_once('/').unwrap_or(("", ""));
        for part in parents.split('/').filter(|part| !part.is_empty()) {
            parent = format!("{parent}/{part}");
            if !made.contains(&parent) {
                archive.directory(&parent)?;
                made.push(parent.clone());
            }
        }
        add(&mut archive, &file.from, &format!("{}/{}", inside(JOB), file.name), &mut made)?;
    }
    archive.finish().with_context(|| format!("cannot write {}", to.display()))?;
    Ok(())
}

fn add<W: std::io::Write>(
    archive: &mut Archive<W>,
    from: &Path,
    name: &str,
    made: &mut Vec<String>,
) -> Result<()> {
    let meta = fs::metadata(from).with_context(|| format!("no file {} for the guest", from.display()))?;
    if !meta.is_dir() {
        archive.file(name, meta.permissions().mode(), &read(from)?)?;
        return Ok(());
    }
    if !made.iter().any(|directory| directory == name) {
        archive.directory(name)?;
        made.push(name.to_owned());
    }
    let mut entries = Vec::new();
    for entry in fs::read_dir(from).with_context(|| format!("cannot list {}", from.display()))? {
        entries.push(entry.with_context(|| format!("cannot list {}", from.display()))?.file_name());
    }
    entries.sort();
    for entry in entries {
        add(archive, &from.join(&entry), &format!("{name}/{}", entry.to_string_lossy()), made)?;
    }
    Ok(())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).with_context(|| format!("cannot read {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use tracer_guest::plan::{Cgroup, Root};

    #[test]
    fn files_are_named_as_asked() {
        let plain = JobFile::parse("/some/where/tracer").unwrap();
        assert_eq!((plain.from.as_path(), plain.name.as_str()), (Path::new("/some/where/tracer"), "tracer"));
        assert_eq!(JobFile::parse("a=b/c").unwrap().name, "b/c");
        for wrong in ["a=../b", "a=", "a=b//c", "/"] {
            assert!(JobFile::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn every_directory_is_in_the_archive_before_its_files_and_once() {
        let place = std::env::temp_dir().join(format!("tracer-initramfs-{}", std::process::id()));
        let tree = place.join("tree");
        fs::create_dir_all(tree.join("sub")).unwrap();
        for name in ["init", "module.ko", "tree/one", "tree/sub/two"] {
            fs::write(place.join(name), "x").unwrap();
        }
        let plan = Plan { modules: vec![], root: Root::Busybox, cgroup: Cgroup::V2, jobs: vec![] };
        let init = place.join("init");
        let files = ["tree=tests/tree", "tree/one=tests/other"]
            .map(|text| JobFile::parse(&format!("{}/{text}", place.display())).unwrap());
        let archive = place.join("archive");
        write(&archive, &init, &init, &[place.join("module.ko")], &files, &plan).unwrap();
        let bytes = fs::read(&archive).unwrap();
        fs::remove_dir_all(&place).unwrap();
        let text = String::from_utf8_lossy(&bytes);
        let at = |name: &str| {
            let name = format!("{name}\0");
            assert_eq!(text.matches(&name).count(), 1, "{name}");
            text.find(&name).unwrap()
        };
        assert!(at("job/tests") < at("job/tests/tree"));
        assert!(at("job/tests/tree/sub") < at("job/tests/tree/sub/two"));
        assert!(at("job/tests") < at("job/tests/other"));
        at("modules/module.ko");
        at("plan.json");
    }
}
