//! A process of ours, with all its children, that never outlives the test.
//!
//! Each one leads a process group of its own, which is what gets the signals; nothing is ever ended by name. Should
//! the test itself be killed, the kernel ends the process (`setpriv --pdeathsig`).

use std::fs::{self, File};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::pace;

/// How long a process may take to end after a polite signal.
const PATIENCE: Duration = Duration::from_secs(5);

/// Enters the root directory `$0` and becomes the command in `$@`. The mounts end with their namespace.
const ENTER: &str = r#"
    mkdir -p "$0/proc" "$0/sys"
    mount --rbind /proc "$0/proc"
    mount --rbind /sys "$0/sys"
    exec chroot "$0" "$@"
"#;

/// As whom a process runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// As the test itself (root).
    Same,
    /// As `nobody`, for those who refuse root.
    Nobody,
}

/// What to start.
#[derive(Debug)]
pub struct Spec {
    name: String,
    user: User,
    stop_signal: libc::c_int,
    program: PathBuf,
    args: Vec<String>,
    env: Vec<(String, String)>,
    directory: Option<PathBuf>,
    namespace: Option<String>,
    root: Option<PathBuf>,
    capabilities: Option<Vec<String>>,
}

/// A user that no host has: nothing belongs to it.
const STRANGER: &str = "64999";

impl Spec {
    /// `program` is found as [`crate::paths::find_command`] does, or is a path.
    pub fn new(program: impl AsRef<Path>) -> Result<Self> {
        let program = program.as_ref();
        let found = if program.components().count() > 1 {
            program.to_path_buf()
        } else {
            let name = program.to_string_lossy();
            crate::paths::find_command(&name)
                .with_context(|| format!("{name} is not installed; `cargo xtask setup` installs it"))?
        };
        let name = program.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        Ok(Self {
            name,
            user: User::Same,
            stop_signal: libc::SIGTERM,
            program: found,
            args: Vec::new(),
            env: Vec::new(),
            directory: None,
            namespace: None,
            root: None,
            capabilities: None,
        })
    }

    /// Adds an argument.
    pub fn arg(mut self, arg: impl Into<String>) -> Self {
        self.args.push(arg.into());
        self
    }

    /// Adds arguments.
    pub fn args<S: Into<String>>(mut self, args: impl IntoIterator<Item = S>) -> Self {
        self.args.extend(args.into_iter().map(Into::into));
        self
    }

    /// Sets an environment variable.
    pub fn env(mut self, key: &str, value: impl Into<String>) -> Self {
        self.env.push((key.to_owned(), value.into()));
        self
    }

    /// Runs it as `nobody`.
    pub fn as_nobody(mut self) -> Self {
        self.user = User::Nobody;
        self
    }

    /// Runs it as a user that owns nothing, with these capabilities (as `bpf`) and no other right.
    pub fn with_only(mut self, capabilities: &[&str]) -> Self {
        self.capabilities = Some(capabilities.iter().map(|name| (*name).to_owned()).collect());
        self
    }

    /// Runs it in `directory`.
    pub fn in_directory(mut self, directory: &Path) -> Self {
        self.directory = Some(directory.to_path_buf());
        self
    }

    /// Runs it in the network namespace of that name.
    pub fn in_namespace(mut self, namespace: &str) -> Self {
        self.namespace = Some(namespace.to_owned());
        self
    }

    /// Runs it with `root` as its root directory: in a mount namespace of its own, where `root` has nothing but what
    /// lies in it and the kernel's /proc and /sys. The program's path is one in there.
    pub fn in_root(mut self, root: &Path) -> Self {
        self.root = Some(root.to_path_buf());
        self
    }

    /// The signal that asks it to end, if not SIGTERM.
    pub fn stop_with(mut self, signal: libc::c_int) -> Self {
        self.stop_signal = signal;
        self
    }

    /// The command as it will run. Each wrapper replaces itself, so that the process keeps its id and ends up
    /// looking exactly as if started by hand.
    pub fn command(&self) -> Command {
        let mut words: Vec<String> = Vec::new();
        if let Some(namespace) = &self.namespace {
            words.extend(["ip", "netns", "exec", namespace].map(String::from));
        }
        words.extend(["setpriv", "--pdeathsig", "KILL"].map(String::from));
        if self.user == User::Nobody {
            words.extend(["--reuid", "nobody", "--regid", "nogroup", "--clear-groups"].map(String::from));
        }
        if let Some(capabilities) = &self.capabilities {
            words.extend(["--reuid", STRANGER, "--regid", STRANGER, "--clear-groups"].map(String::from));
            let granted: String = capabilities.iter().map(|name| format!(",+{name}")).collect();
            words.extend(["--inh-caps".to_owned(), format!("-all{granted}")]);
            words.extend(["--ambient-caps".to_owned(), format!("-all{granted}")]);
        }
        words.push("--".to_owned());
        if let Some(root) = &self.root {
            words.extend(["unshare", "--mount", "sh", "-ec", ENTER].map(String::from));
            words.push(root.to_string_lossy().into_owned());
        }
        words.push(self.program.to_string_lossy().into_owned());
        words.extend(self.args.iter().cloned());

        let (first, rest) =
            words.split_first().map_or(("setpriv", &[] as &[String]), |(f, r)| (f.as_str(), r));
        let mut command = Command::new(first);
        command.args(rest).process_group(0).stdin(Stdio::null());
        command.envs(self.env.iter().map(|(key, value)| (key, value)));
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        command
    }

