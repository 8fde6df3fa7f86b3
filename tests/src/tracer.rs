//! The program under test: started, waited for, stopped, and its three outputs read (spans, ledger, words).

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde_json::Value;

use crate::pace;
use crate::paths;
use crate::process::{Process, Spec};
use crate::scratch::Scratch;
use crate::span::Trace;

/// How long attaching may take before a test gives up (the goal is one second).
const ATTACH: Duration = Duration::from_secs(20);
/// How long writing the output may take.
const FINISH: Duration = Duration::from_secs(60);

/// A running `tracer record`.
#[derive(Debug)]
pub struct Tracer {
    process: Process,
    said: Arc<Mutex<Vec<String>>>,
    reader: Option<thread::JoinHandle<()>>,
    scratch: Scratch,
    output: PathBuf,
}

/// What it left.
#[derive(Debug)]
pub struct Recording {
    /// The spans.
    pub trace: Trace,
    /// The counters.
    pub ledger: Ledger,
    /// What it printed to stderr.
    pub said: String,
    /// From the signal to the end of the process.
    pub stopping: Duration,
    /// The trace file; kept as long as this value.
    pub output: PathBuf,
    _scratch: Scratch,
}

/// The counters of one run, as `--ledger` writes them.
#[derive(Debug)]
pub struct Ledger(Value);

impl Ledger {
    /// A counter's value.
    pub fn count(&self, name: &str) -> Result<u64> {
        self.0.get(name).and_then(Value::as_u64).with_context(|| format!("no counter {name} in {}", self.0))
    }

    /// The whole ledger.
    pub fn value(&self) -> &Value {
        &self.0
    }
}

/// How a tracer that was not stopped in the usual way ended.
#[derive(Debug)]
pub struct End {
    /// Exit status.
    pub status: ExitStatus,
    /// What it printed to stderr.
    pub said: String,
}

impl Tracer {
    /// Starts `tracer record ARGS`, with output and ledger in a directory of its own, and waits until it traces.
    pub fn record(args: &[&str]) -> Result<Self> {
        Self::record_by(&paths::tracer_binary()?, args)
    }

    /// As [`Tracer::record`], with a tracer of the caller's choice.
    pub fn record_by(binary: &Path, args: &[&str]) -> Result<Self> {
        let scratch = Scratch::new()?;
        let output = scratch.join("traces.json");
        let mut tracer = Self::launch(Spec::new(binary)?, args, scratch, output)?;
        tracer.wait_for("tracing ", pace::limit(ATTACH))?;
        Ok(tracer)
    }

    /// As [`Tracer::record`], as a user that owns nothing, with these capabilities and no other right.
    pub fn record_with_only(capabilities: &[&str], args: &[&str]) -> Result<Self> {
        let scratch = Scratch::new()?;
        let output = scratch.join("traces.json");
        let spec = Spec::new(open_to_all(&scratch)?)?.with_only(capabilities);
        let mut tracer = Self::launch(spec, args, scratch, output)?;
        tracer.wait_for("tracing ", pace::limit(ATTACH))?;
        Ok(tracer)
    }

    /// As [`Tracer::record`], with the output in a place of the test's choice and without waiting.
    pub fn start(args: &[&str], scratch: Scratch, output: PathBuf) -> Result<Self> {
        Self::launch(Spec::new(paths::tracer_binary()?)?, args, scratch, output)
    }

    fn launch(spec: Spec, args: &[&str], scratch: Scratch, output: PathBuf) -> Result<Self> {
        let ledger = scratch.join("ledger.json");
        let spec = record(spec, args, &output, &ledger);
        Self::spawn(&spec, scratch, output)
    }

    /// As [`Tracer::record`], the directory being the tracer's root: there is nothing else than the tracer itself,
    /// `files` (path here, name there), and the kernel's /proc and /sys.
    pub fn record_alone(args: &[&str], files: &[(&Path, &str)]) -> Result<Self> {
        let scratch = Scratch::new()?;
        alone(scratch.path(), files)?;
        let spec = Spec::new(ALONE)?.in_root(scratch.path());
        let spec = record(spec, args, Path::new("/traces.json"), Path::new("/ledger.json"));
        let output = scratch.join("traces.json");
        let mut tracer = Self::spawn(&spec, scratch, output)?;
        tracer.wait_for("tracing ", pace::limit(ATTACH))?;
        Ok(tracer)
    }

