//! The command line: what the user may say. Help is by task, with examples; everything is checked in `record` and its
//! sisters, not here.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

use super::headers::HeaderArgs;
use super::links::LinkArgs;
use super::metrics::MetricsArg;
use super::push::PushArgs;
use crate::capture::probes::Provider;
use crate::export::formats::FileFormat;

/// Traces requests through the services of this host, without touching them.
#[derive(Debug, Parser)]
#[command(
    name = "tracer",
    version,
    max_term_width = 100,
    after_help = "\
Examples:
  tracer record -d 30s -o traces.json        trace all services of this host, for 30 seconds
  tracer record --port 8080 -o traces.json   only connections to or from port 8080; Ctrl-C ends it
  tracer record -d 30s -o capture.tcap       keep what was seen, for later: tracer analyze capture.tcap
  tracer show traces.json                    operations, and the slowest traces as waterfalls
  tracer export traces.json -o x.zipkin.json for Zipkin; likewise OpenTelemetry, Jaeger, Perfetto, CSV
  tracer report traces.json -o report.html   all of it, in one page for a browser
  tracer doctor                              what this host allows, and what will be missing

Exit codes:
  0  done; what was asked for is there
  1  it could not be done; the last line says why and what to do
  2  the command line was not understood"
)]
pub struct Cli {
    /// What to do.
    #[command(subcommand)]
    pub command: Command,
}

/// What to do.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Watch this host's services and write every request as a trace (needs root)
    Record(Box<RecordArgs>),
    /// Turn a capture (.tcap) into traces: anywhere, at any time, without root
    Analyze(AnalyzeArgs),
    /// Turn traces into a file for another tool: OpenTelemetry, Zipkin, Jaeger, Perfetto, a spreadsheet
    Export(ExportArgs),
    /// Show the operations of a file of traces, and its slowest traces
    Show(ShowArgs),
    /// Compare two files of traces: which operations changed in rate, errors or time
    Diff(DiffArgs),
    /// Make one HTML file of it, for any browser: map, operations, findings, traces
    Report(ReportArgs),
    /// Say what this host allows, which hooks will be used, and what will be missing
    Doctor(DoctorArgs),
}

/// Options of `record`.
#[derive(Args, Debug)]
#[command(after_help = "\
Everything is traced unless one of the choices above is made. Several choices add up. Children of a chosen process
are traced too. Nothing of a traced process, its memory or its traffic is changed; when the tracer ends, or is
killed, nothing of it stays.

Examples:
  tracer record -d 30s                          everything, for 30 seconds, into traces.json
  tracer record --pid 4242 --pid 4243           two processes and their children
  tracer record --exe '*/gunicorn' --port 5432  by program, and whoever uses port 5432
  tracer record --unit shop.service             a systemd unit
  tracer record --container web-1               a container, by name or the beginning of its id
  tracer record --metrics prometheus:9464       metrics for Prometheus until Ctrl-C, and no file
  tracer record --push otlp+http://HOST:4318    send the spans to a collector until Ctrl-C, and write no file
  tracer record -o run.json -- ./server --flag  start a program and trace it until it ends")]
