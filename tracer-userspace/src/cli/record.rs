//! `tracer record`.

use std::fs::File;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use tokio::signal::unix::{SignalKind, signal};

use super::args::{EvidenceArg, RecordArgs};
use super::learned;
use super::metrics::{MetricsArg, endpoint};
use super::output::{self, Outputs, create, create_file};
use super::push::own_calls;
use super::status::Status;
use crate::capture::facts::{HostFacts, Roots, Severity};
use crate::capture::load::Options;
use crate::capture::procfs::ProcFs;
use crate::capture::start::start;
use crate::export::formats::Host;
use crate::metrics::{MAX_SERIES, OTHER, Requests};
use crate::protocol::Limits;
use crate::protocol::tokens::HashKey;
use crate::recording::before::Before;
use crate::recording::budget;
use crate::recording::child::{self, Waiting};
use crate::recording::ledger::RunLedger;
use crate::recording::live::Live;
use crate::recording::metrics_server::Bound;
use crate::recording::people::People;
use crate::recording::push::{self, Hurry, Pace, Push};
use crate::recording::recorder::{Bounds, Ended, Recorder, clock_anchor};
use crate::recording::selection::Selection;
use crate::recording::sinks::Sinks;
use crate::recording::spans::SpanFile;
use crate::secret::Masking;
use crate::service::ProcessFacts;
use crate::target::{TargetOptions, TargetSpec};
use crate::tcap::{Description, Writer};

/// Said at the beginning and at the end.
const UNMASKED: &str = "MASKING IS OFF (--unmask): tokens, passwords and session ids in URLs and on command lines are written as they \
                        are; keep the files as secret as those";

/// Likewise.
const RAW: &str = "RAW BYTES ARE KEPT (--raw): the capture holds messages as they were sent, with every secret in them; keep it as \
                   secret as those";

/// Secrets in files are nothing to be overlooked.
fn warn(args: &RecordArgs) {
    for (asked, warning) in [(args.unmask, UNMASKED), (args.raw, RAW)] {
        if asked {
            eprintln!("tracer: {warning}");
        }
    }
}

