//! Runs one job: its output in frames as it comes, a time limit, and an end that leaves no process behind.

use std::io::Read;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::errno::Errno;
use nix::sys::signal::{Signal, kill};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;
use tracer_guest::frame::Frame;
use tracer_guest::plan::{Job, TIMED_OUT};

use crate::report::Report;

/// As on any Debian, for root.
const SEARCH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// Exit code of a command that cannot be started, as a shell has it.
const NOT_STARTED: i32 = 127;

/// Runs it to its end and reports that.
pub fn run(job: &Job, root: &Path, report: &Report) -> Result<()> {
    let start = Instant::now();
    let code = match spawn(job, root) {
        Ok((pid, stdout, stderr)) => {
            let readers = [
                pass_on(stdout, report.clone(), Frame::Stdout),
                pass_on(stderr, report.clone(), Frame::Stderr),
            ];
            let code = wait(pid, start + Duration::from_secs(job.limit_s));
            end_all();
            for reader in readers {
                // It ends with the last holder of the pipe, and all of them have been ended.
                let _panicked = reader.join();
            }
            code
        }
        Err(error) => {
            report.send(&Frame::Stderr(format!("{error:#}\n").into_bytes()))?;
            NOT_STARTED
        }
    };
    report.send(&Frame::Exit { code, millis: start.elapsed().as_millis() as u64 })
}

type Output = Box<dyn Read + Send>;

fn spawn(job: &Job, root: &Path) -> Result<(Pid, Output, Output)> {
    let (program, arguments) = job.command.split_first().context("an empty command")?;
    let root = PathBuf::from(root);
    let mut command = Command::new(program);
    command
        .args(arguments)
        .env_clear()
        .envs([("PATH", SEARCH), ("HOME", "/root"), ("TERM", "dumb"), ("LANG", "C.UTF-8")])
        .envs(job.environment.iter().map(|(key, value)| (key, value)))
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0);
    // SAFETY: between fork and exec only two system calls are made; no memory is allocated, no lock is taken.
    unsafe {
        command.pre_exec(move || {
            nix::unistd::chroot(&root)?;
            nix::unistd::chdir("/")?;
            Ok(())
        });
    }
    let mut child = command.spawn().with_context(|| format!("cannot start {program}"))?;
    let stdout = child.stdout.take().context("no standard output")?;
    let stderr = child.stderr.take().context("no standard error")?;
    let pid = Pid::from_raw(child.id().cast_signed());
    // Not waited for through `child`: process 1 waits for everybody (below).
    Ok((pid, Box::new(stdout), Box::new(stderr)))
}

fn pass_on(mut from: Output, report: Report, frame: fn(Vec<u8>) -> Frame) -> JoinHandle<()> {
    thread::spawn(move || {
        let mut buffer = vec![0; 32 * 1024];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            let piece = buffer.get(..count).unwrap_or_default().to_vec();
            if report.send(&frame(piece)).is_err() {
                return;
            }
        }
    })
}

/// Collects every child that ends, orphans too, until it is `pid` or time is up.
fn wait(pid: Pid, deadline: Instant) -> i32 {
    loop {
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Ok(WaitStatus::Exited(ended, code)) if ended == pid => return code,
            Ok(WaitStatus::Signaled(ended, signal, _)) if ended == pid => return 128 + signal as i32,
            Ok(WaitStatus::StillAlive) => {
                if Instant::now() > deadline {
                    return TIMED_OUT;
                }
                thread::sleep(Duration::from_millis(2));
            }
            // Another one, or interrupted: on to the next.
            Ok(_) | Err(Errno::EINTR) => {}
            // No child at all: then the job's end was missed, which cannot happen while this is the only waiter.
            Err(_) => return 128,
        }
    }
}

/// Ends every process but this one, and collects them.
fn end_all() {
    let deadline = Instant::now() + Duration::from_secs(10);
    while Instant::now() < deadline {
        // ESRCH: nobody was left.
        let _none = kill(Pid::from_raw(-1), Signal::SIGKILL);
        match waitpid(None, Some(WaitPidFlag::WNOHANG)) {
            Err(Errno::ECHILD) => return,
            Ok(WaitStatus::StillAlive) => thread::sleep(Duration::from_millis(2)),
            _ => {}
        }
    }
}