pub struct RecordArgs {
    /// Trace this process and its children
    #[arg(long, value_name = "PID", value_parser = parse_pid, help_heading = "What to trace")]
    pub pid: Vec<u32>,
    /// Trace connections to or from this port, whoever's they are
    #[arg(long, value_name = "PORT", help_heading = "What to trace")]
    pub port: Vec<u16>,
    /// Trace programs whose path matches, e.g. '*/nginx'
    #[arg(long, value_name = "GLOB", help_heading = "What to trace")]
    pub exe: Vec<String>,
    /// Trace programs whose command name matches, e.g. 'java*'
    #[arg(long, value_name = "GLOB", help_heading = "What to trace")]
    pub comm: Vec<String>,
    /// Trace a container, by name or the beginning of its id
    #[arg(long, value_name = "NAME", help_heading = "What to trace")]
    pub container: Vec<String>,
    /// Trace a systemd unit, e.g. shop.service
    #[arg(long, value_name = "UNIT", help_heading = "What to trace")]
    pub unit: Vec<String>,
    /// Stop after this time: 30s, 5m, 500ms (default: Ctrl-C stops)
    #[arg(short, long, value_name = "TIME", value_parser = parse_duration)]
    pub duration: Option<std::time::Duration>,
    /// Write the traces into this file; into one that ends in .tcap, a capture for `tracer analyze`. Twice for both.
    /// Names such as x.otlp.jsonl, x.zipkin.json or x.csv choose another form (`tracer export --help`) [default: traces.json;
    /// with --metrics or --push, nothing]
    #[arg(short, long, value_name = "FILE")]
    pub output: Vec<PathBuf>,
    /// Serve request rates, errors and durations of each operation while recording, for Prometheus: prometheus:PORT for this
    /// host only, or prometheus:ADDRESS:PORT (docs/metrics.md)
    #[arg(long, value_name = "WHERE", value_parser = MetricsArg::parse)]
    pub metrics: Option<MetricsArg>,
    /// Pushing.
    #[command(flatten)]
    pub push: PushArgs,
    /// With --push, send the spans alone: a collector of OTLP gets metrics, too (docs/metrics.md)
    #[arg(long, requires = "push")]
    pub push_no_metrics: bool,
    /// End the recording when a file that it writes has this size, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 1024, help_heading = "Rarely needed",
          value_parser = clap::value_parser!(u32).range(1..))]
    pub max_size: u32,
    /// Keep the tracer's own memory below this, in MiB: fewer connections are followed, and in the end the recording stops
    #[arg(long, value_name = "MIB", default_value_t = 256, help_heading = "Rarely needed",
          value_parser = clap::value_parser!(u32).range(128..))]
    pub max_memory: u32,
    /// Do NOT mask secrets: tokens, passwords and session ids in URLs and command lines are written as they are
    #[arg(long, help_heading = "Rarely needed")]
    pub unmask: bool,
    /// Keep the raw bytes of messages too, as far as they are captured, in the capture (.tcap): secrets included
    #[arg(long, help_heading = "Rarely needed")]
    pub raw: bool,
    /// Headers.
    #[command(flatten)]
    pub headers: HeaderArgs,
    /// Links.
    #[command(flatten)]
    pub links: LinkArgs,
    /// Write the counters of the run into this file, as JSON
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Bytes of each message's head that are looked at
    #[arg(long, value_name = "BYTES", default_value_t = 4096, help_heading = "Rarely needed")]
    pub head_bytes: u32,
    /// Bytes of each message that are looked at where the protocol is not HTTP/1: the longest statement that is seen whole
    #[arg(long, value_name = "BYTES", default_value_t = 8192, help_heading = "Rarely needed")]
    pub statement_bytes: u32,
    /// Size of the kernel's buffer, in MiB
    #[arg(long, value_name = "MIB", default_value_t = 8, help_heading = "Rarely needed",
          value_parser = clap::value_parser!(u32).range(1..=1024))]
    pub ring_mib: u32,
    /// What to look at in order to tell which request made which call
    #[arg(long, value_name = "WHAT", default_value = "all", help_heading = "Rarely needed")]
    pub evidence: EvidenceArg,
    /// Use this way of seeing socket calls and no other
    #[arg(long, value_name = "WAY", help_heading = "Rarely needed")]
    pub provider: Option<ProviderArg>,
    /// Kernel type information (raw BTF) instead of the kernel's own; `calibrate` uses none at all
    #[arg(long, value_name = "FILE", help_heading = "Rarely needed")]
    pub btf: Option<PathBuf>,
    /// Say more about what is done
    #[arg(short, long)]
    pub verbose: bool,
    /// A program to start and trace, after `--`
    #[arg(last = true, value_name = "COMMAND")]
    pub command: Vec<std::ffi::OsString>,
}

/// What is looked at beside the bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum EvidenceArg {
    /// Socket calls only: costs the host least, and event loops and thread pools are left open under load
    Sockets,
    /// Also when threads wait for descriptors, and who wakes whom
    All,
}