/// Records until told to stop, and says what came of it.
pub fn run(args: &RecordArgs) -> Result<ExitCode> {
    let host = HostFacts::read(&Roots::default());
    // What blocks comes first.
    for problem in host.problems() {
        match problem.severity {
            Severity::Blocks => bail!("{problem}"),
            Severity::Limits => eprintln!("tracer: {problem}"),
        }
    }
    let headers = args.headers.read()?;
    let proc = ProcFs::default();
    let spec = target_spec(args)?;
    for pid in spec.pids() {
        if let Err(reason) = proc.process_of(pid) {
            bail!("there is no process {pid} to trace ({reason}); `ps aux` lists those there are");
        }
    }
    // Before a file is made, or what is in it lost.
    let metrics = args.metrics.map(MetricsArg::bind).transpose()?;
    // Before anything is attached, so that a long capture is not lost to a mistyped path.
    let to_elsewhere = args.metrics.is_some() || args.push.push.is_some();
    let outputs = if args.output.is_empty() && !to_elsewhere {
        Outputs::of(&[PathBuf::from("traces.json")])?
    } else {
        Outputs::of(&args.output)?
    };
    let calls = own_calls();
    // Its headers may be wrong, too. Until there are spans it does no more than look whether the collector is there.
    let push = args.push.begin(&calls, this_host(), Pace::Live, !args.push_no_metrics)?;
    let (hurry, has_metrics) = (push.as_ref().map(Push::hurry), push.as_ref().is_some_and(Push::has_metrics));
    let traces = outputs.traces.as_deref().map(create).transpose()?;
    let capture = outputs.capture.as_deref().map(create_file).transpose()?;
    if args.raw && outputs.capture.is_none() {
        bail!("--raw keeps bytes in a capture, and none is written: add -o FILE.tcap");
    }
    let ledger_file = args.ledger.as_deref().map(create_file).transpose()?;

    let masking = if args.unmask { Masking::Off } else { Masking::On };
    warn(args);
    let (people, seen) = People::read_all(proc, masking);
    let processes: Vec<&ProcessFacts> = seen.iter().map(|seen| &seen.facts).collect();
    let mut selection = Selection::new(spec, !args.command.is_empty(), &processes);
    if let Some(bound) = &metrics {
        selection.leave_out(endpoint(bound));
    }
    if push.is_some() {
        selection.leave_out_calls(calls);
    }
    let waiting = (!args.command.is_empty()).then(|| child::prepare(&args.command)).transpose()?;
    let options = probe_options(args, &host, &selection);
    let probes = start(&options)?.probes;
    for what in &probes.missing {
        eprintln!("tracer: this kernel does not show {what}; that will be missing");
    }
    let provider = probes.provider;
    let before = Before::read(&ProcFs::default(), &processes);
    let whom = whom(&selection, args);
    let description = Description {
        clock: clock_anchor(),
        kernel: host.release.as_ref().cloned().unwrap_or_default(),
        provider: provider.describe().to_owned(),
        missing: probes.missing.iter().map(|&what| what.to_owned()).collect(),
        unmasked: args.unmask,
        raw: args.raw,
        features: probes.features(),
    };
    let max_bytes = u64::from(args.max_size) << 20;
    let file = match traces.zip(outputs.traces.as_deref()) {
        Some((target, path)) => Some(output::span_file(target, path, this_host(), max_bytes)?),
        None => (push.is_some() || metrics.is_some()).then(SpanFile::none),
    };
    let pushing = if push.is_some() { push::MEMORY } else { 0 };
    let spans = match file {
        Some(file) => Some((learned::analysis(description.clock, &args.links, &headers)?, file.pushed(push))),
        None => None,
    };
    let capture = capture.map(|file| Writer::new(file, &description)).transpose()?;
    let mut sinks = Sinks::new(spans, capture, args.raw, max_bytes);
    sinks.metrics = (metrics.is_some() || has_metrics).then(Requests::default);
    let memory = u64::from(args.max_memory) << 20;
    let ring = u64::from(options.ring_bytes);
    let streams = Limits {
        headers: Arc::new(headers),
        hash_key: HashKey::random(),
        ..budget::limits(memory.saturating_sub(pushing), ring, masking)
    };
    let bounds = Bounds { memory: budget::ceiling(memory, ring), streams };
    let mut recorder = Recorder::new(probes, people, seen, selection, before, sinks, bounds);
    if let Some(waiting) = &waiting {
        recorder.add_process(waiting.pid)?;
    }
    recorder.begin()?;
    let until = match args.duration {
        Some(duration) => format!("for {:.3} s; Ctrl-C ends it earlier", duration.as_secs_f64()),
        None => "until Ctrl-C".to_owned(),
    };
    let serving = metrics.as_ref().map(Bound::address);
    let server = metrics.map(|bound| bound.serve(recorder.live())).transpose();
    let server = server.context("cannot start a thread for the metrics")?;
    let begun = || {
        if let Some(address) = serving {
            eprintln!("metrics for Prometheus on http://{address}/metrics");
        }
        eprintln!("tracing {whom} {until}");
    };
    if args.verbose {
        eprintln!("seen through {}", provider.describe());
    }
    let hurried = Arc::new(AtomicBool::new(false));
    let hurry = Second { hurry, came: Arc::clone(&hurried) };
    let ledger = drive(args.duration, recorder, waiting, hurry, begun)?;
    drop(server);
    let code = report(args, &outputs, &ledger, ledger_file)?;
    Ok(if hurried.load(Ordering::Relaxed) { ExitCode::from(INTERRUPTED) } else { code })
}

/// The exit code of what a second signal has ended.
const INTERRUPTED: u8 = 130;

/// What a second signal does.
struct Second {
    /// Ends the wait for a collector.
    hurry: Option<Hurry>,
    /// It came, and did that.
    came: Arc<AtomicBool>,
}

impl Second {
    /// If all that goes on is the wait for a collector, it is over, and what was recorded is told. Otherwise the program ends at once; the
    /// probes go with it.
    fn signal(&self) {
        let is_enough =
            self.hurry.as_ref().is_some_and(Hurry::up) && !self.came.swap(true, Ordering::Relaxed);
        if !is_enough {
            std::process::exit(INTERRUPTED.into());
        }
    }
}