    fn spawn(spec: &Spec, scratch: Scratch, output: PathBuf) -> Result<Self> {
        let mut child = spec
            .command()
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("cannot start the tracer")?;
        let stderr = child.stderr.take().context("the tracer has no stderr")?;
        let said = Arc::new(Mutex::new(Vec::new()));
        let reader = thread::spawn({
            let said = Arc::clone(&said);
            move || {
                for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                    said.lock().unwrap_or_else(PoisonError::into_inner).push(line);
                }
            }
        });
        Ok(Self { process: Process::adopt("tracer", child), said, reader: Some(reader), scratch, output })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it printed so far.
    pub fn said(&self) -> String {
        self.said.lock().unwrap_or_else(PoisonError::into_inner).join("\n")
    }

    /// Waits until a line of its stderr begins with `beginning`.
    pub fn wait_for(&mut self, beginning: &str, limit: Duration) -> Result<()> {
        let deadline = Instant::now() + limit;
        loop {
            let seen = |line: &String| line.starts_with(beginning);
            if self.said.lock().unwrap_or_else(PoisonError::into_inner).iter().any(seen) {
                return Ok(());
            }
            if let Some(status) = self.process.ended()? {
                bail!("the tracer ended with {status} before it said {beginning:?}:\n{}", self.said());
            }
            ensure!(
                Instant::now() < deadline,
                "the tracer did not say {beginning:?} within {limit:?}:\n{}",
                self.said()
            );
            thread::sleep(Duration::from_millis(2));
        }
    }

    /// Stops it as Ctrl-C does and reads what it left. It must exit with 0.
    pub fn stop(self) -> Result<Recording> {
        self.stop_with(libc::SIGINT)
    }

    /// As [`Tracer::stop`], with another signal.
    pub fn stop_with(self, signal: libc::c_int) -> Result<Recording> {
        self.process.signal(signal)?;
        self.finish()
    }

    /// Waits for its own end (`-d`, a command that ends) and reads what it left.
    pub fn finish(self) -> Result<Recording> {
        self.finish_as(0)
    }

    /// As [`Tracer::finish`], with an exit code of the test's choice.
    pub fn finish_as(mut self, code: i32) -> Result<Recording> {
        let start = Instant::now();
        let end = self.end(pace::limit(FINISH))?;
        let stopping = start.elapsed();
        ensure!(end.status.code() == Some(code), "the tracer ended with {}:\n{}", end.status, end.said);
        let trace = Trace::read(&self.output).with_context(|| format!("the tracer said:\n{}", end.said))?;
        let ledger = read_json(&self.scratch.join("ledger.json"))?;
        Ok(Recording {
            trace,
            ledger: Ledger(ledger),
            said: end.said,
            stopping,
            output: self.output,
            _scratch: self.scratch,
        })
    }

