//! What stands out, said in sentences that are no stronger than the numbers.

use crate::breakdown::Kind;
use crate::breakdown::findings::{Call, Findings, Unexplained};
use crate::text::{Duration, count};

/// At most so many of each sort.
const OF_EACH: usize = 4;
/// Times are told from this share of all on: hundredths.
const LEAST: u64 = 5;

/// One finding.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Finding {
    /// `error`, `repeated`, `downstream` or `own`.
    pub kind: &'static str,
    /// A sentence without its end.
    pub title: String,
    /// What it rests on.
    pub detail: String,
    /// The trace that shows it best, by its number.
    pub trace: usize,
    /// The operation that it is about.
    pub service: String,
    pub operation: String,
    /// Whether that is a call, or what was asked for.
    pub is_call: bool,
}

/// The worst of each sort.
pub(super) fn worst(all: Findings) -> Vec<Finding> {
    let mut found = Vec::new();
    for one in all.failing.iter().take(OF_EACH) {
        let (verb, is_call) = match one.kind {
            Kind::Client => ("calls", true),
            Kind::Server | Kind::Other => ("requests", false),
        };
        let to = one.callee.as_ref().map(|callee| format!(" to {callee}")).unwrap_or_default();
        let by = if is_call { format!("by {}{to}", one.service) } else { format!("at {}", one.service) };
        found.push(Finding {
            kind: "error",
            title: format!(
                "{} {by} failed: {} of {} {verb} ({})",
                one.operation,
                count(one.failed),
                count(one.count),
                percent(one.failed, one.count)
            ),
            detail: String::new(),
            trace: one.trace,
            service: one.service.clone(),
            operation: one.operation.clone(),
            is_call,
        });
    }
    for one in all.repeated.iter().take(OF_EACH) {
        found.push(Finding {
            kind: "repeated",
            title: format!(
                "{} makes the same call over and over: {}, up to {} times in one request",
                one.request,
                call(&one.call),
                count(one.most)
            ),
            detail: format!(
                "{} such {} made {} of these calls, which took {:#} together (calls at the same time count each)",
                count(one.requests),
                if one.requests == 1 { "request" } else { "requests" },
                count(one.calls),
                Duration(one.time)
            ),
            trace: one.trace,
            service: one.call.caller.clone(),
            operation: one.call.operation.clone(),
            is_call: true,
        });
    }
    let is_much = |time: u64| u128::from(time) * 100 >= u128::from(all.time) * u128::from(LEAST);
    for one in all.downstream.iter().filter(|one| is_much(one.time)).take(OF_EACH) {
        let between = match one.between {
            between if is_part(between, one.time) => {
                format!(
                    "; {:#} of that lie between the two ends (network, and waiting to be read)",
                    Duration(between)
                )
            }
            _ => String::new(),
        };
        found.push(Finding {
            kind: "downstream",
            title: format!(
                "{} of all end-to-end time was spent on {}",
                percent(one.time, all.time),
                call(&one.call)
            ),
            detail: format!(
                "{:#} on the critical paths of {}, at most {:#} in one{between}",
                Duration(one.time),
                traces_of(one.traces),
                Duration(one.longest)
            ),
            trace: one.trace,
            service: one.call.caller.clone(),
            operation: one.call.operation.clone(),
            is_call: true,
        });
    }
    let told: Vec<&Call> =
        all.downstream.iter().filter(|one| is_much(one.time)).take(OF_EACH).map(|one| &one.call).collect();
    // Said already, as the caller's.
    let is_told = |one: &Unexplained| {
        told.iter().any(|call| {
            (call.callee.as_deref(), &call.operation) == (Some(one.service.as_str()), &one.operation)
        })
    };
    let much = all.unexplained.iter().filter(|one| is_much(one.time));
    for one in much.filter(|one| !is_told(one)).take(OF_EACH) {
        found.push(Finding {
            kind: "own",
            title: format!(
                "{} of all end-to-end time lies within {} at {}, and no call explains it",
                percent(one.time, all.time),
                one.operation,
                one.service
            ),
            detail: format!(
                "{:#} on {} critical paths, at most {:#} in one: computing, waiting for a lock or a processor, or a call that could \
                 not be read or linked",
                Duration(one.time),
                count(one.spans),
                Duration(one.longest)
            ),
            trace: one.trace,
            service: one.service.clone(),
            operation: one.operation.clone(),
            is_call: false,
        });
    }
    found
}

/// The traces that they name, each once.
pub(super) fn traces(findings: &[Finding]) -> Vec<usize> {
    let mut traces: Vec<usize> = findings.iter().map(|one| one.trace).collect();
    traces.sort_unstable();
    traces.dedup();
    traces
}

fn call(call: &Call) -> String {
    let callee = call.callee.as_ref().map(|callee| format!(" of {callee}")).unwrap_or_default();
    format!("{}{callee}, called by {}", call.operation, call.caller)
}

fn traces_of(number: u64) -> String {
    format!("{} {}", count(number), if number == 1 { "trace" } else { "traces" })
}

/// A twentieth or more.
fn is_part(part: u64, whole: u64) -> bool {
    part > 0 && u128::from(part) * 20 >= u128::from(whole)
}

/// Whole per cents, cut off; of what is less than one, `<1 %`.
fn percent(part: u64, whole: u64) -> String {
    match u128::from(part) * 100 / u128::from(whole).max(1) {
        0 if part > 0 => "less than 1 %".to_owned(),
        share => format!("{share} %"),
    }
}
