//! `--unit` and `--container` by control groups, of whichever version this host has: groups of the forms that systemd and
//! Docker make, with a real server in them.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use tracer_tests::client::Connection;
use tracer_tests::services::gunicorn::{self, Worker};
use tracer_tests::services::{Options, Service};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::Tracer;

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("gunicorn")];

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("unit", || chosen("system.slice/e2e-shop.service", &["--unit", "e2e-shop"])),
            test("slice", || chosen("e2e.slice/e2e-x.scope", &["--unit", "e2e.slice"])),
            test("container", || chosen(&format!("docker/{}", id()), &["--container", &id()[..12]])),
        ],
    )
}

fn id() -> String {
    "e2e0".repeat(16)
}

/// A control group, made for the test; gone when dropped, after those in it have moved out.
struct Group {
    root: PathBuf,
    /// From the innermost.
    made: Vec<PathBuf>,
}

impl Group {
    /// In systemd's own hierarchy of version 1, else in the unified one.
    fn new(path: &str) -> Result<Self> {
        let root = ["/sys/fs/cgroup/systemd", "/sys/fs/cgroup/unified", "/sys/fs/cgroup"]
            .into_iter()
            .map(Path::new)
            .find(|root| root.join("cgroup.procs").exists())
            .context("no control groups are mounted at /sys/fs/cgroup")?;
        let mut group = Self { root: root.to_path_buf(), made: Vec::new() };
        let mut at = root.to_path_buf();
        for part in path.split('/') {
            at.push(part);
            if !at.exists() {
                std::fs::create_dir(&at).with_context(|| format!("cannot make {}", at.display()))?;
                group.made.insert(0, at.clone());
            }
        }
        Ok(group)
    }

    fn take(&self, service: &Service) -> Result<()> {
        let innermost = self.made.first().context("the group was there before")?;
        // A group leader's children are its workers.
        for pid in with_children(service.pid())? {
            std::fs::write(innermost.join("cgroup.procs"), pid.to_string())
                .with_context(|| format!("cannot put {pid} into {}", innermost.display()))?;
        }
        Ok(())
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        for directory in &self.made {
            let pids = std::fs::read_to_string(directory.join("cgroup.procs")).unwrap_or_default();
            for pid in pids.lines() {
                // It may end meanwhile.
                let _gone = std::fs::write(self.root.join("cgroup.procs"), pid);
            }
            if let Err(error) = std::fs::remove_dir(directory) {
                eprintln!("please remove {}: {error}", directory.display());
            }
        }
    }
}

fn with_children(pid: u32) -> Result<Vec<u32>> {
    let children = std::fs::read_to_string(format!("/proc/{pid}/task/{pid}/children"))?;
    let mut all = vec![pid];
    for child in children.split_whitespace() {
        all.push(child.parse().context("a child's id")?);
    }
    if all.len() < 2 {
        bail!("the server has no workers");
    }
    Ok(all)
}

/// The server in the group is traced, and its neighbour is not.
fn chosen(path: &str, args: &[&str]) -> Result<String> {
    let group = Group::new(path)?;
    let inside = gunicorn::start(Worker::Sync, &Options::named("e2e-inside"))?;
    let outside = gunicorn::start(Worker::Sync, &Options::named("e2e-outside"))?;
    group.take(&inside)?;
    let tracer = Tracer::record(args)?;
    for service in [&inside, &outside] {
        Connection::open(service.port())?.fetch("/item/1")?;
    }
    let recording = tracer.stop()?;
    let seen: Vec<&str> =
        recording.trace.servers("/item/").iter().map(|span| span.service.as_str()).collect();
    ensure!(seen == ["e2e-inside"], "{args:?} chose {seen:?}; the tracer said:\n{}", recording.said);
    Ok(format!("below {}", group.root.display()))
}
