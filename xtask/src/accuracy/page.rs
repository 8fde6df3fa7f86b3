//! docs/accuracy.md: the tables of a run between the page's own words.

use std::fmt::Write;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result};
use tracer_tests::accuracy::cell::Cell;
use tracer_tests::accuracy::judge::Verdict;
use tracer_tests::accuracy::load::Load;
use tracer_tests::accuracy::score::{BINS, LEVELS, Share};
use tracer_tests::accuracy::service;
use tracer_tests::accuracy::shape::Shape;

use super::table::percent;
use crate::run;

/// What stands around the tables, in the page.
const BEGIN: &str = "<!-- written by cargo xtask accuracy --write: begin -->";
const END: &str = "<!-- end -->";

/// The result of a run.
pub struct Page {
    scored: Vec<(Cell, Verdict)>,
    missed: Vec<(Cell, String)>,
}

impl Page {
    /// Of nothing yet.
    pub fn new() -> Self {
        Self { scored: Vec::new(), missed: Vec::new() }
    }

    /// A cell that was scored.
    pub fn add(&mut self, cell: Cell, verdict: Verdict) {
        self.scored.push((cell, verdict));
    }

    /// A cell that was not.
    pub fn miss(&mut self, cell: Cell, why: &str) {
        self.missed.push((cell, why.to_owned()));
    }

    /// Puts the tables into the page.
    pub fn write(&self) -> Result<()> {
        let path = run::workspace().join("docs/accuracy.md");
        let page = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
        let (before, rest) =
            page.split_once(BEGIN).context("docs/accuracy.md has no place for the tables")?;
        let (_, after) = rest.split_once(END).context("docs/accuracy.md has no end of the tables")?;
        let text = format!("{before}{BEGIN}\n\n{}\n{END}{after}", self.markdown()?);
        fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
    }

    fn markdown(&self) -> Result<String> {
        let mut text = format!("Commit `{}`, command `{}`.\n", commit()?, command());
        self.by_load(&mut text)?;
        self.by_shape(&mut text)?;
        self.in_detail(&mut text)?;
        self.reliability(&mut text)?;
        self.not_measured(&mut text)?;
        Ok(text)
    }

    fn find(&self, service: &str, shape: Shape, load: Load) -> Option<&Verdict> {
        let fits = |(cell, _): &&(Cell, Verdict)| {
            cell.service.name == service && cell.shape == shape && cell.load == load
        };
        self.scored.iter().find(fits).map(|(_, verdict)| verdict)
    }

    fn by_load(&self, text: &mut String) -> Result<()> {
        write!(text, "\n### Two calls in sequence: right / wrong, % of all links\n\n| service |")?;
        for load in Load::ALL {
            match load {
                Load::Closed(open) => write!(text, " {open} in flight |")?,
                Load::Poisson => write!(text, " Poisson |")?,
            }
        }
        writeln!(text, "\n|---|{}", "---|".repeat(Load::ALL.len()))?;
        for service in service::ALL {
            write!(text, "| {} |", service.what)?;
            for load in Load::ALL {
                write!(text, " {} |", both(self.find(service.name, Shape::Sequential, load)))?;
            }
            writeln!(text)?;
        }
        Ok(())
    }

    fn by_shape(&self, text: &mut String) -> Result<()> {
        let open = Load::Closed(32);
        write!(
            text,
            "\n### Every shape, 32 requests in flight: right / wrong, % of all links\n\n| service |"
        )?;
        for shape in Shape::ALL {
            write!(text, " {} |", shape.name())?;
        }
        writeln!(text, "\n|---|{}", "---|".repeat(Shape::ALL.len()))?;
        for service in service::ALL {
            write!(text, "| {} |", service.name)?;
            for shape in Shape::ALL {
                write!(text, " {} |", both(self.find(service.name, shape, open)))?;
            }
            writeln!(text)?;
        }
        Ok(())
    }

    fn in_detail(&self, text: &mut String) -> Result<()> {
        let [a, b, c] = LEVELS;
        writeln!(
            text,
            "\n### Every cell\n\n| cell | links | in flight | candidates | right | wrong | open | whole requests | of the \
             ambiguous | right at ≥ {a} | ≥ {b} | ≥ {c} | random | FIFO | latest | thread | lost | ms | audit \
             |\n|---|{}",
            "---:|".repeat(18)
        )?;
        for (_, verdict) in &self.scored {
            writeln!(text, "{}", row(verdict))?;
        }
        Ok(())
    }