/// Where socket calls are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum ProviderArg {
    /// The kernel's socket tracepoints (Linux 6.3): unrelated system calls pay nothing
    Tracepoint,
    /// The trace events of the same names: a little dearer, and right where tracepoints can be interrupted (Linux 7.0)
    Event,
    /// The exits of the kernel's socket functions (Linux 5.12 with BTF): likewise
    Fexit,
    /// Kprobes on the same functions: dearer, and can miss calls, which is counted
    Kprobe,
    /// The end of every system call: works everywhere, costs every system call of the host a little
    Syscall,
}

impl From<ProviderArg> for Provider {
    fn from(arg: ProviderArg) -> Self {
        match arg {
            ProviderArg::Tracepoint => Self::SocketTracepoints,
            ProviderArg::Event => Self::SocketEvents,
            ProviderArg::Fexit => Self::FunctionExits,
            ProviderArg::Kprobe => Self::Kprobes,
            ProviderArg::Syscall => Self::SyscallExit,
        }
    }
}

/// Options of `analyze`.
#[derive(Args, Debug)]
#[command(after_help = "\
The traces are the same, to the byte, as those that `record -o traces.json` would have written.

Examples:
  sudo tracer record -d 30s -o capture.tcap
  tracer analyze capture.tcap -o traces.json
  tracer analyze --exchanges in.jsonl -o traces.json

Exit codes: 0, all of the file was read; 2, it is damaged or no capture, or lines of it were refused: what could be read was analysed, and the last
lines say what is missing.")]
pub struct AnalyzeArgs {
    /// The file that `tracer record -o FILE.tcap` wrote
    #[arg(value_name = "FILE", required_unless_present = "exchanges")]
    pub file: Option<PathBuf>,
    /// Instead of a capture, find the links between exchanges that were observed elsewhere: one JSON object on each line,
    /// with process, thread, kind, operation, start_ns, end_ns, connection and id (docs/exchanges.md)
    #[arg(long, value_name = "FILE", conflicts_with_all = ["file", "push", "keep_header", "ignore_header", "ignore_context"])]
    pub exchanges: Option<PathBuf>,
    /// Write the traces into this file; names such as x.otlp.jsonl, x.zipkin.json or x.csv choose another form
    /// (`tracer export --help`)
    #[arg(short, long, value_name = "FILE", default_value = "traces.json")]
    pub output: PathBuf,
    /// Pushing.
    #[command(flatten)]
    pub push: PushArgs,
    /// Headers.
    #[command(flatten)]
    pub headers: HeaderArgs,
    /// Links.
    #[command(flatten)]
    pub links: LinkArgs,
}

/// Options of `export`.
#[derive(Args, Debug)]
#[command(after_help = "\
The output's name says the format: x.otlp.jsonl (or .otlp.json), x.zipkin.json, x.jaeger.json, x.perfetto.json (or
.chrome.json), x.csv, x.traces.json (or .trace.json). docs/exports.md tells what becomes of each field.
`tracer record` and `tracer analyze` write such files at once, with the same names for -o.

Examples:
  tracer export traces.json -o traces.zipkin.json
  tracer export traces.json -o traces.otlp.jsonl
  tracer export traces.json -o - --format csv | head
  tracer export traces.json --push otlp+http://localhost:4318
  zcat old.json.gz | tracer export - -o old.perfetto.json

Exit codes: 0, all spans were written; 2, spans of the file could not be used and are left out, or it is no file of
spans; 130, interrupted: what was written until then is whole.")]
pub struct ExportArgs {
    /// The file that `tracer record` wrote; - is standard input
    #[arg(default_value = "traces.json")]
    pub file: PathBuf,
    /// Write into this file; - is standard output
    #[arg(short, long, value_name = "FILE", required_unless_present = "push", conflicts_with = "push")]
    pub output: Option<PathBuf>,
    /// Pushing.
    #[command(flatten)]
    pub push: PushArgs,
    /// The form of the output (default: what its name says)
    #[arg(long, value_name = "FORMAT", conflicts_with = "push")]
    pub format: Option<FormatArg>,
}

