//! Captures that are checked in (`tests/fixtures/accuracy`), with the scores that the tracer reached on them when they were
//! last written down: it must not do worse.
//!
//! An analysis has no luck in it, so the counts are compared exactly. Who changes them knowingly writes them down again:
//! `cargo xtask accuracy --scores`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use serde_json::{Value, json};

use super::judge::{CAPTURE, Judge};
use super::score::Score;

/// The file with the scores.
const SCORES: &str = "scores.json";

/// Where the fixtures are.
pub fn directory() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/accuracy")
}

/// The counts that are compared.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Counts {
    /// Calls that could be scored.
    pub calls: usize,
    /// Calls with the right parent, or rightly without one.
    pub right: usize,
    /// Calls with a wrong parent.
    pub wrong: usize,
}

impl From<&Score> for Counts {
    fn from(score: &Score) -> Self {
        Self {
            calls: score.calls + score.nobodys,
            right: score.right + score.nobodys - score.squeezed,
            wrong: score.wrong + score.squeezed,
        }
    }
}

impl Counts {
    /// What is worse than `before`, in words.
    fn worse_than(self, before: Self) -> Option<String> {
        let Self { calls, right, wrong } = self;
        if calls < before.calls {
            return Some(format!("only {calls} calls were seen, {} before", before.calls));
        }
        if right < before.right {
            return Some(format!("{right} of {calls} links are right, {} before", before.right));
        }
        (wrong > before.wrong).then(|| format!("{wrong} of {calls} links are wrong, {} before", before.wrong))
    }
}

/// The fixtures in a directory, by name.
pub fn list(directory: &Path) -> Result<Vec<PathBuf>> {
    let entries =
        std::fs::read_dir(directory).with_context(|| format!("cannot read {}", directory.display()))?;
    let mut found: Vec<PathBuf> = entries
        .filter_map(|entry| entry.ok().map(|entry| entry.path()))
        .filter(|path| path.join(CAPTURE).is_file())
        .collect();
    found.sort();
    Ok(found)
}

/// Analyses and scores every fixture.
pub fn measure(directory: &Path, judge: &Judge) -> Result<BTreeMap<String, Counts>> {
    let score = |path: PathBuf| {
        let verdict = judge.judge(&path).with_context(|| format!("fixture {}", path.display()))?;
        let different = verdict.audit.iter().flatten().next();
        ensure!(different.is_none(), "{}: the ids change links: {different:?}", verdict.name);
        Ok((verdict.name, Counts::from(&verdict.score)))
    };
    list(directory)?.into_iter().map(score).collect()
}

/// Everything that is worse than it was written down, in words. Fails if fixtures and scores are not of the same cells.
pub fn compare(directory: &Path, judge: &Judge) -> Result<Vec<String>> {
    let before = read(directory)?;
    let now = measure(directory, judge)?;
    ensure!(!now.is_empty(), "there are no fixtures in {}", directory.display());
    ensure!(
        now.keys().eq(before.keys()),
        "the fixtures are {:?}, the scores are of {:?}",
        now.keys().collect::<Vec<_>>(),
        before.keys().collect::<Vec<_>>()
    );
    let pairs = now.iter().zip(before.values());
    Ok(pairs
        .filter_map(|((name, now), before)| Some(format!("{name}: {}", now.worse_than(*before)?)))
        .collect())
}

/// Writes the scores down.
pub fn write(directory: &Path, scores: &BTreeMap<String, Counts>) -> Result<()> {
    let all: BTreeMap<&String, Value> = scores
        .iter()
        .map(|(name, Counts { calls, right, wrong })| {
            (name, json!({ "calls": calls, "right": right, "wrong": wrong }))
        })
        .collect();
    let text = serde_json::to_string_pretty(&all).context("cannot write scores")?;
    let path = directory.join(SCORES);
    std::fs::write(&path, text + "\n").with_context(|| format!("cannot write {}", path.display()))
}

fn read(directory: &Path) -> Result<BTreeMap<String, Counts>> {
    let path = directory.join(SCORES);
    let bytes = std::fs::read(&path).with_context(|| format!("no scores at {}", path.display()))?;
    let all: BTreeMap<String, BTreeMap<String, usize>> =
        serde_json::from_slice(&bytes).with_context(|| format!("{} is not of counts", path.display()))?;
    let counts = |(name, counts): (String, BTreeMap<String, usize>)| {
        let count = |key: &str| counts.get(key).copied().with_context(|| format!("{name} has no {key}"));
        let counts = Counts { calls: count("calls")?, right: count("right")?, wrong: count("wrong")? };
        Ok((name, counts))
    };
    all.into_iter().map(counts).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::accuracy::known::Known;
    use crate::accuracy::known::tests::{pair, truth};
    use crate::accuracy::score::score;
    use crate::scratch::Scratch;

    fn counts(parents: [Option<u64>; 3]) -> Counts {
        Counts::from(&score(&Known::new(&pair(parents), &truth())))
    }

    #[test]
    fn a_lost_link_a_wrong_one_and_a_call_not_seen_are_worse() {
        let good = counts([Some(1), Some(2), None]);
        assert_eq!(good, Counts { calls: 3, right: 3, wrong: 0 });
        assert_eq!(good.worse_than(good), None);
        for worse in [[Some(1), None, None], [Some(1), Some(1), None], [Some(1), Some(2), Some(1)]] {
            assert!(counts(worse).worse_than(good).is_some(), "{worse:?}");
            assert!(good.worse_than(counts(worse)).is_none());
        }
        // As many are right, but one that was open is wrong now.
        let (open, guessed) = (counts([Some(1), None, None]), counts([Some(1), Some(1), None]));
        assert_eq!(open.right, guessed.right);
        assert!(guessed.worse_than(open).is_some());
        assert!(Counts { calls: 2, ..good }.worse_than(good).is_some());
    }

    #[test]
    fn scores_are_read_as_they_were_written() {
        let scratch = Scratch::new().unwrap();
        let scores = BTreeMap::from([("node-fanout-8".to_owned(), Counts { calls: 9, right: 8, wrong: 1 })]);
        write(scratch.path(), &scores).unwrap();
        assert_eq!(read(scratch.path()).unwrap(), scores);
    }
}
