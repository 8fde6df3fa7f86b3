//! What stands out over many traces, as numbers: what is asked over and over, what fails, what the time goes to, and what no
//! call explains. How it is said is for the reports.

use std::cmp::Reverse;

use rustc_hash::FxHashMap;

use super::shares::{Key, View};
use super::statement::{Kind, Named};
use super::tree::length;
use crate::trace::MANY_REPEATS;

/// A kind of call.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Call {
    /// Who called.
    pub caller: String,
    /// What for, in the caller's words.
    pub operation: String,
    /// Who was called: the service that answered, or what the caller knows of it.
    pub callee: Option<String>,
}

/// Requests that made the same call over and over (five times or more, each of them).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Repeated {
    /// What the requests asked for of the caller.
    pub request: String,
    /// The call.
    pub call: Call,
    /// How many requests did.
    pub requests: u64,
    /// How often they did, all of them.
    pub calls: u64,
    /// How often the one did that did most often.
    pub most: u64,
    /// The durations of these calls together, nanoseconds. Calls at the same time count each.
    pub time: u64,
    /// The trace in which it was most often, by its number.
    pub trace: usize,
}

/// An operation that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Failing {
    /// Who answered; of a call of which the other end was not seen, who called.
    pub service: String,
    /// What was asked for.
    pub operation: String,
    /// Of a call of which the other end was not seen, whom it went to.
    pub callee: Option<String>,
    /// Whether `service` answered or called.
    pub kind: Kind,
    /// How often it failed.
    pub failed: u64,
    /// How often it was asked for.
    pub count: u64,
    /// The first trace in which it failed, by its number.
    pub trace: usize,
}

/// Calls that end-to-end time went to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Downstream {
    /// The calls.
    pub call: Call,
    /// Time on the critical paths, without the calls that were made in turn: nanoseconds.
    pub time: u64,
    /// Of it the nanoseconds between the two ends, where both were seen.
    pub between: u64,
    /// Traces with such a call on the critical path.
    pub traces: u64,
    /// The trace in which that took longest, by its number.
    pub trace: usize,
    /// How long it took there, nanoseconds.
    pub longest: u64,
}

/// Time on the critical paths that no call explains.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unexplained {
    /// In whom.
    pub service: String,
    /// While doing what.
    pub operation: String,
    /// Nanoseconds.
    pub time: u64,
    /// Spans of this operation that are on a critical path.
    pub spans: u64,
    /// The trace of the span in which that was longest, by its number.
    pub trace: usize,
    /// How long it took there, nanoseconds.
    pub longest: u64,
}

/// What stands out, in each list the worst first.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Findings {
    /// Traces that were looked at.
    pub traces: u64,
    /// The durations of their roots, and of what nobody waited for, together, nanoseconds: what the times below are shares
    /// of.
    pub time: u64,
    /// By the time of all the calls.
    pub repeated: Vec<Repeated>,
    /// By how often it failed.
    pub failing: Vec<Failing>,
    /// By time.
    pub downstream: Vec<Downstream>,
    /// By time.
    pub unexplained: Vec<Unexplained>,
}

/// A name, as a number.
type Name = u32;
/// Caller, operation, callee.
type CallName = (Name, Name, Option<Name>);

#[derive(Debug, Default)]
struct Names {
    numbers: FxHashMap<Box<str>, Name>,
    texts: Vec<Box<str>>,
}

impl Names {
    fn number(&mut self, text: &str) -> Name {
        if let Some(number) = self.numbers.get(text) {
            return *number;
        }
        // No memory holds so many names that the number does not fit.
        let number = self.texts.len() as Name;
        self.texts.push(text.into());
        self.numbers.insert(text.into(), number);
        number
    }

    fn text(&self, number: Name) -> String {
        self.texts.get(number as usize).map(|text| text.to_string()).unwrap_or_default()
    }

    fn call(&mut self, key: Key) -> Option<CallName> {
        let Key::Call { caller, operation, callee } = key else { return None };
        Some((self.number(caller), self.number(operation), callee.map(|callee| self.number(callee))))
    }

    fn call_text(&self, (caller, operation, callee): CallName) -> Call {
        Call {
            caller: self.text(caller),
            operation: self.text(operation),
            callee: callee.map(|callee| self.text(callee)),
        }
    }
}

/// Counts and times of one thing, with the trace in which it was largest.
#[derive(Clone, Copy, Debug, Default)]
struct Tally {
    /// Traces, spans or requests.
    count: u64,
    calls: u64,
    failed: u64,
    time: u64,
    between: u64,
    largest: u64,
    trace: usize,
}

impl Tally {
    /// The first of equally large ones stays.
    fn compare(&mut self, size: u64, trace: usize) {
        if self.count == 0 || size > self.largest {
            (self.largest, self.trace) = (size, trace);
        }
    }
}

/// Collects findings, trace by trace. It keeps no spans: its memory grows with the number of operations.
#[derive(Debug, Default)]
pub struct Collector {
    names: Names,
    traces: u64,
    time: u64,
    repeated: FxHashMap<(Name, CallName), Tally>,
    operations: FxHashMap<(Kind, CallName), Tally>,
    downstream: FxHashMap<CallName, Tally>,
    unexplained: FxHashMap<(Name, Name), Tally>,
}

