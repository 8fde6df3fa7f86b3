//! From the host to the report: the facts, what they mean, and a trial of the probes unless something blocks it.

use super::host::HostReport;
use super::report::{ProblemReport, Report, SelfCheckReport, TracerReport};
use super::trial::{self, Trial};
use crate::capture::facts::{HostFacts, Problem, Roots, Severity};
use crate::cli::args::DoctorArgs;

/// Looks, and tries unless looking was enough.
pub fn examine(args: &DoctorArgs) -> Report {
    let facts = HostFacts::read(&Roots::default());
    let problems = facts.problems();
    let blocked = problems.iter().find(|problem| problem.severity == Severity::Blocks);
    let trial = match blocked {
        Some(problem) => Trial::not_made(&problem.what),
        None => trial::make(&facts, args),
    };
    report(HostReport::new(&facts), &problems, trial)
}

fn report(host: HostReport, problems: &[Problem], trial: Trial) -> Report {
    let can_trace = trial.self_check.is_ok();
    Report {
        tracer: TracerReport::THIS,
        host,
        problems: problems.iter().map(problem_report).collect(),
        provider: trial.provider,
        providers: trial.providers,
        programs: trial.programs,
        missing: trial.missing,
        offsets: trial.offsets,
        self_check: SelfCheckReport { passed: can_trace, error: trial.self_check.err() },
        detach_ms: trial.detach.map(|time| time.as_secs_f64() * 1_000.0),
        verdict: verdict(can_trace).to_owned(),
        can_trace,
    }
}

fn problem_report(problem: &Problem) -> ProblemReport {
    ProblemReport {
        severity: match problem.severity {
            Severity::Blocks => "blocks",
            Severity::Limits => "limits",
        },
        what: problem.what.clone(),
        remedy: problem.remedy.clone(),
    }
}

fn verdict(can_trace: bool) -> &'static str {
    if can_trace {
        "services that talk over TCP and unix sockets can be traced on this host"
    } else {
        "nothing can be traced as things stand"
    }
}
