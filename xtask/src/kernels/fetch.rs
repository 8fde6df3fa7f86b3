//! Kernels, below `target/kernels/SERIES-FLAVOUR`: the image, the modules a guest needs, and the package's name.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, anyhow, ensure};

use super::apt::{self, Apt};
use super::modules::{self, WANTED, load_order};
use super::versions::{self, Flavour, Series, Wanted};
use crate::run;

/// A kernel that is there.
#[derive(Clone, Debug)]
pub struct Kernel {
    /// `6.1-cloud`.
    pub name: String,
    /// The Debian package that it came from.
    pub package: String,
    /// What it lies in.
    directory: PathBuf,
}

impl Kernel {
    /// The image that QEMU boots.
    pub fn image(&self) -> PathBuf {
        self.directory.join("vmlinuz")
    }

    /// The modules to load, in their order: files.
    pub fn modules(&self) -> Result<Vec<PathBuf>> {
        let path = self.directory.join("modules/order");
        let order = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(order.lines().map(|name| self.directory.join("modules").join(name)).collect())
    }

    /// Its series; `6.1` is (6, 1).
    pub fn series(&self) -> (u32, u32) {
        versions::series_of(&self.package).unwrap_or_default()
    }

    /// Its flavour.
    pub fn flavour(&self) -> Flavour {
        self.name.parse::<Wanted>().map_or(Flavour::Cloud, |wanted| wanted.flavour)
    }
}

/// Returns the kernels asked for, in that order; fetches those that are missing, all of them if `refresh`.
pub fn kernels(directory: &Path, wanted: &[Wanted], refresh: bool) -> Result<Vec<Kernel>> {
    let mut apt = None;
    let mut found = Vec::new();
    for &one in wanted {
        if let (false, Some(kernel)) = (refresh, present(directory, one)) {
            found.push(kernel);
            continue;
        }
        let apt = match &mut apt {
            Some(apt) => apt,
            none => none.insert(Apt::open(&directory.join("apt"), refresh)?),
        };
        let kernel = fetch(apt, directory, one).with_context(|| format!("cannot get a kernel for {one}"))?;
        found.push(kernel);
    }
    Ok(found)
}

/// The kernel as it was fetched before. Which one "newest" is stands in a file of that name.
fn present(directory: &Path, wanted: Wanted) -> Option<Kernel> {
    let name = match wanted.series {
        Series::Of(..) => wanted.to_string(),
        Series::Newest => fs::read_to_string(directory.join(wanted.to_string())).ok()?,
    };
    let directory = directory.join(&name);
    // Written last.
    let package = fs::read_to_string(directory.join("package")).ok()?;
    Some(Kernel { name, package, directory })
}

/// A mirror's lists can name a package that it does not hold (yet, or any more). Then one before it is as good.
const TRIES: usize = 3;

fn fetch(apt: &Apt, directory: &Path, wanted: Wanted) -> Result<Kernel> {
    let names = apt.names(versions::IMAGE)?;
    let images = versions::newest_first(names.iter().map(String::as_str), wanted);
    let mut failure = anyhow!("the archive has no package {}... for it", versions::IMAGE);
    for image in images.into_iter().take(TRIES) {
        match fetch_image(apt, directory, wanted, image) {
            Ok(kernel) => return Ok(kernel),
            Err(error) => {
                run::say(&format!("{image} cannot be had: {error:#}"));
                failure = error;
            }
        }
    }
    Err(failure)
}