impl Collector {
    /// Looks at a trace. `trace` is its number, which findings name it by.
    pub fn add(&mut self, trace: usize, spans: &[Named]) {
        let Some(mut view) = View::new(spans) else { return };
        self.traces += 1;
        self.repeats(trace, &view);
        self.failures(trace, &view);
        for root in view.tree().beginnings().collect::<Vec<_>>() {
            view.look_from(root);
            self.path(trace, &view);
        }
    }

    fn repeats(&mut self, trace: usize, view: &View) {
        let mut calls: FxHashMap<(usize, Key), Tally> = FxHashMap::default();
        for (at, node) in view.tree().nodes().iter().enumerate() {
            let Some(key) = view.key(at).filter(|_| view.is_call(at)) else { continue };
            let Some(parent) = view.caller(at) else { continue };
            let tally = calls.entry((parent, key)).or_default();
            tally.calls += 1;
            tally.time = tally.time.saturating_add(length(node));
        }
        for ((parent, key), of_one) in calls {
            if of_one.calls < u64::from(MANY_REPEATS) {
                continue;
            }
            let (Some(request), Some(call)) = (view.span(parent), self.names.call(key)) else { continue };
            let request = self.names.number(request.operation);
            let tally = self.repeated.entry((request, call)).or_default();
            tally.compare(of_one.calls, trace);
            tally.count += 1;
            tally.calls += of_one.calls;
            tally.time = tally.time.saturating_add(of_one.time);
        }
    }

    /// Each exchange once: by who answered it, or else by who asked.
    fn failures(&mut self, trace: usize, view: &View) {
        for (at, span) in view.spans.iter().enumerate() {
            let callee = match span.kind {
                Kind::Client if view.answer(at).is_some() => continue,
                Kind::Client => span.peer,
                Kind::Server | Kind::Other => None,
            };
            let name = (
                self.names.number(span.service),
                self.names.number(span.operation),
                callee.map(|callee| self.names.number(callee)),
            );
            let tally = self.operations.entry((span.kind, name)).or_default();
            tally.count += 1;
            if span.error {
                tally.trace = if tally.failed == 0 { trace } else { tally.trace };
                tally.failed += 1;
            }
        }
    }

    fn path(&mut self, trace: usize, view: &View) {
        self.time = self.time.saturating_add(view.total());
        let walk = view.tree().walk(view.root);
        for share in view.shares_of(&walk) {
            let Some(call) = self.names.call(share.key) else { continue };
            let tally = self.downstream.entry(call).or_default();
            tally.compare(share.total(), trace);
            tally.count += 1;
            tally.time = tally.time.saturating_add(share.total());
            tally.between = tally.between.saturating_add(share.between);
        }
        for visit in &walk.visits {
            let Some(span) = view.span(visit.span).filter(|span| span.kind != Kind::Client) else { continue };
            let covered = view.tree().covered(visit.span, visit.from, visit.to);
            let bare = visit.to.abs_diff(visit.from).saturating_sub(covered);
            let name = (self.names.number(span.service), self.names.number(span.operation));
            let tally = self.unexplained.entry(name).or_default();
            tally.compare(bare, trace);
            tally.count += 1;
            tally.time = tally.time.saturating_add(bare);
        }
    }

    /// What was found.
    pub fn finish(self) -> Findings {
        let names = &self.names;
        let text = |name: Name| names.text(name);
        Findings {
            traces: self.traces,
            time: self.time,
            repeated: sorted(
                self.repeated.into_iter().map(|((request, call), tally)| Repeated {
                    request: text(request),
                    call: names.call_text(call),
                    requests: tally.count,
                    calls: tally.calls,
                    most: tally.largest,
                    time: tally.time,
                    trace: tally.trace,
                }),
                |one| (Reverse(one.time), one.request.clone(), one.call.clone()),
            ),
            failing: sorted(
                self.operations.into_iter().filter(|(_, tally)| tally.failed > 0).map(
                    |((kind, name), tally)| {
                        let Call { caller, operation, callee } = names.call_text(name);
                        let Tally { failed, count, trace, .. } = tally;
                        Failing { service: caller, operation, callee, kind, failed, count, trace }
                    },
                ),
                |one| {
                    let is_client = one.kind == Kind::Client;
                    let name = (one.service.clone(), one.operation.clone(), one.callee.clone());
                    (Reverse(one.failed), one.count, name, is_client, one.kind == Kind::Other)
                },
            ),
            downstream: sorted(
                self.downstream.into_iter().map(|(call, tally)| Downstream {
                    call: names.call_text(call),
                    time: tally.time,
                    between: tally.between,
                    traces: tally.count,
                    trace: tally.trace,
                    longest: tally.largest,
                }),
                |one| (Reverse(one.time), one.call.clone()),
            ),
            unexplained: sorted(
                self.unexplained.into_iter().filter(|(_, tally)| tally.time > 0).map(
                    |((service, operation), tally)| Unexplained {
                        service: text(service),
                        operation: text(operation),
                        time: tally.time,
                        spans: tally.count,
                        trace: tally.trace,
                        longest: tally.largest,
                    },
                ),
                |one| (Reverse(one.time), one.service.clone(), one.operation.clone()),
            ),
        }
    }
}

/// In an order that does not depend on that of a hash table.
fn sorted<T, K: Ord>(all: impl Iterator<Item = T>, key: impl Fn(&T) -> K) -> Vec<T> {
    let mut all: Vec<T> = all.collect();
    all.sort_by_cached_key(key);
    all
}