/// What the spans of a recording can say of the host: its name, as the kernel has it.
fn this_host() -> Host {
    let name = std::fs::read_to_string("/proc/sys/kernel/hostname").ok();
    Host { name: name.map(|name| name.trim().to_owned()).filter(|name| !name.is_empty()) }
}

fn target_spec(args: &RecordArgs) -> Result<TargetSpec> {
    Ok(TargetSpec::new(&TargetOptions {
        pids: args.pid.clone(),
        ports: args.port.clone(),
        exes: args.exe.clone(),
        comms: args.comm.clone(),
        containers: args.container.clone(),
        units: args.unit.clone(),
    })?)
}

fn probe_options(args: &RecordArgs, host: &HostFacts, selection: &Selection) -> Options {
    Options {
        select: selection.mode(),
        pids: selection.pids(),
        ports: selection.ports(),
        adopt_exec: selection.adopts_exec(),
        head_bytes: args.head_bytes,
        call_bytes: args.statement_bytes,
        ring_bytes: args.ring_mib << 20,
        evidence: args.evidence == EvidenceArg::All,
        provider: args.provider.map(Into::into),
        btf: args.btf.clone(),
        kernel: host.version.as_ref().map_or((0, 0), |version| (version.0, version.1)),
        pid_max: host.pid_max.as_ref().copied().unwrap_or(Options::default().pid_max),
    }
}

fn whom(selection: &Selection, args: &RecordArgs) -> String {
    if let Some(program) = args.command.first() {
        return format!("{} and its children", program.to_string_lossy());
    }
    let Some(processes) = selection.count() else { return "every process of this host".to_owned() };
    let ports: Vec<String> = selection.ports().iter().map(u16::to_string).collect();
    chosen(&ports.join(", "), processes, selection.adopts_exec())
}

/// Ports, if any were chosen, and a number of processes. `more`: programs that start later may be chosen too.
fn chosen(ports: &str, processes: usize, more: bool) -> String {
    let processes = match processes {
        0 if more => "programs that start from now on, if they match (none that runs does)".to_owned(),
        0 => String::new(),
        1 => "1 process and its children".to_owned(),
        processes => format!("{processes} processes and their children"),
    };
    match (ports, &*processes) {
        ("", _) => processes,
        (_, "") => format!("port {ports}"),
        _ => format!("port {ports}, and {processes},"),
    }
}

/// Runs the recorder in its thread, and waits for a signal, the end of the time, or the end of the program.
///
/// Calls `begun` once a signal is an orderly end: whoever reads that tracing has begun may send one at once.
fn drive(
    duration: Option<Duration>,
    recorder: Recorder,
    waiting: Option<Waiting>,
    second: Second,
    begun: impl FnOnce(),
) -> Result<RunLedger> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot set up timers and signals")?;
    let stop = Arc::new(AtomicBool::new(false));
    let told = Arc::clone(&stop);
    runtime.block_on(async move {
        // Signals are caught before the thread starts, so that none of them ends the run half way.
        let mut interrupt = signal(SignalKind::interrupt())?;
        let mut terminate = signal(SignalKind::terminate())?;
        let mut hangup = signal(SignalKind::hangup())?;
        begun();
        let live = recorder.live();
        // The program that is started writes on the same terminal.
        let status = if waiting.is_some() { None } else { Status::begin(duration) };
        let (done, over) = tokio::sync::oneshot::channel();
        let thread: JoinHandle<RunLedger> = std::thread::Builder::new()
            .name("tracer-drain".to_owned())
            .spawn(move || {
                let ledger = recorder.run(&told);
                // Nobody listens when a signal came first.
                let _ = done.send(());
                ledger
            })
            .context("cannot start a thread")?;
        let child = waiting.map(Waiting::go).transpose();
        let program = match &child {
            Ok(Some(child)) => Some(child.id()),
            Ok(None) | Err(_) => None,
        };
        if child.is_ok() {
            tokio::select! {
                _ = interrupt.recv() => {}
                _ = terminate.recv() => {}
                _ = hangup.recv() => {}
                () = sleep(duration) => {}
                _ = over => {}
                () = ended(program) => {}
                () = show(status.as_ref(), &live) => {}
            }
        }
        drop(status);
        stop.store(true, Ordering::Release);
        let second = tokio::spawn(async move {
            loop {
                tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
                second.signal();
            }
        });
        let ledger = tokio::task::spawn_blocking(move || thread.join()).await;
        second.abort();
        let ledger = match ledger {
            Ok(Ok(ledger)) => ledger,
            _ => bail!("the recording thread failed; please report this"),
        };
        if let Some(mut child) = child? {
            match child.try_wait() {
                Ok(Some(status)) => eprintln!("the program ended: {status}"),
                _ => eprintln!("the program goes on as process {}", child.id()),
            }
        }
        Ok(ledger)
    })
}

