//! One sentence on where the time of a trace went, from its numbers, and no stronger than what they rest on.

use std::fmt::{self, Write as _};

use super::Node;
use super::calls::Calls;
use super::doubt::Doubt;
use super::path::Walk;
use super::shares::{Key, Share, View};
use crate::text::{Duration, count, fit};

/// Which end of an exchange a span is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Kind {
    /// Who asked, or produced a message.
    Client,
    /// Who answered, or consumed a message.
    Server,
    /// Work within a process.
    Other,
}

/// A span with what a sentence needs to know of it.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Named<'a> {
    /// Whose child it is, and when. The parent is an index into the same slice.
    pub node: Node,
    /// Who worked (server) or asked (client).
    pub service: &'a str,
    /// What for, in a few words without values: `INSERT users`, `GET /users/*`.
    pub operation: &'a str,
    /// Of a client: whom it asked, as far as it knows; the name of a database, a host.
    pub peer: Option<&'a str>,
    /// Which end.
    pub kind: Kind,
    /// Its end was not seen: the duration is a lower bound.
    pub incomplete: bool,
    /// How sure the link to its parent is, 0 to 1; none if it is beyond doubt.
    pub confidence: Option<f32>,
    /// It failed.
    pub error: bool,
}

/// A share that is called the bottleneck is at least three tenths of the whole.
const LARGE: (u128, u128) = (3, 10);
/// A part of less than a twentieth is left out of a sentence.
const SMALL: u64 = 20;
/// Names in a sentence are cut to so many characters.
const NAME: usize = 60;
/// What may lie behind time that no call explains. Calls that could not be linked are seen, and stand in other traces.
const UNEXPLAINED: &str = "no call linked to it explains that: computing, waiting for a lock or a processor, or a call that could not be read or linked";
/// What may lie between the two ends of a call.
const ON_THE_WAY: &str = "network, and waiting to be read";

/// Where the time of a trace went, in one sentence without a full stop: that of its longest root, if it has several.
/// None for no spans.
pub fn statement(spans: &[Named]) -> Option<String> {
    let view = View::new(spans)?;
    let mut text = view.statement()?;
    let roots = view.tree.roots().count();
    if roots > 1 {
        // Writing into a string does not fail.
        let _ = write!(
            text,
            "; of {} parts of this trace that no link joins, this is the longest",
            count(roots as u64)
        );
    }
    Some(text)
}

impl View<'_> {
    /// Where the time of the span that is looked from went, in one sentence without a full stop. None if there is no such span.
    pub fn statement(&self) -> Option<String> {
        let root = self.span(self.root)?;
        let walk = self.tree.walk(self.root);
        let shares = self.shares_of(&walk);
        let sentence = Sentence { view: self, root, walk: &walk };
        let mut text = String::new();
        // Writing into a string does not fail.
        let _ = match shares.as_slice() {
            _ if self.tree.awaited(self.root).next().is_none() => sentence.alone(&mut text),
            [] => write!(text, "{} took no measurable time", name(root.operation)),
            [largest, ..] if sentence.is_large(largest) => sentence.bottleneck(largest, &mut text),
            [first, second, ..] => sentence.spread([first, second], &mut text),
            [only] => sentence.bottleneck(only, &mut text),
        };
        Some(text)
    }
}

/// What all sentences about one root need.
struct Sentence<'v, 'a> {
    view: &'v View<'a>,
    root: &'a Named<'a>,
    walk: &'v Walk,
}

