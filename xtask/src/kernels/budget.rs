//! The verifier's budget: how many instructions the kernel walks to check each program, per kernel series. Committed, so
//! that a change that makes programs much harder to check is seen before a kernel refuses them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};

use crate::run;

/// Instructions by kernel series and program.
pub type Counts = BTreeMap<(String, String), u64>;

/// A growth by more than this share fails.
const GROWTH: f64 = 0.10;

const HEADER: &str = "# Instructions that each kernel's verifier walks to check each program (the limit is a million). Growth by more\n\
     # than 10 % fails `cargo xtask kernels`; `cargo xtask kernels --accept-budget` writes this file anew.\n\
     # Linux 5.10 does not tell.\n\
     # SERIES PROGRAM INSTRUCTIONS\n";

fn path() -> PathBuf {
    run::workspace().join("xtask/verifier-budget.txt")
}

/// The committed budget; empty if there is none.
pub fn committed() -> Result<Counts> {
    match std::fs::read_to_string(path()) {
        Ok(text) => parse(&text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(Counts::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", path().display())),
    }
}

/// Takes what was measured into the committed budget. What was not measured stays: not every run loads every program.
pub fn accept(measured: &Counts) -> Result<()> {
    let mut counts = committed()?;
    counts.extend(measured.clone());
    std::fs::write(path(), write(&counts)).with_context(|| format!("cannot write {}", path().display()))
}

/// What is wrong with what was measured: programs that the budget does not know, and growth. A kernel series of which it
/// knows nothing has no budget yet.
pub fn compare(budget: &Counts, measured: &Counts) -> Vec<String> {
    let mut findings = Vec::new();
    for ((series, program), &now) in measured {
        // Debian brings a new kernel without our doing: that is no growth, and nobody's change should fail by it.
        if !budget.keys().any(|(known, _)| known == series) {
            continue;
        }
        match budget.get(&(series.clone(), program.clone())) {
            None => findings.push(format!(
                "the verifier's budget has no {program} on {series} ({now} instructions): --accept-budget takes it in"
            )),
            Some(&before) if now as f64 > before as f64 * (1.0 + GROWTH) => findings.push(format!(
                "{program} on {series} takes the verifier {now} instructions, {before} before: more than {:.0} % growth",
                GROWTH * 100.0
            )),
            Some(_) => {}
        }
    }
    findings
}

fn parse(text: &str) -> Result<Counts> {
    let mut counts = Counts::new();
    for line in text.lines().filter(|line| !line.starts_with('#') && !line.trim().is_empty()) {
        let mut words = line.split_whitespace();
        let (Some(series), Some(program), Some(count), None) =
            (words.next(), words.next(), words.next(), words.next())
        else {
            bail!("not SERIES PROGRAM INSTRUCTIONS in the verifier's budget: {line:?}");
        };
        let count = count.parse().with_context(|| format!("no number in the verifier's budget: {line:?}"))?;
        counts.insert((series.to_owned(), program.to_owned()), count);
    }
    Ok(counts)
}

fn write(counts: &Counts) -> String {
    let mut text = HEADER.to_owned();
    for ((series, program), count) in counts {
        // Writing to a String does not fail.
        let _written = writeln!(text, "{series} {program} {count}");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counts(list: &[(&str, &str, u64)]) -> Counts {
        list.iter().map(|&(series, program, count)| ((series.into(), program.into()), count)).collect()
    }

    #[test]
    fn ten_percent_may_be_added_and_no_more() {
        let budget = counts(&[("6.1", "sys_exit", 1000)]);
        assert!(compare(&budget, &counts(&[("6.1", "sys_exit", 1100)])).is_empty());
        assert!(compare(&budget, &counts(&[("6.1", "sys_exit", 10)])).is_empty());
        let findings = compare(&budget, &counts(&[("6.1", "sys_exit", 1101)]));
        assert!(findings[0].contains("1101") && findings[0].contains("1000"), "{findings:?}");
    }

    #[test]
    fn an_unknown_program_has_to_be_accepted_and_an_unknown_kernel_has_no_budget() {
        let budget = counts(&[("6.1", "sys_exit", 1000)]);
        let findings = compare(&budget, &counts(&[("6.1", "new", 5)]));
        assert!(findings[0].contains("--accept-budget"), "{findings:?}");
        assert!(compare(&budget, &counts(&[("7.4", "sys_exit", 5)])).is_empty());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let budget = counts(&[("6.1", "sys_exit", 1000), ("6.12", "tcp_state", 7)]);
        assert_eq!(parse(&write(&budget)).unwrap(), budget);
        assert!(parse("6.1 sys_exit\n").is_err());
        assert!(parse("6.1 sys_exit many\n").is_err());
    }
}