fn fetch_image(apt: &Apt, directory: &Path, wanted: Wanted, image: &str) -> Result<Kernel> {
    let (major, minor) = versions::series_of(image).context("a package without a series")?;
    let name = format!("{major}.{minor}-{}", wanted.flavour);

    let new = directory.join(format!("{name}.new"));
    let old = directory.join(&name);
    remove(&new)?;
    let unpacked = new.join("unpacked");
    fs::create_dir_all(&unpacked).with_context(|| format!("cannot make {}", unpacked.display()))?;
    let files = apt.download(&parts(apt, image)?, &unpacked)?;
    apt::unpack(&files, &unpacked)?;
    arrange(&unpacked, &new).with_context(|| format!("{image} is not laid out as expected"))?;
    remove(&unpacked)?;
    fs::write(new.join("package"), image).context("cannot note the package's name")?;
    remove(&old)?;
    fs::rename(&new, &old).with_context(|| format!("cannot rename {}", new.display()))?;
    if wanted.series == Series::Newest {
        fs::write(directory.join(wanted.to_string()), &name)
            .context("cannot note which kernel is the newest")?;
    }
    Ok(Kernel { name, package: image.to_owned(), directory: old })
}

/// The packages that hold what one image package held until Debian 13: since then it may only refer to others.
fn parts(apt: &Apt, image: &str) -> Result<Vec<String>> {
    let part = |kind: &str| image.replacen("linux-image-", &format!("linux-{kind}-"), 1);
    let all: Vec<String> = ["binary", "modules"].map(part).into();
    let names = apt.names("linux-")?;
    Ok(if all.iter().all(|part| names.contains(part)) { all } else { vec![image.to_owned()] })
}

/// Takes the image and the modules out of what was unpacked.
fn arrange(unpacked: &Path, into: &Path) -> Result<()> {
    let tree = ["usr/lib/modules", "lib/modules"]
        .iter()
        .find_map(|place| newest_entry(&unpacked.join(place)))
        .context("no directory of modules")?;
    let release = tree.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let image = [unpacked.join(format!("boot/vmlinuz-{release}")), tree.join("vmlinuz")];
    let image = image.iter().find(|path| path.is_file()).context("no kernel image")?;
    fs::rename(image, into.join("vmlinuz")).context("cannot take the image")?;

    // depmod takes a base directory with lib/modules/RELEASE below it.
    let base = into.join("tree");
    fs::create_dir_all(base.join("lib/modules")).context("cannot make a directory for the modules")?;
    let tree_below = base.join("lib/modules").join(&release);
    fs::rename(&tree, &tree_below).context("cannot take the modules")?;
    run::check(Command::new("depmod").arg("-b").arg(&base).arg(&release).stderr(Stdio::null()))?;
    let dependencies =
        fs::read_to_string(tree_below.join("modules.dep")).context("depmod wrote no modules.dep")?;
    let kept = into.join("modules");
    fs::create_dir_all(&kept).context("cannot make a directory for the modules")?;
    let mut order = String::new();
    for path in load_order(&dependencies, WANTED) {
        let name = format!("{}.ko", modules::module_name(&path));
        decompress(&tree_below.join(&path), &kept.join(&name))?;
        order.push_str(&name);
        order.push('\n');
    }
    fs::write(kept.join("order"), order).context("cannot write the modules' order")?;
    remove(&base)
}

/// A copy as the kernel loads it. The signature at its end stays: lockdown asks for it.
fn decompress(from: &Path, to: &Path) -> Result<()> {
    let program = match from.extension().and_then(|extension| extension.to_str()) {
        Some("xz") => "xz",
        Some("zst") => "zstd",
        Some("gz") => "gzip",
        _ => {
            fs::copy(from, to).with_context(|| format!("cannot copy {}", from.display()))?;
            return Ok(());
        }
    };
    let to = File::create(to).with_context(|| format!("cannot write {}", to.display()))?;
    let status = Command::new(program)
        .arg("-dc")
        .arg(from)
        .stdout(to)
        .status()
        .with_context(|| format!("cannot start {program}"))?;
    ensure!(status.success(), "{program} cannot read {}", from.display());
    Ok(())
}

fn newest_entry(directory: &Path) -> Option<PathBuf> {
    let mut entries: Vec<PathBuf> =
        fs::read_dir(directory).ok()?.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    entries.pop()
}

fn remove(path: &Path) -> Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", path.display()))
        }
        _ => Ok(()),
    }
}