/// A form of output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum FormatArg {
    /// The trace JSON again, of a file by somebody else or one that was damaged
    Trace,
    /// OpenTelemetry: OTLP/JSON, one request a line
    Otlp,
    /// Zipkin: version 2 JSON
    Zipkin,
    /// Jaeger: what its user interface loads
    Jaeger,
    /// Perfetto and chrome://tracing: Chrome trace events
    Perfetto,
    /// A table for a spreadsheet
    Csv,
}

impl From<FormatArg> for FileFormat {
    fn from(arg: FormatArg) -> Self {
        match arg {
            FormatArg::Trace => Self::Trace,
            FormatArg::Otlp => Self::Otlp,
            FormatArg::Zipkin => Self::Zipkin,
            FormatArg::Jaeger => Self::Jaeger,
            FormatArg::Perfetto => Self::Perfetto,
            FormatArg::Csv => Self::Csv,
        }
    }
}

/// Options of `show`.
#[derive(Args, Debug)]
#[command(after_help = "\
Examples:
  tracer show traces.json                              operations, and the five slowest traces
  tracer show traces.json --slowest 20 --errors        those with failures
  tracer show traces.json --op 'POST *' --min-duration 250ms
  tracer show traces.json --trace 4bf92f               one of them, whole

Exit codes: 0 all was read; 1 it cannot be; 2 spans had to be left out (stderr says which).")]
pub struct ShowArgs {
    /// The file that `tracer record` wrote; - is standard input
    #[arg(default_value = "traces.json")]
    pub file: PathBuf,
    /// How many traces, the slowest first
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub slowest: usize,
    /// Only spans that failed, and the traces they are in
    #[arg(long)]
    pub errors: bool,
    /// Only operations with such names, as in --op 'POST *'; a word without * or ? may stand anywhere in the name
    #[arg(long, value_name = "GLOB")]
    pub op: Option<String>,
    /// Only services with such names
    #[arg(long, value_name = "GLOB")]
    pub service: Option<String>,
    /// Only spans that lasted so long or longer, as in 250ms
    #[arg(long, value_name = "TIME", value_parser = parse_duration)]
    pub min_duration: Option<std::time::Duration>,
    /// One trace, whole: its id, or as much of its beginning as tells it from the others
    #[arg(long, value_name = "ID", conflicts_with_all = ["slowest", "errors", "op", "service", "min_duration"])]
    pub trace: Option<String>,
    /// Width in columns (default: the terminal's)
    #[arg(long, value_name = "COLUMNS")]
    pub width: Option<usize>,
}

/// Options of `diff`.
#[derive(Args, Debug)]
#[command(after_help = "\
Example:
  tracer diff before.json after.json")]
pub struct DiffArgs {
    /// Traces from before the change; - is standard input
    pub before: PathBuf,
    /// Traces from after it
    pub after: PathBuf,
    /// Width in columns (default: the terminal's)
    #[arg(long, value_name = "COLUMNS")]
    pub width: Option<usize>,
}

/// Options of `report`.
#[derive(Args, Debug)]
#[command(after_help = "\
The report is one file that opens in any browser of the last years and fetches nothing. It holds up to 10 000 traces, about 10 MB; of more,
the slowest of each operation, failing ones of all kinds and a sample, and it says so. All numbers are over all traces (docs/report.md).

Examples:
  tracer report traces.json                               into report.html
  tracer report capture.tcap -o shop.html                 analysed first, as `tracer analyze` does
  tracer report traces.json --ledger run.json             with the account that `record --ledger` wrote
  tracer report - -o - < traces.json > report.html

Exit codes: 0, all of the file was read; 2, it is damaged or no such file, or spans of it could not be used: the report has what could be
read, and the last lines say what is missing.")]
pub struct ReportArgs {
    /// The file that `tracer record` wrote, traces or a capture; - is the standard input
    #[arg(default_value = "traces.json")]
    pub file: PathBuf,
    /// Write the report into this file; - is the standard output
    #[arg(short, long, value_name = "FILE", default_value = "report.html")]
    pub output: PathBuf,
    /// The account of the run, which `record --ledger FILE` wrote. A capture has it in it
    #[arg(long, value_name = "FILE")]
    pub ledger: Option<PathBuf>,
    /// Headers.
    #[command(flatten)]
    pub headers: HeaderArgs,
    /// Links.
    #[command(flatten)]
    pub links: LinkArgs,
}