impl<'a> Sentence<'_, 'a> {
    fn is_large(&self, share: &Share) -> bool {
        u128::from(share.total()) * LARGE.1 >= u128::from(self.view.total()) * LARGE.0
    }

    /// Nothing that it waited for was seen below.
    fn alone(&self, out: &mut String) -> fmt::Result {
        let Named { service, operation, peer, .. } = *self.root;
        write!(out, "{}", name(operation))?;
        if let (Some(peer), Kind::Client) = (peer, self.root.kind) {
            write!(out, " on {}", name(peer))?;
        }
        let at_least = if self.root.incomplete { "at least " } else { "" };
        write!(out, " took {at_least}{:#}", Duration(self.view.total()))?;
        match self.root.kind {
            Kind::Client => write!(out, " as {} saw it", name(service))?,
            Kind::Server | Kind::Other => write!(out, " in {}", name(service))?,
        }
        if self.root.error {
            out.push_str(" and failed");
        }
        let is_leaf = self.view.tree.children(self.view.root).is_empty();
        let awaited = if is_leaf { "" } else { "that it waited for " };
        write!(out, "; no call {awaited}was seen below it")
    }

    /// No share is large.
    fn spread(&self, two: [&Share<'a>; 2], out: &mut String) -> fmt::Result {
        let seen = if self.root.incomplete { "what was seen of " } else { "" };
        let at_least = if self.root.incomplete { "at least " } else { "" };
        let total = self.view.total();
        write!(
            out,
            "the time of {seen}{} ({at_least}{:#}) is spread: the largest shares are ",
            name(self.root.operation),
            Duration(total)
        )?;
        let doubts = two.map(|share| Doubt::of(self.view, self.walk, share));
        for (at, (share, doubt)) in two.iter().zip(&doubts).enumerate() {
            if at > 0 {
                out.push_str(" and ");
            }
            self.what(&share.key, out)?;
            write!(out, " ({}{})", doubt.bound(), percent(share.total(), total, doubt.is_upper_bound()))?;
        }
        let [first, second] = doubts;
        self.links(&first.and(second), out)
    }

    /// One share is large: it is the bottleneck.
    fn bottleneck(&self, share: &Share<'a>, out: &mut String) -> fmt::Result {
        let doubt = Doubt::of(self.view, self.walk, share);
        let total = self.view.total();
        write!(
            out,
            "{}{} of {}{} ({:#} of {}{:#}) ",
            doubt.bound(),
            percent(share.total(), total, doubt.is_upper_bound()),
            if self.root.incomplete { "what was seen of " } else { "" },
            name(self.root.operation),
            Duration(share.total()),
            if self.root.incomplete { "at least " } else { "" },
            Duration(total),
        )?;
        out.push_str(if matches!(share.key, Key::Between { .. }) { "lies " } else { "is " });
        self.what(&share.key, out)?;
        if let Key::Call { caller, callee, .. } = share.key {
            let by = if caller == self.root.service && callee.is_some() { None } else { Some(caller) };
            self.calls(share, by, out)?;
        }
        self.still_under_way(&doubt, share, out)?;
        self.links(&doubt, out)?;
        match share.key {
            Key::Itself { .. } => self.unexplained(share, out),
            Key::Between { .. } => write!(out, ": {ON_THE_WAY}"),
            Key::Call { callee, .. } => self.parts(share, callee, out),
        }
    }

    /// The thing that time was spent on.
    fn what(&self, key: &Key, out: &mut String) -> fmt::Result {
        match *key {
            Key::Itself { service, operation } => {
                if operation != self.root.operation {
                    write!(out, "{} ", name(operation))?;
                }
                write!(out, "in {} itself", name(service))
            }
            Key::Between { caller, callee } => write!(out, "between {} and {}", name(caller), name(callee)),
            Key::Call { operation, callee, .. } => {
                out.push_str(&name(operation));
                callee.map_or(Ok(()), |callee| write!(out, " on {}", name(callee)))
            }
        }
    }

    /// How many calls, by whom, and how they lay in time.
    fn calls(&self, share: &Share, by: Option<&str>, out: &mut String) -> fmt::Result {
        let calls = Calls::of(self.view, share.key);
        let on_path = share.spans.iter().filter(|span| self.view.is_call(**span)).count();
        match calls.count {
            1 => out.push_str(", one call"),
            many => write!(out, ", {} calls", count(many as u64))?,
        }
        if let Some(by) = by {
            write!(out, " by {}", name(by))?;
        }
        if calls.count > 1 {
            match calls.at_once {
                _ if calls.nested => out.push_str(", some within others"),
                0 | 1 => out.push_str(" one after another"),
                all if all == calls.count => out.push_str(" at the same time"),
                some => write!(out, ", up to {} at the same time", count(some as u64))?,
            }
            if on_path < calls.count {
                write!(out, ", {} of them on the critical path", count(on_path as u64))?;
            }
        }
        match calls.failed {
            0 => {}
            all if all == calls.count => {
                out.push_str(if all == 1 { ", which failed" } else { ", all of which failed" })
            }
            some => write!(out, ", of which {} failed", count(some as u64))?,
        }
        if self.calls_in_turn(share) {
            out.push_str(", without what it called in turn");
        }
        Ok(())
    }

    /// Whether something that these calls led to has a share of its own.
    fn calls_in_turn(&self, share: &Share) -> bool {
        let key_of_caller = |span: usize| self.view.caller(span).and_then(|caller| self.view.key(caller));
        let is_of_it = |key: Option<Key>| key == Some(share.key);
        let mut on_path = self.walk.visits.iter().map(|visit| visit.span);
        on_path.any(|span| is_of_it(key_of_caller(span)) && !is_of_it(self.view.key(span)))
    }

    /// Nobody can tell whether a call that outlived its caller was waited for.
    fn still_under_way(&self, doubt: &Doubt, share: &Share, out: &mut String) -> fmt::Result {
        let Some((call, caller)) = doubt.outlived else { return Ok(()) };
        let caller = self.view.span(caller).map_or("its caller", |caller| caller.service);
        let within = if share.spans.contains(&call) { "" } else { "within a call that was " };
        write!(out, ", {within}still under way when {} was done", name(caller))
    }

    /// What the sentence is worth, if links in it may be wrong.
    fn links(&self, doubt: &Doubt, out: &mut String) -> fmt::Result {
        let Some(lowest) = doubt.lowest else { return Ok(()) };
        // Cut off: what is not certain must not look so.
        let percent = (f64::from(lowest.clamp(0.0, 1.0)) * 100.0 + 1e-3).floor();
        match doubt.links.len() {
            0 | 1 => write!(out, ", if the link of {percent:.0} % is right"),
            many => write!(out, ", if {} links of {percent:.0} % or more are right", count(many as u64)),
        }
    }

    /// A span's own time.
    fn unexplained(&self, share: &Share, out: &mut String) -> fmt::Result {
        self.beside_calls(share, out)?;
        // Where calls were under way nearly all the time, they are what there is to say.
        if share.itself.saturating_sub(share.beside_calls) > share.itself / SMALL {
            write!(out, ": {UNEXPLAINED}")?;
        }
        Ok(())
    }

    fn beside_calls(&self, share: &Share, out: &mut String) -> fmt::Result {
        if share.beside_calls <= share.itself / SMALL {
            return Ok(());
        }
        write!(
            out,
            ", {:#} of it while calls were under way that had not ended when it went on",
            Duration(share.beside_calls)
        )
    }

    /// What calls consist of, where their other end was seen.
    fn parts(&self, share: &Share, callee: Option<&str>, out: &mut String) -> fmt::Result {
        let mut parts = [share.itself, share.between, share.unseen].map(|time| (time, String::new()));
        let [(_, itself), (_, between), (_, unseen)] = &mut parts;
        write!(itself, "in {} itself", name(callee.unwrap_or("the other end")))?;
        self.beside_calls(share, itself)?;
        if share.itself.saturating_sub(share.beside_calls) > share.itself / SMALL {
            write!(itself, " ({UNEXPLAINED})")?;
        }
        write!(between, "between the two ends ({ON_THE_WAY})")?;
        write!(unseen, "in calls of which the other end was not seen")?;
        if share.itself == 0 && share.between == 0 {
            return Ok(());
        }
        parts.sort_by(|(a, _), (b, _)| b.cmp(a));
        let large = |(time, _): &&(u64, String)| *time > share.total() / SMALL;
        for (at, (time, what)) in parts.iter().filter(large).enumerate() {
            out.push_str(if at == 0 { ": " } else { ", " });
            if *time == share.total() {
                write!(out, "all of it {what}")?;
            } else {
                write!(out, "{:#} {what}", Duration(*time))?;
            }
        }
        Ok(())
    }
}

/// A name, of bearable length and safe to print.
fn name(text: &str) -> String {
    fit(text, NAME, '…')
}

/// A share in whole percents. What is not certain must not look so: cut off, or if it is an upper bound rounded up.
fn percent(part: u64, whole: u64, is_upper_bound: bool) -> String {
    let (part, whole) = (u128::from(part) * 100, u128::from(whole.max(1)));
    match if is_upper_bound { part.div_ceil(whole) } else { part / whole } {
        0 => "less than 1 %".to_owned(),
        percent => format!("{percent} %"),
    }
}
