//! The report as text, for somebody who is on call: what is the matter first, what to do beside it, the verdict last.

use std::fmt::Write as _;

use super::host::HostReport;
use super::report::{ProviderState, Report};

/// The whole report.
pub fn render(report: &Report) -> String {
    let mut text = Text(String::new());
    text.host(report);
    text.problems(report);
    text.probes(report);
    text.offsets(report);
    text.end(report);
    text.0
}

struct Text(String);

impl Text {
    fn title(&mut self, title: &str) {
        if !self.0.is_empty() {
            self.0.push('\n');
        }
        self.0.push_str(title);
        self.0.push('\n');
    }

    fn line(&mut self, name: &str, value: &str) {
        // Writing to a string does not fail.
        let _ = writeln!(self.0, "  {name:<22} {value}");
    }

    /// A fact, or why it is not known.
    fn fact<T>(
        &mut self,
        host: &HostReport,
        (label, name): (&str, &str),
        value: Option<&T>,
        show: impl FnOnce(&T) -> String,
    ) {
        let shown = value.map_or_else(|| format!("unknown ({})", host.why_unknown(name)), show);
        self.line(label, &shown);
    }

    fn host(&mut self, report: &Report) {
        let host = &report.host;
        self.title("host");
        self.line("tracer", &format!("{} for {}", report.tracer.version, report.tracer.arch));
        self.fact(host, ("kernel", "kernel"), host.kernel.as_ref(), Clone::clone);
        self.fact(host, ("architecture", "architecture"), host.architecture.as_ref(), Clone::clone);
        self.fact(host, ("type information (BTF)", "btf"), host.btf.as_ref(), |btf| match host.btf_bytes {
            Some(bytes) => format!("{btf}, {} KiB", bytes / 1024),
            None => (*btf).to_owned(),
        });
        self.fact(host, ("lockdown", "lockdown"), host.lockdown.as_ref(), |level| match *level {
            "integrity" => "integrity (probes may read)".to_owned(),
            "confidentiality" => "confidentiality (nothing may be read)".to_owned(),
            other => other.to_owned(),
        });
        self.fact(host, ("user id", "uid"), host.uid.as_ref(), u32::to_string);
        self.fact(host, ("capabilities", "capabilities"), host.capabilities_missing.as_ref(), |missing| {
            if missing.is_empty() {
                "all that matter".to_owned()
            } else {
                format!("missing {}", missing.join(", "))
            }
        });
        self.fact(host, ("BPF compiler", "bpf_jit"), host.bpf_jit.as_ref(), |jit| {
            if *jit == 0 { "off: probes are interpreted" } else { "on" }.to_owned()
        });
        self.fact(host, ("process ids", "initial_pid_ns"), host.initial_pid_ns.as_ref(), |initial| {
            if *initial { "the host's own" } else { "of a container: the kernel reports others" }.to_owned()
        });
        self.fact(host, ("others' processes", "hidepid"), host.hidepid.as_ref(), |hidden| {
            if *hidden { "hidden in /proc (hidepid)" } else { "listed in /proc" }.to_owned()
        });
        self.fact(host, ("control groups", "cgroups"), host.cgroups.as_ref(), |version| match *version {
            "v1" => "version 1".to_owned(),
            "v2" => "version 2".to_owned(),
            _ => "both versions".to_owned(),
        });
        self.fact(host, ("processors", "cpus_online"), host.cpus_online.as_ref(), u32::to_string);
    }

    fn problems(&mut self, report: &Report) {
        self.title("problems");
        if report.problems.is_empty() {
            self.0.push_str("  none found by looking\n");
        }
        for problem in &report.problems {
            let mark = if problem.severity == "blocks" { "BLOCKS" } else { "limits" };
            let _ = writeln!(self.0, "  {mark}  {}: {}", problem.what, problem.remedy);
        }
    }

    fn probes(&mut self, report: &Report) {
        if report.problems.iter().any(|problem| problem.severity == "blocks") {
            return;
        }
        self.title("probes");
        for provider in &report.providers {
            let state = match (provider.state, &provider.reason) {
                (ProviderState::Used, _) => "used".to_owned(),
                (ProviderState::Refused, Some(reason)) => format!("refused: {reason}"),
                (ProviderState::Refused, None) => "refused".to_owned(),
                (ProviderState::NotTried, _) => "not tried".to_owned(),
            };
            self.line(&format!("by {}", provider.name), &state);
        }
        for program in &report.programs {
            let size = program
                .verified_instructions
                .map_or_else(|| "loaded".to_owned(), |n| format!("loaded, {n} instructions verified"));
            let at = program.attached_to.join(", ");
            let size = if at.is_empty() { size } else { format!("{size}; at {at}") };
            self.line(&program.name, &size);
        }
        for missing in &report.missing {
            self.line("missing", missing);
        }
    }

    fn offsets(&mut self, report: &Report) {
        if report.offsets.is_empty() {
            return;
        }
        self.title("offsets");
        for offset in &report.offsets {
            let at = offset.bytes.map_or_else(|| "absent".to_owned(), |bytes| bytes.to_string());
            let _ = writeln!(self.0, "  {:<28} {at:>5}  {}", offset.path, offset.source);
        }
    }

    fn end(&mut self, report: &Report) {
        match &report.self_check.error {
            _ if report.self_check.passed => {
                self.title("self-check: passed (TCP, TCP over IPv6 where there is one, unix sockets)");
            }
            // What blocked the trial was said above.
            Some(_) if report.problems.iter().any(|problem| problem.severity == "blocks") => {}
            Some(error) => self.title(error),
            None => {}
        }
        if let Some(ms) = report.detach_ms {
            let _ = writeln!(self.0, "detached in {ms:.1} ms");
        }
        let _ = writeln!(self.0, "\nverdict: {}", report.verdict);
    }
}