    /// Over all cells of a service: where it says so much, how often is it right?
    fn reliability(&self, text: &mut String) -> Result<()> {
        write!(
            text,
            "\n### What a confidence is worth: % right (of how many links), all cells of a service\n\n| service |"
        )?;
        for (number, from) in BINS.iter().enumerate() {
            match BINS.get(number + 1) {
                Some(to) => write!(text, " {from}–{to} |")?,
                None => write!(text, " {from} |")?,
            }
        }
        writeln!(text, "\n|---|{}", "---:|".repeat(BINS.len()))?;
        for service in service::ALL {
            let mut sums = [Share::default(); BINS.len()];
            for (_, verdict) in self.scored.iter().filter(|(cell, _)| cell.service.name == service.name) {
                for (sum, share) in sums.iter_mut().zip(verdict.score.reliability) {
                    sum.add(share);
                }
            }
            let cells = sums.map(|share| match share.of {
                0 => String::new(),
                of => format!("{} ({of})", percent(share.percent())),
            });
            writeln!(text, "| {} | {} |", service.name, cells.join(" | "))?;
        }
        Ok(())
    }

    fn not_measured(&self, text: &mut String) -> Result<()> {
        if self.missed.is_empty() {
            return Ok(());
        }
        writeln!(text, "\n### Not measured\n")?;
        let mut reasons: Vec<(&str, &str, &str)> = Vec::new();
        for (cell, why) in &self.missed {
            let one = (cell.service.name, cell.shape.name(), why.as_str());
            // The same at every load.
            if !reasons.contains(&one) {
                reasons.push(one);
            }
        }
        for (service, shape, why) in reasons {
            writeln!(text, "* {service}, {shape}: {}", why.replace('\n', " "))?;
        }
        Ok(())
    }
}

fn both(verdict: Option<&Verdict>) -> String {
    verdict.map_or("–".to_owned(), |verdict| {
        let (right, wrong) = (verdict.score.right_percent(), verdict.score.wrong_percent());
        format!("{} / {}", percent(Some(right)), percent(Some(wrong)))
    })
}

fn row(verdict: &Verdict) -> String {
    let score = &verdict.score;
    let baselines = &verdict.baselines;
    let of_calls = |right: f64| percent(Some(right * 100.0 / score.calls.max(1) as f64));
    let number = |key: &str| verdict.circumstances.get(key).and_then(serde_json::Value::as_f64);
    let audit = match &verdict.audit {
        None => "not made".to_owned(),
        Some(none) if none.is_empty() => "same".to_owned(),
        Some(some) => format!("**{} differ**", some.len()),
    };
    let mut columns = vec![
        verdict.name.clone(),
        (score.calls + score.nobodys).to_string(),
        number("in_flight").map_or("?".to_owned(), |value| format!("{value:.1}")),
        format!("{:.1}", score.candidates),
        percent(Some(score.right_percent())),
        percent(Some(score.wrong_percent())),
        percent(Some(score.open_percent())),
        percent(score.whole.percent()),
        percent(score.ambiguous.percent()),
    ];
    columns.extend(score.levels.map(|share| percent(share.percent())));
    let rules = [baselines.random, baselines.fifo as f64, baselines.latest as f64, baselines.thread as f64];
    columns.extend(rules.map(of_calls));
    columns.push(number("events_lost").map_or("?".to_owned(), |value| value.to_string()));
    columns.push(verdict.took.as_millis().to_string());
    columns.push(audit);
    format!("| {} |", columns.join(" | "))
}

/// The commit that was measured, with a mark if the tree has other changes.
fn commit() -> Result<String> {
    let git = |arguments: &[&str]| -> Result<String> {
        let output = Command::new("git").args(arguments).current_dir(run::workspace()).output()?;
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
    };
    let changed = !git(&["status", "--porcelain", "--untracked-files=no"])?.is_empty();
    Ok(git(&["rev-parse", "--short=12", "HEAD"])? + if changed { " and changes" } else { "" })
}

/// The command line; of paths the last part, the rest is of this machine only.
fn command() -> String {
    let arguments: Vec<String> =
        std::env::args().skip(1).map(|argument| without_directories(&argument)).collect();
    format!("cargo xtask {}", arguments.join(" "))
}

fn without_directories(argument: &str) -> String {
    match argument.rsplit_once('/') {
        Some((_, last)) => format!("…/{last}"),
        None => argument.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_directory_of_this_machine_stands_in_the_page() {
        assert_eq!(without_directories("/home/somebody/captures"), "…/captures");
        assert_eq!(without_directories("--full"), "--full");
    }

    #[test]
    fn the_page_has_a_place_for_the_tables() {
        let page = fs::read_to_string(run::workspace().join("docs/accuracy.md")).unwrap();
        let begin = page.find(BEGIN).unwrap();
        assert!(page[begin..].contains(END));
    }

    #[test]
    fn what_was_not_measured_is_said_once() {
        let mut page = Page::new();
        for cell in tracer_tests::accuracy::cell::fixtures().into_iter().take(2) {
            page.miss(cell, "skipped: no such thing");
        }
        let mut text = String::new();
        page.not_measured(&mut text).unwrap();
        assert_eq!(text.matches("no such thing").count(), 1, "{text}");
    }
}