/// Options of `doctor`.
#[derive(Args, Clone, Debug)]
#[command(after_help = "\
Examples:
  tracer doctor                 for people
  tracer doctor --json          for programs
  tracer doctor --bundle        for a bug report")]
pub struct DoctorArgs {
    /// Print the findings as one JSON object
    #[arg(long)]
    pub json: bool,
    /// Write a support bundle for a bug report: no names of hosts, users or processes, no addresses [default FILE:
    /// tracer-support.tar.gz]
    #[arg(long, value_name = "FILE", num_args = 0..=1, default_missing_value = "tracer-support.tar.gz")]
    pub bundle: Option<PathBuf>,
    /// Use this way of seeing socket calls and no other
    #[arg(long, value_name = "WAY")]
    pub provider: Option<ProviderArg>,
    /// Kernel type information (raw BTF) instead of the kernel's own; `calibrate` uses none at all
    #[arg(long, value_name = "FILE")]
    pub btf: Option<PathBuf>,
}

/// A process id: above 0, and of the kernel's size.
fn parse_pid(text: &str) -> Result<u32, String> {
    match text.parse() {
        Ok(pid @ 1..=0x7fff_ffff) => Ok(pid),
        _ => Err("a process id is a number, as `ps aux` shows it; --comm and --exe take names".to_owned()),
    }
}

/// `30s`, `5m`, `1h`, `500ms`, or a number of seconds.
fn parse_duration(text: &str) -> Result<std::time::Duration, String> {
    let digits = text.trim_end_matches(|c: char| c.is_ascii_alphabetic());
    let unit = text.get(digits.len()..).unwrap_or_default();
    let factor = match unit {
        "ms" => 0.001,
        "" | "s" => 1.0,
        "m" | "min" => 60.0,
        "h" => 3600.0,
        _ => return Err(format!("`{unit}` is not a unit of time; use ms, s, m or h, as in 30s")),
    };
    let number: f64 = digits.parse().map_err(|_| "give a time such as 30s, 5m or 500ms".to_owned())?;
    let seconds = number * factor;
    if !seconds.is_finite() || seconds <= 0.0 || seconds > 1e9 {
        return Err("the time must be more than nothing and less than thirty years".to_owned());
    }
    Ok(std::time::Duration::from_secs_f64(seconds))
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use std::time::Duration;

    #[test]
    fn a_process_is_a_number() {
        assert_eq!(parse_pid("4242"), Ok(4242));
        for text in ["nginx", "0", "-1", "4294967295", "", "1.5"] {
            assert!(parse_pid(text).unwrap_err().contains("ps aux"), "{text}");
        }
    }

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn times_have_units() {
        assert_eq!(parse_duration("30s"), Ok(Duration::from_secs(30)));
        assert_eq!(parse_duration("1.5m"), Ok(Duration::from_secs(90)));
        assert_eq!(parse_duration("500ms"), Ok(Duration::from_millis(500)));
        assert_eq!(parse_duration("7"), Ok(Duration::from_secs(7)));
        for bad in ["", "s", "3x", "-1s", "0", "nan", "1e300h"] {
            assert!(parse_duration(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_bundle_has_a_name_of_its_own() {
        for (words, want) in [
            (&["tracer", "doctor", "--bundle"][..], Some("tracer-support.tar.gz")),
            (&["tracer", "doctor", "--bundle", "x.tar.gz", "--json"], Some("x.tar.gz")),
            (&["tracer", "doctor"], None),
        ] {
            let Command::Doctor(args) = Cli::parse_from(words).command else { panic!("not doctor") };
            assert_eq!(args.bundle, want.map(PathBuf::from));
        }
    }

    #[test]
    fn a_command_stands_after_two_dashes() {
        let cli = Cli::parse_from(["tracer", "record", "-d", "3s", "--", "./server", "--flag"]);
        let Command::Record(args) = cli.command else { panic!("not record") };
        assert_eq!(args.command, ["./server", "--flag"]);
    }
}
