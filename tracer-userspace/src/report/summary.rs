//! What a run found, and what it did not: printed at the end of every run.

use std::fmt::{self, Write as _};

use serde::{Deserialize, Serialize};

use super::account::Account;
use super::latency::Tally;
use crate::text::{Duration, columns, count, fit, padded};
use crate::trace::Stats;

/// Connections of which the bytes were seen and not understood.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotUnderstood {
    /// Who talks to whom, as a person would say it: `user-service to 127.0.0.1:5432`.
    pub who: String,
    /// Why: `encrypted (TLS)`, `protocol not known`, `joined in the middle`.
    pub why: String,
    /// How many connections.
    pub connections: u64,
    /// Bytes in both directions.
    pub bytes: u64,
}

/// Something that was lost.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// What, and why: `records: the ring buffer was full`.
    pub what: String,
    /// How many.
    pub count: u64,
    /// What to do about it, if anything.
    pub advice: Option<String>,
}

/// Everything the summary tells.
#[derive(Clone, Debug, Default)]
pub struct Summary {
    /// What the recording counted.
    pub account: Account,
    /// Requests by service, if they were analysed.
    pub services: Option<Tally>,
    /// Counters of the engine.
    pub stats: Stats,
}

/// Lists longer than this are cut, and say so.
const MAX_LINES: usize = 12;
/// Widest name of a service.
const NAME: usize = 32;

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let observed = Duration(self.account.observed_ms.saturating_mul(1_000_000));
        match &self.services {
            None => {
                writeln!(f, "{} requests captured, observed for {observed}", count(self.account.requests))?
            }
            Some(services) => {
                let stats = &self.stats;
                let (spans, traces) = (count(stats.spans), count(stats.traces));
                writeln!(f, "{spans} spans in {traces} traces, observed for {observed}")?;
                self.services(services, f)?;
                self.links(f)?;
            }
        }
        write!(f, "{}", self.account)?;
        self.not_understood(f)?;
        self.losses(f)
    }
}

impl Summary {
    fn services(&self, tally: &Tally, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut services: Vec<_> = tally.services().collect();
        if services.is_empty() {
            return writeln!(f, "\nno request was answered by an observed process");
        }
        services
            .sort_by(|(a, one), (b, other)| other.counts.requests.cmp(&one.counts.requests).then(a.cmp(b)));
        let longest = services.iter().map(|(name, _)| columns(name)).max().unwrap_or(0);
        let width = longest.clamp(7, NAME);
        writeln!(
            f,
            "\n  {:width$}{:>12}{:>9}{:>9}{:>9}{:>9}{:>9}",
            "service", "requests", "errors", "p50", "p95", "p99", "max"
        )?;
        for (name, tally) in services.iter().take(MAX_LINES * 3) {
            let name = fit(name, width, '…');
            write!(f, "  {}", padded(&name, width))?;
            write!(f, "{:>12}{:>9}", count(tally.counts.requests), count(tally.counts.errors))?;
            if tally.latency.count() == 0 {
                write!(f, "{:>9}{:>9}{:>9}{:>9}", "-", "-", "-", "-")?;
            } else {
                for percent in [50, 95, 99] {
                    write!(f, "{:>9}", Duration(tally.latency.quantile(percent)))?;
                }
                write!(f, "{:>9}", Duration(tally.latency.max()))?;
            }
            if tally.counts.incomplete > 0 {
                write!(f, "  {} not seen to the end", count(tally.counts.incomplete))?;
            }
            writeln!(f)?;
        }
        more(f, services.len(), MAX_LINES * 3, "services")
    }

    fn links(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let stats = &self.stats;
        if stats.clients > 0 {
            writeln!(
                f,
                "\ncalls: {} in all, {} to services observed here; {} linked to the request that made them",
                count(stats.clients),
                count(stats.joined),
                count(stats.linked)
            )?;
        }
        if stats.ownerless > 0 {
            writeln!(
                f,
                "  {} made while their thread had no request open: traces of their own",
                count(stats.ownerless)
            )?;
        }
        if stats.undecided > 0 {
            writeln!(
                f,
                "  {} not linked, because several requests or none could have made them (tracer.link.reason says which)",
                count(stats.undecided)
            )?;
        }
        if stats.join_ambiguous > 0 {
            writeln!(
                f,
                "  {} requests not joined with their other end: more than one candidate",
                count(stats.join_ambiguous)
            )?;
        }
        Ok(())
    }

