//! What is run beside the victim: the tracer in its modes, and what a person would use instead.

use std::thread;
use std::time::Duration;

use anyhow::{Result, bail};
use tracer_tests::process::{Process, Spec};
use tracer_tests::scratch::Scratch;
use tracer_tests::tracer::Tracer;

/// One contender.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Contender {
    /// Nothing: what the noise alone does.
    Nothing,
    /// `tracer record --pid WORKER`.
    TracerPid,
    /// `tracer record --pid WORKER --evidence sockets`: what every call costs where it is not counted by turns of loops.
    TracerSockets,
    /// `tracer record`: every process of the host, the load generator too.
    TracerAll,
    /// `tracer record --pid WORKER --provider event`: what Linux 7.0 and later get.
    TracerEvent,
    /// `tracer record --pid WORKER --provider syscall`.
    TracerSyscall,
    /// `tcpdump -i lo -w /dev/null`.
    Tcpdump,
    /// `bpftrace` on the same two tracepoints, counting in the kernel.
    BpftraceCount,
    /// `bpftrace` on the same two tracepoints, a line per call.
    BpftraceLine,
    /// `strace -f -e trace=network,desc`.
    Strace,
}

impl Contender {
    /// All, in the order of the table.
    pub const ALL: &[Contender] = &[
        Contender::Nothing,
        Contender::TracerPid,
        Contender::TracerSockets,
        Contender::TracerAll,
        Contender::TracerEvent,
        Contender::TracerSyscall,
        Contender::Tcpdump,
        Contender::BpftraceCount,
        Contender::BpftraceLine,
        Contender::Strace,
    ];

    /// As in the table.
    pub fn name(self) -> &'static str {
        match self {
            Contender::Nothing => "nothing (noise)",
            Contender::TracerPid => "**tracer, nginx only**",
            Contender::TracerSockets => "tracer, nginx only, `--evidence sockets`",
            Contender::TracerAll => "**tracer, every process (load generator included)**",
            Contender::TracerEvent => "tracer, nginx only, `--provider event`",
            Contender::TracerSyscall => "tracer, nginx only, `--provider syscall`",
            Contender::Tcpdump => "tcpdump -i lo -w /dev/null",
            Contender::BpftraceCount => "bpftrace, the same tracepoints, counting",
            Contender::BpftraceLine => "bpftrace, the same tracepoints, a line per call",
            Contender::Strace => "strace -f -e trace=network,desc",
        }
    }
}

/// A contender that runs; ended by `stop` or by being dropped.
pub enum Running {
    /// Nothing to stop.
    Nothing,
    /// Ours.
    Tracer(Box<Tracer>),
    /// Somebody else's.
    Other(Process, #[expect(dead_code, reason = "its directory must outlive it")] Scratch),
}

/// How long a contender gets to attach.
const ATTACH: Duration = Duration::from_millis(1500);

/// Starts a contender against a process that serves a port.
pub fn start(contender: Contender, pid: u32, port: u16) -> Result<Running> {
    let pid = pid.to_string();
    let other = |spec: Spec| -> Result<Running> {
        let scratch = Scratch::new()?;
        let mut process = spec.start(scratch.path())?;
        thread::sleep(ATTACH);
        if let Some(status) = process.ended()? {
            bail!("{} does not run here ({status}): {}", contender.name(), process.output().trim());
        }
        Ok(Running::Other(process, scratch))
    };
    let tracer = |args: &[&str]| -> Result<Running> { Ok(Running::Tracer(Box::new(Tracer::record(args)?))) };
    match contender {
        Contender::Nothing => Ok(Running::Nothing),
        Contender::TracerPid => tracer(&["--pid", &pid]),
        Contender::TracerSockets => tracer(&["--pid", &pid, "--evidence", "sockets"]),
        Contender::TracerAll => tracer(&[]),
        Contender::TracerEvent => tracer(&["--pid", &pid, "--provider", "event"]),
        Contender::TracerSyscall => tracer(&["--pid", &pid, "--provider", "syscall"]),
        Contender::Tcpdump => {
            let filter = format!("port {port}");
            other(Spec::new("tcpdump")?.args(["-i", "lo", "-n", "-w", "/dev/null", &filter]))
        }
        Contender::BpftraceCount => other(bpftrace(&pid, "@[tid] = sum(args->ret);")?),
        Contender::BpftraceLine => {
            other(bpftrace(&pid, "printf(\"%d %lx %d\\n\", tid, args->sk, args->ret);")?)
        }
        Contender::Strace => other(Spec::new("strace")?.args([
            "-f",
            "-e",
            "trace=network,desc",
            "-o",
            "/dev/null",
            "-p",
            &pid,
        ])),
    }
}

/// bpftrace needs tracefs, which is mounted for it alone where the host has none.
fn bpftrace(pid: &str, action: &str) -> Result<Spec> {
    let hook = |name: &str| format!("tracepoint:sock:{name} /pid == {pid}/ {{ {action} }}");
    let program = format!("{} {}", hook("sock_send_length"), hook("sock_recv_length"));
    let script = "mount -t tracefs tracefs /sys/kernel/tracing && exec bpftrace -o /dev/null -e \"$0\"";
    Ok(Spec::new("unshare")?.args(["--mount", "--", "sh", "-c", script, &program]).stop_with(libc::SIGINT))
}

impl Running {
    /// Stops it and says how many of the events it lost, where it is ours, and how many spans it wrote.
    pub fn stop(self) -> Result<Option<(u64, u64)>> {
        match self {
            Running::Nothing => Ok(None),
            Running::Tracer(tracer) => {
                let recording = tracer.stop_unread(libc::SIGINT)?;
                Ok(Some((recording.count("events_lost")?, recording.count("spans")?)))
            }
            Running::Other(mut process, _) => {
                process.stop();
                Ok(None)
            }
        }
    }
}
