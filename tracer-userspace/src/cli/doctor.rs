//! `tracer doctor`: what this host allows, which hooks will be used, and what will be missing.

use std::fmt::Display;
use std::process::ExitCode;

use anyhow::Result;

use super::args::DoctorArgs;
use crate::capture::facts::{
    Btf, Capability, CgroupVersion, Fact, HostFacts, KernelVersion, Lockdown, Roots, Severity,
};
use crate::capture::load::{Options, Probes};
use crate::capture::offsets::KERNEL_BTF;
use crate::capture::selfcheck;

/// Prints what is known, then tries.
pub fn run(args: &DoctorArgs) -> Result<ExitCode> {
    let host = HostFacts::read(&Roots::default());
    print_host(&host);
    let problems = host.problems();
    println!("\nproblems");
    if problems.is_empty() {
        println!("  none found by looking");
    }
    for problem in &problems {
        let mark = if problem.severity == Severity::Blocks { "BLOCKS" } else { "limits" };
        println!("  {mark}  {problem}");
    }
    if problems.iter().any(|problem| problem.severity == Severity::Blocks) {
        println!("\nverdict: nothing can be traced as things stand");
        return Ok(ExitCode::FAILURE);
    }
    Ok(try_it(&host, args))
}

fn line(name: &str, value: impl Display) {
    println!("  {name:<22} {value}");
}

fn show<T>(fact: &Fact<T>, text: impl FnOnce(&T) -> String) -> String {
    match fact {
        Ok(value) => text(value),
        Err(unknown) => format!("unknown ({})", unknown.0),
    }
}

fn print_host(host: &HostFacts) {
    println!("host");
    line("kernel", show(&host.release, Clone::clone));
    line("architecture", show(&host.architecture, Clone::clone));
    line("BTF (type information)", show(&host.btf, describe_btf));
    line("lockdown", show(&host.lockdown, |lockdown| describe_lockdown(*lockdown).to_owned()));
    line("user id", show(&host.uid, u32::to_string));
    let capabilities = show(&host.capabilities, |have| {
        let missing: Vec<&str> =
            Capability::ALL.iter().filter(|one| !have.has(**one)).map(|one| one.name).collect();
        if missing.is_empty() {
            "all that matter".to_owned()
        } else {
            format!("missing {}", missing.join(", "))
        }
    });
    line("capabilities", capabilities);
    line(
        "BPF compiler",
        show(&host.bpf_jit, |jit| if *jit == 0 { "off: probes are interpreted" } else { "on" }.to_owned()),
    );
    line(
        "process ids",
        show(&host.initial_pid_ns, |initial| {
            if *initial { "the host's own" } else { "of a container: the kernel reports others" }.to_owned()
        }),
    );
    line(
        "control groups",
        show(&host.cgroups, |version| {
            match version {
                CgroupVersion::V1 => "version 1",
                CgroupVersion::V2 => "version 2",
                _ => "both versions",
            }
            .to_owned()
        }),
    );
    line("processors", show(&host.cpus_online, u32::to_string));
}

fn describe_btf(btf: &Btf) -> String {
    match btf {
        Btf::Readable { size } => format!("{} KiB at {KERNEL_BTF}", size / 1024),
        other => format!("{other:?}"),
    }
}

fn describe_lockdown(lockdown: Lockdown) -> &'static str {
    match lockdown {
        Lockdown::None => "none",
        Lockdown::Integrity => "integrity (probes may read)",
        Lockdown::Confidentiality => "confidentiality (nothing may be read)",
    }
}

/// Loads and attaches everything, checks it on connections of our own, and takes it out again.
fn try_it(host: &HostFacts, args: &DoctorArgs) -> ExitCode {
    let options = Options {
        btf: args.btf.clone(),
        ring_bytes: 1 << 20,
        pid_max: host.pid_max.as_ref().copied().unwrap_or(Options::default().pid_max),
        kernel: host.version.as_ref().map_or((0, 0), |KernelVersion(major, minor, _)| (*major, *minor)),
        ..Options::default()
    };
    println!("\nprobes");
    let mut probes = match Probes::attach(&options) {
        Ok(probes) => probes,
        Err(error) => {
            println!("  {error}");
            println!("\nverdict: nothing can be traced as things stand");
            return ExitCode::FAILURE;
        }
    };
    line("seen through", probes.provider.describe());
    for (name, instructions) in probes.programs() {
        let size = instructions
            .map_or_else(|| "loaded".to_owned(), |n| format!("loaded, {n} instructions verified"));
        line(name, size);
    }
    for missing in &probes.missing {
        line("missing", missing);
    }
    println!("\noffsets");
    for field in &probes.fields {
        let at = field.bytes.map_or_else(|| "-".to_owned(), |bytes| bytes.to_string());
        println!("  {:<28} {at:>5}  {field}", field.path);
    }
    let checked = selfcheck::run(&mut probes);
    let detach = probes.detach();
    match checked {
        Ok(()) => {
            println!("\nself-check: passed (TCP, TCP over IPv6 where there is one, unix sockets)");
            println!("detached in {:.1} ms", detach.as_secs_f64() * 1_000.0);
            println!("\nverdict: HTTP over TCP and unix sockets can be traced on this host");
            ExitCode::SUCCESS
        }
        Err(error) => {
            println!("\n{error}");
            println!("\nverdict: nothing can be traced as things stand");
            ExitCode::FAILURE
        }
    }
}