async fn show(status: Option<&Status>, live: &Live) {
    match status {
        Some(status) => status.keep(live).await,
        None => std::future::pending().await,
    }
}

async fn sleep(duration: Option<Duration>) {
    match duration {
        Some(duration) => tokio::time::sleep(duration).await,
        None => std::future::pending().await,
    }
}

/// Waits until our child has ended; it stays a zombie until its status is asked for.
async fn ended(pid: Option<u32>) {
    let Some(pid) = pid else { return std::future::pending().await };
    let path = format!("/proc/{pid}/stat");
    loop {
        let state = std::fs::read_to_string(&path).unwrap_or_default();
        let state = state.rsplit(')').next().unwrap_or_default().trim_start();
        if state.is_empty() || state.starts_with('Z') {
            // What its last calls left in the ring is still taken.
            return tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

fn report(
    args: &RecordArgs,
    outputs: &Outputs,
    ledger: &RunLedger,
    ledger_file: Option<File>,
) -> Result<ExitCode> {
    eprint!("{}", ledger.summary());
    match ledger.ended {
        Ended::TargetsGone => eprintln!("everything that was to be traced has ended"),
        Ended::FileFull => {
            eprintln!("the recording ended early: a file has the size that --max-size allows")
        }
        Ended::MemoryFull => eprintln!(
            "the recording ended early: the tracer had the memory that --max-memory allows; choose fewer processes \
             (--port, --pid) or allow more"
        ),
        Ended::Told | Ended::OutputFailed => {}
    }
    eprintln!("detached in {:.1} ms", ledger.detach.as_secs_f64() * 1_000.0);
    if ledger.in_other > 0 {
        eprintln!(
            "the metrics counted {} requests under the operation `{OTHER}`: more than {MAX_SERIES} different operations were seen",
            ledger.in_other
        );
    }
    if let Some(file) = ledger_file {
        serde_json::to_writer_pretty(file, &ledger.account()).context("cannot write the ledger")?;
    }
    if let (Some(path), Some(bytes)) = (&outputs.capture, ledger.capture_bytes) {
        let path = path.display();
        eprintln!("{bytes} bytes in {path}; `tracer analyze {path} -o traces.json` makes traces of it");
    }
    if let (Some(path), None) = (&outputs.traces, &ledger.output_error) {
        eprintln!("{}", output::written(ledger.stats.spans, path));
    }
    if let Some(delivery) = &ledger.delivery {
        eprintln!(
            "{} of {} spans delivered to {}",
            delivery.spans.delivered, ledger.stats.spans, delivery.to
        );
    }
    warn(args);
    if let Some(error) = &ledger.capture_error {
        bail!("{error}");
    }
    match &ledger.output_error {
        None => Ok(ExitCode::SUCCESS),
        Some(error) => bail!("{error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::chosen;

    #[test]
    fn whom_is_told_as_a_person_would() {
        assert_eq!(chosen("", 1, false), "1 process and its children");
        assert_eq!(chosen("80, 443", 0, false), "port 80, 443");
        assert_eq!(chosen("80", 2, true), "port 80, and 2 processes and their children,");
        // A name that was mistyped must not look like a service without requests.
        assert!(chosen("", 0, true).contains("none that runs does"));
    }
}