    fn not_understood(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.account.not_understood.is_empty() {
            return Ok(());
        }
        writeln!(f, "\nnot understood:")?;
        let mut lines: Vec<&NotUnderstood> = self.account.not_understood.iter().collect();
        lines.sort_by(|a, b| b.bytes.cmp(&a.bytes).then(a.who.cmp(&b.who)).then(a.why.cmp(&b.why)));
        for line in lines.iter().take(MAX_LINES) {
            let plural = if line.connections == 1 { "" } else { "s" };
            writeln!(
                f,
                "  {}: {} connection{plural}, {} bytes: {}",
                fit(&line.who, 80, '…'),
                count(line.connections),
                count(line.bytes),
                line.why
            )?;
        }
        more(f, lines.len(), MAX_LINES, "kinds")
    }

    fn losses(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut text = String::new();
        for lost in self.account.lost.iter().filter(|lost| lost.count > 0) {
            write!(text, "  {} {}", count(lost.count), lost.what)?;
            match &lost.advice {
                Some(advice) => writeln!(text, "; {advice}")?,
                None => writeln!(text)?,
            }
        }
        if self.stats.forced > 0 {
            writeln!(
                text,
                "  {} spans given out before they were decided: too many open at once",
                count(self.stats.forced)
            )?;
        }
        if self.stats.stray_steps > 0 {
            writeln!(text, "  {} parts of exchanges without their beginning", count(self.stats.stray_steps))?;
        }
        if text.is_empty() { writeln!(f, "\nlost: nothing") } else { write!(f, "\nlost:\n{text}") }
    }
}

fn more(f: &mut fmt::Formatter<'_>, all: usize, shown: usize, what: &str) -> fmt::Result {
    match all.checked_sub(shown).filter(|more| *more > 0) {
        Some(more) => writeln!(f, "  … and {} more {what}", count(more as u64)),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_empty_run_says_so() {
        let account = Account { observed_ms: 30_000, sums_close: true, ..Account::default() };
        let text = Summary { account, services: Some(Tally::default()), ..Summary::default() }.to_string();
        assert!(
            text.starts_with(
                "0 spans in 0 traces, observed for 30.0s\n\nno request was answered by an observed process\n\n\
                 accounted for:\n  0 connection ends: none\n  0 bytes: 0 bytes parsed\n  0 requests: none\n"
            ),
            "{text}"
        );
        assert!(text.ends_with("\nlost: nothing\n"), "{text}");
    }

    #[test]
    fn nothing_that_is_missing_is_silent() {
        let account = Account {
            sums_close: true,
            not_understood: vec![NotUnderstood {
                who: "user-service to 127.0.0.1:5432".into(),
                why: "protocol not known".into(),
                connections: 1,
                bytes: 1_234_567,
            }],
            lost: vec![
                Lost {
                    what: "records: ring full".into(),
                    count: 3,
                    advice: Some("use a larger --ring".into()),
                },
                Lost { what: "nothing".into(), count: 0, advice: None },
            ],
            ..Account::default()
        };
        let summary = Summary {
            stats: Stats {
                clients: 5,
                joined: 3,
                linked: 2,
                undecided: 2,
                ownerless: 1,
                forced: 7,
                ..Stats::default()
            },
            account,
            services: Some(Tally::default()),
        };
        let text = summary.to_string();
        for part in [
            "calls: 5 in all, 3 to services observed here; 2 linked",
            "  2 not linked",
            "  1 made while",
            "  user-service to 127.0.0.1:5432: 1 connection, 1 234 567 bytes: protocol not known\n",
            "lost:\n  3 records: ring full; use a larger --ring\n  7 spans given out",
        ] {
            assert!(text.contains(part), "{part}\n{text}");
        }
        assert!(!text.contains("nothing"));
    }
}
