//! Everything that guests are made of, below `target/kernels`, and running one.
//!
//! ```text
//! target/kernels/apt/               lists of Debian's packages, beside the system's own
//! target/kernels/6.1-cloud/         a kernel: image, modules, the package's name
//! target/kernels/image-HASH.ext4    the root image
//! target/kernels/busybox/           a static busybox
//! target/kernels/results/HASH/      outcomes of the matrix, of the tracer with that hash
//! target/kernels/runs/PID-N/        of one guest: initramfs and console, removed when it was well
//! ```

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use anyhow::{Context, Result};
use tracer_guest::frame::Frame;
use tracer_guest::plan::{Cgroup, Job, Plan, Root};
use tracer_tests::paths;

use super::fetch::{self, Kernel};
use super::guest::{self, Machine};
use super::initramfs::{self, JobFile};
use super::versions::Wanted;
use super::{image, programs};
use crate::setup;

/// What booting may take on a loaded machine.
const BOOT: Duration = Duration::from_secs(240);

/// The parts of a guest that do not change from run to run.
#[derive(Debug)]
pub struct Laboratory {
    directory: PathBuf,
    init: PathBuf,
    busybox: PathBuf,
    image: PathBuf,
}

/// What one guest is to do.
#[derive(Clone, Debug)]
pub struct Order {
    /// The root that the jobs see.
    pub root: Root,
    /// The version of control groups.
    pub cgroup: Cgroup,
    /// Added to the kernel's command line.
    pub append: String,
    /// Memory in MiB.
    pub memory: u32,
    /// For the jobs, below `/job`.
    pub files: Vec<JobFile>,
    /// One after the other.
    pub jobs: Vec<Job>,
    /// Leaves the initramfs and the console's log even if all went well.
    pub keep: bool,
}

impl Laboratory {
    /// Gets what is missing. Several processes may do so at a time: they take turns.
    pub fn open(refresh: bool) -> Result<Self> {
        setup::kernels()?;
        let directory = paths::target_dir()?.join("kernels");
        fs::create_dir_all(&directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let _turn = lock(&directory)?;
        remove_leftovers(&directory.join("runs"));
        Ok(Self {
            init: programs::init()?,
            busybox: programs::busybox(&directory)?,
            image: image::image(&directory, refresh)?,
            directory,
        })
    }

    /// Where everything lies.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// The kernels asked for.
    pub fn kernels(&self, wanted: &[Wanted], refresh: bool) -> Result<Vec<Kernel>> {
        let _turn = lock(&self.directory)?;
        fetch::kernels(&self.directory, wanted, refresh)
    }

    /// Boots one guest and hands its reports to `on`.
    pub fn run(&self, kernel: &Kernel, order: &Order, on: impl FnMut(Frame)) -> Result<()> {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let place = self.directory.join(format!("runs/{}-{number}", std::process::id()));
        fs::create_dir_all(&place).with_context(|| format!("cannot make {}", place.display()))?;
        let modules = kernel.modules()?;
        let plan = Plan {
            modules: modules
                .iter()
                .filter_map(|path| Some(path.file_name()?.to_string_lossy().into_owned()))
                .collect(),
            root: order.root,
            cgroup: order.cgroup,
            jobs: order.jobs.clone(),
        };
        let initramfs = place.join("initramfs");
        initramfs::write(&initramfs, &self.init, &self.busybox, &modules, &order.files, &plan)?;
        let jobs: Duration = order.jobs.iter().map(|job| Duration::from_secs(job.limit_s)).sum();
        let machine = Machine {
            kernel: kernel.image(),
            initramfs,
            image: (order.root == Root::Image).then(|| self.image.clone()),
            append: order.append.clone(),
            memory: order.memory,
            limit: BOOT + jobs,
            console: place.join("console"),
        };
        let outcome = guest::run(&machine, on);
        if order.keep {
            eprintln!("kept: {}", place.display());
        } else if outcome.is_ok() {
            fs::remove_dir_all(&place).with_context(|| format!("cannot remove {}", place.display()))?;
        } else {
            // The console stays to be read; the initramfs can be made again.
            let _gone = fs::remove_file(&machine.initramfs);
        }
        outcome
    }
}

/// Removes what runs that were killed, or were told to keep it, left of large files. The consoles stay to be read.
fn remove_leftovers(runs: &Path) {
    for entry in fs::read_dir(runs).into_iter().flatten().flatten() {
        let name = entry.file_name().to_string_lossy().into_owned();
        let Some((process, _)) = name.split_once('-') else { continue };
        if !Path::new("/proc").join(process).exists() {
            // It may be gone already.
            let _gone = fs::remove_file(entry.path().join("initramfs"));
        }
    }
}

/// Waits for its turn; over when dropped.
fn lock(directory: &Path) -> Result<File> {
    let path = directory.join("lock");
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    file.lock().with_context(|| format!("cannot lock {}", path.display()))?;
    Ok(file)
}