    /// Stops it and reads the ledger only: the trace file may be of hundreds of megabytes.
    pub fn stop_unread(mut self, signal: libc::c_int) -> Result<Ledger> {
        self.process.signal(signal)?;
        let end = self.end(pace::limit(FINISH))?;
        ensure!(end.status.success(), "the tracer ended with {}:\n{}", end.status, end.said);
        Ok(Ledger(read_json(&self.scratch.join("ledger.json"))?))
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> Result<bool> {
        Ok(self.process.ended()?.is_none())
    }

    /// Sends a signal.
    pub fn signal(&self, signal: libc::c_int) -> Result<()> {
        self.process.signal(signal)
    }

    /// Waits until it ends, however it does.
    pub fn end(&mut self, limit: Duration) -> Result<End> {
        let status = self.process.wait(limit).with_context(|| format!("it said:\n{}", self.said()))?;
        if let Some(reader) = self.reader.take() {
            // A child of `record -- COMMAND` may hold stderr open; what was said by then is all there is to read.
            let deadline = Instant::now() + Duration::from_secs(1);
            while !reader.is_finished() && Instant::now() < deadline {
                thread::sleep(Duration::from_millis(2));
            }
        }
        Ok(End { status, said: self.said() })
    }
}

impl Recording {
    /// Fails if events were lost: then nothing exact can be asked of the spans.
    pub fn check_nothing_lost(&self) -> Result<()> {
        let mut lost = self.ledger.count("events_lost")?;
        if pace::factor() > 1 {
            // In an emulator even the short programs that see processes come and go are interrupted by each other (Linux
            // 7.0 and later). It is told, and no request depends on it.
            lost = lost.saturating_sub(self.ledger.count("changes_missed")?);
        }
        ensure!(lost == 0, "{lost} events were lost; the tracer said:\n{}", self.said);
        Ok(())
    }
}

/// Where the tracer is in a root directory made by [`alone`].
pub const ALONE: &str = "/tracer";

/// Makes a directory into a root for [`Spec::in_root`] that holds the tracer, `files` (path here, name there) and nothing
/// else.
pub fn alone(root: &Path, files: &[(&Path, &str)]) -> Result<()> {
    let tracer = paths::tracer_binary()?;
    for (from, name) in [(tracer.as_path(), ALONE)].iter().chain(files) {
        let to = root.join(name.trim_start_matches('/'));
        std::fs::copy(from, &to)
            .with_context(|| format!("cannot copy {} to {}", from.display(), to.display()))?;
    }
    Ok(())
}

/// The command line of a recording. What belongs after `--` stays last.
fn record(spec: Spec, args: &[&str], output: &Path, ledger: &Path) -> Spec {
    let split = args.iter().position(|&arg| arg == "--").unwrap_or(args.len());
    let (options, command) = args.split_at(split);
    spec.arg("record")
        .args(extra_arguments())
        .args(options.iter().copied())
        .args(["-o", &output.to_string_lossy(), "--ledger", &ledger.to_string_lossy()])
        .args(command.iter().copied())
}

/// `TRACER_E2E_ARGS`: added to every `tracer record`, separated by spaces, to run a whole file with one provider.
fn extra_arguments() -> Vec<String> {
    let text = std::env::var("TRACER_E2E_ARGS").unwrap_or_default();
    text.split_whitespace().map(str::to_owned).collect()
}

/// Runs a tracer command to its end, with the given wrapper in front, for tests of refusals.
pub fn run(wrapper: &[&str], args: &[&str]) -> Result<(ExitStatus, String, String)> {
    let binary = paths::tracer_binary()?;
    let mut words: Vec<&str> = wrapper.to_vec();
    let binary = binary.to_string_lossy();
    words.push(&binary);
    words.extend(args);
    let (program, rest) = words.split_first().context("no command")?;
    let output = Spec::new(program)?
        .args(rest.iter().copied())
        .command()
        .output()
        .with_context(|| format!("cannot start {program}"))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok((output.status, text(&output.stdout), text(&output.stderr)))
}

/// A copy of the tracer that every user may run: the build directory may be closed to others.
pub fn open_to_all(scratch: &Scratch) -> Result<PathBuf> {
    let binary = scratch.join("tracer");
    std::fs::copy(paths::tracer_binary()?, &binary).context("cannot copy the tracer")?;
    Ok(binary)
}

/// The tracer refuses: exit code not 0, one sentence that has each of `words` in it, no panic. Returns what it said.
pub fn refuses(wrapper: &[&str], args: &[&str], words: &[&str]) -> Result<String> {
    let (status, _, said) = run(wrapper, args)?;
    ensure!(!status.success(), "it ended with 0 and said:\n{said}");
    check_refusal(&said, words)?;
    Ok(said.trim().to_owned())
}

/// What a refusal says: a sentence, with each of `words` in it.
pub fn check_refusal(said: &str, words: &[&str]) -> Result<()> {
    ensure!(!said.contains("panicked") && !said.contains("RUST_BACKTRACE"), "it panicked:\n{said}");
    for word in words {
        ensure!(said.to_lowercase().contains(&word.to_lowercase()), "it does not speak of {word}:\n{said}");
    }
    // Where it begins is said before it is known that a program cannot be started.
    let lines = said.lines().filter(|line| !line.trim().is_empty() && !line.starts_with("tracing ")).count();
    ensure!(lines == 1, "{lines} lines, not a sentence:\n{said}");
    Ok(())
}

fn read_json(path: &Path) -> Result<Value> {
    let bytes = std::fs::read(path).with_context(|| format!("no ledger at {}", path.display()))?;
    serde_json::from_slice(&bytes).with_context(|| format!("{} is not JSON", path.display()))
}
