//! Starts a program under observation: it is chosen before its first instruction.

use std::ffi::OsString;
use std::io::{PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command};
use std::thread::JoinHandle;

use anyhow::{Context, Result, bail};

/// A program that waits for `go` before it begins.
pub struct Waiting {
    /// Its process id.
    pub pid: u32,
    go: PipeWriter,
    starter: JoinHandle<std::io::Result<Child>>,
    name: String,
}

/// Forks; the child waits before it executes the program, so that its process id can be made known to the probes.
pub fn prepare(words: &[OsString]) -> Result<Waiting> {
    let Some((program, args)) = words.split_first() else { bail!("no program was given after --") };
    let name = program.to_string_lossy().into_owned();
    let (mut told_pid, tell_pid) = std::io::pipe().context("cannot make a pipe")?;
    let (wait, go) = std::io::pipe().context("cannot make a pipe")?;
    let mut command = Command::new(program);
    command.args(args);
    // SAFETY: between fork and exec only getpid, write and read are called, which are async-signal-safe.
    unsafe { command.pre_exec(move || wait_for_go(&tell_pid, &wait)) };
    // Starting does not return before the program runs, so it happens aside.
    let starter = std::thread::spawn(move || {
        let child = command.spawn();
        // Closes our copies of the child's ends: a child that failed is then seen as one.
        drop(command);
        child
    });
    let mut pid = [0u8; 4];
    if told_pid.read_exact(&mut pid).is_err() {
        let why = match starter.join() {
            Ok(Err(error)) => error.to_string(),
            _ => "it did not begin".to_owned(),
        };
        bail!("cannot start {name}: {why}");
    }
    Ok(Waiting { pid: u32::from_ne_bytes(pid), go, starter, name })
}

/// In the child: says its id, and waits for a byte.
fn wait_for_go(tell_pid: &PipeWriter, wait: &PipeReader) -> std::io::Result<()> {
    // SAFETY: no arguments, no effects.
    let pid = unsafe { libc::getpid() }.to_ne_bytes();
    // SAFETY: a descriptor that is open, and four bytes of ours.
    if unsafe { libc::write(tell_pid.as_raw_fd(), pid.as_ptr().cast(), pid.len()) } != 4 {
        return Err(std::io::Error::last_os_error());
    }
    let mut byte = 0u8;
    // SAFETY: a descriptor that is open, and a byte of ours.
    if unsafe { libc::read(wait.as_raw_fd(), (&raw mut byte).cast(), 1) } != 1 {
        return Err(std::io::Error::other("the tracer gave up"));
    }
    Ok(())
}

impl Waiting {
    /// Lets the program begin.
    pub fn go(mut self) -> Result<Child> {
        self.go.write_all(&[1]).context("cannot let the program begin")?;
        drop(self.go);
        match self.starter.join() {
            Ok(Ok(child)) => Ok(child),
            Ok(Err(error)) => bail!("cannot start {}: {error}", self.name),
            Err(_) => bail!("cannot start {}", self.name),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_program_begins_only_when_told_and_keeps_its_id() {
        let words = ["sh", "-c", "exit 7"].map(OsString::from);
        let waiting = prepare(&words).unwrap();
        let pid = waiting.pid;
        std::thread::sleep(std::time::Duration::from_millis(20));
        assert!(std::path::Path::new(&format!("/proc/{pid}")).exists());
        let mut child = waiting.go().unwrap();
        assert_eq!(child.id(), pid);
        assert_eq!(child.wait().unwrap().code(), Some(7));
    }

    #[test]
    fn a_program_that_does_not_exist_is_said_by_name() {
        let words = ["/no/such/program"].map(OsString::from);
        let error = prepare(&words).and_then(|waiting| waiting.go().map(|_| ())).unwrap_err();
        assert!(error.to_string().contains("/no/such/program"), "{error}");
    }
}