    /// Starts it, its output going to `LOG_DIRECTORY/NAME.output`.
    pub fn start(self, log_directory: &Path) -> Result<Process> {
        let log = log_directory.join(format!("{}.output", self.name));
        let file = File::options()
            .create(true)
            .append(true)
            .open(&log)
            .with_context(|| format!("cannot write {}", log.display()))?;
        let stderr = file.try_clone().context("cannot share a log file")?;
        let child = self
            .command()
            .stdout(file)
            .stderr(stderr)
            .spawn()
            .with_context(|| format!("cannot start {}", self.program.display()))?;
        Ok(Process { name: self.name, child, log: Some(log), stop_signal: self.stop_signal })
    }
}

/// A running process; ends when dropped.
#[derive(Debug)]
pub struct Process {
    name: String,
    child: Child,
    log: Option<PathBuf>,
    stop_signal: libc::c_int,
}

impl Process {
    /// Takes over a child that was started from [`Spec::command`].
    pub fn adopt(name: &str, child: Child) -> Self {
        Self { name: name.to_owned(), child, log: None, stop_signal: libc::SIGTERM }
    }

    /// The program's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Its process id, also that of its group.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Its exit status, if it has ended.
    pub fn ended(&mut self) -> Result<Option<ExitStatus>> {
        self.child.try_wait().with_context(|| format!("cannot ask for the state of {}", self.name))
    }

    /// What it printed so far; the last 4 KiB.
    pub fn output(&self) -> String {
        let Some(log) = &self.log else { return String::new() };
        let text = fs::read(log).unwrap_or_default();
        let tail = text.get(text.len().saturating_sub(4096)..).unwrap_or_default();
        String::from_utf8_lossy(tail).into_owned()
    }

    /// The file that its output goes to; `None` of one that was started elsewhere.
    pub fn log(&self) -> Option<&Path> {
        self.log.as_deref()
    }

    /// Sends a signal to the process alone.
    pub fn signal(&self, signal: libc::c_int) -> Result<()> {
        kill(self.child.id().cast_signed(), signal).with_context(|| format!("cannot signal {}", self.name))
    }

    /// Waits for its end.
    pub fn wait(&mut self, limit: Duration) -> Result<ExitStatus> {
        let deadline = Instant::now() + limit;
        loop {
            if let Some(status) = self.ended()? {
                return Ok(status);
            }
            if Instant::now() > deadline {
                bail!("{} still runs after {limit:?}", self.name);
            }
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Asks it to end, waits, and makes sure that none of its group is left.
    pub fn stop(&mut self) {
        if matches!(self.child.try_wait(), Ok(None)) {
            // It may end by itself between the question and the signal: nothing to report then.
            let _gone = self.signal(self.stop_signal);
            let _late = self.wait(pace::limit(PATIENCE));
        }
        let _gone = kill(-self.child.id().cast_signed(), libc::SIGKILL);
        let _reaped = self.child.wait();
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        self.stop();
    }
}

/// kill(2); a negative id means a process group.
fn kill(pid: i32, signal: libc::c_int) -> Result<()> {
    // SAFETY: kill takes two integers and touches no memory of ours.
    let result = unsafe { libc::kill(pid, signal) };
    if result == 0 { Ok(()) } else { Err(std::io::Error::last_os_error().into()) }
}

/// Runs a short command to its end and returns what it printed; fails with its complaint if it fails.
pub fn run(spec: &Spec) -> Result<String> {
    let output = spec.command().output().with_context(|| format!("cannot start {}", spec.name))?;
    if !output.status.success() {
        bail!(
            "{} {} ended with {}:\n{}{}",
            spec.name,
            spec.args.join(" "),
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scratch::Scratch;

    #[test]
    fn stopping_takes_the_children_too() {
        let scratch = Scratch::new().unwrap();
        let mut shell = Spec::new("sh")
            .unwrap()
            .args(["-c", "sleep 60 & echo $! > child; wait"])
            .in_directory(scratch.path())
            .start(scratch.path())
            .unwrap();
        let file = scratch.join("child");
        let deadline = Instant::now() + Duration::from_secs(5);
        while fs::read_to_string(&file).map(|text| text.trim().is_empty()).unwrap_or(true) {
            assert!(Instant::now() < deadline, "the shell did not start");
            thread::sleep(Duration::from_millis(5));
        }
        let child: i32 = fs::read_to_string(&file).unwrap().trim().parse().unwrap();
        shell.stop();
        let deadline = Instant::now() + Duration::from_secs(2);
        // An orphan may stay a zombie for a moment, until init collects it.
        while fs::read_to_string(format!("/proc/{child}/stat")).is_ok_and(|stat| !stat.contains(") Z ")) {
            assert!(Instant::now() < deadline, "the child {child} outlived its group");
            thread::sleep(Duration::from_millis(5));
        }
    }

    #[test]
    fn a_failing_command_reports_what_it_said() {
        let spec = Spec::new("sh").unwrap().args(["-c", "echo broken pump >&2; exit 3"]);
        let message = format!("{:#}", run(&spec).unwrap_err());
        assert!(message.contains("broken pump"), "{message}");
    }
}
