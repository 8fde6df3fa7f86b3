//! What was seen, as tables: printed, and written to `docs/kernels.md`.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use anyhow::{Context, Result};

use super::cell::Outcome;
use super::doctor::Doctor;
use super::matrix::{CORE, VARIANTS};
use crate::run;

/// What stands in the document above and below the tables, with places for them.
const DOCUMENT: &str = include_str!("report.md");

/// One line about one cell.
pub fn line(outcome: &Outcome) -> String {
    let state = if outcome.is_well() { "as expected" } else { "NOT AS EXPECTED" };
    format!("{} {}: {state}: {} ({} s)", outcome.kernel, outcome.variant, summary(outcome), outcome.seconds)
}

/// Both tables.
pub fn tables(outcomes: &[Outcome]) -> String {
    format!("{}\n{}", programs(outcomes), variants(outcomes))
}

/// Writes the document.
pub fn write(outcomes: &[Outcome], tracer: &str, earlier: &[String]) -> Result<()> {
    let path = run::workspace().join("docs/kernels.md");
    let tests: Vec<String> = CORE.iter().map(|test| format!("`{test}`")).collect();
    let about: String = VARIANTS
        .iter()
        .fold(String::new(), |text, variant| format!("{text}* **{}**: {}\n", variant.name, variant.about));
    let hashes: Vec<String> = earlier.iter().map(|hash| format!("`{hash}`")).collect();
    let earlier = match &*hashes.join(" or ") {
        "" => String::new(),
        hashes => format!(
            "\n¹ Seen of an earlier build (SHA-256 begins with {hashes}), not tried again with this one.\n"
        ),
    };
    let text = DOCUMENT
        .replace("@EARLIER@", &earlier)
        .replace("@PROGRAMS@", programs(outcomes).trim_end())
        .replace("@VARIANTS@", variants(outcomes).trim_end())
        .replace("@ABOUT@", about.trim_end())
        .replace("@TESTS@", &tests.join(", "))
        .replace("@TRACER@", tracer);
    std::fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// Of one kernel: the package, what doctor said of it as it is, and each program's count.
type ProgramRow<'a> = (&'a str, Option<&'a Doctor>, BTreeMap<&'a str, String>);

/// Kernel × program: verified instructions, as each kernel was booted ordinarily, over all providers that were tried.
fn programs(outcomes: &[Outcome]) -> String {
    let mut rows: BTreeMap<Key, ProgramRow<'_>> = BTreeMap::new();
    let mut names = BTreeSet::new();
    for outcome in outcomes.iter().filter(|outcome| outcome.is_ordinary()) {
        let row = rows.entry(key(&outcome.kernel)).or_insert((&outcome.package, None, BTreeMap::new()));
        for (stage, doctor) in outcome.stages.iter().filter_map(|stage| Some((stage, stage.doctor.as_ref()?)))
        {
            // Without a label nothing was asked for: the provider is the one that was chosen.
            if stage.label.is_empty() {
                row.1 = Some(doctor);
            }
            for program in &doctor.programs {
                names.insert(program.name.as_str());
                let count = program.verified_instructions;
                row.2.insert(
                    &program.name,
                    count.map_or_else(|| "loads".to_owned(), |count| count.to_string()),
                );
            }
        }
    }
    let mut head =
        vec!["kernel".to_owned(), "package".to_owned(), "provider".to_owned(), "self-check".to_owned()];
    head.extend(names.iter().map(|name| format!("`{name}`")));
    let mut table = Table::new(&head);
    for (key, (package, doctor, counts)) in rows {
        let provider = doctor.and_then(|doctor| doctor.provider.clone()).unwrap_or_else(|| "-".to_owned());
        let checked = match doctor.map(|doctor| doctor.self_check.passed) {
            Some(true) => "passed",
            Some(false) => "FAILED",
            None => "-",
        };
        let mut row = vec![
            key.name,
            package.trim_start_matches("linux-image-").to_owned(),
            provider,
            checked.to_owned(),
        ];
        row.extend(names.iter().map(|name| counts.get(name).cloned().unwrap_or_else(|| "-".to_owned())));
        table.row(&row);
    }
    table.text
}

/// Kernel × variant: what came of it.
fn variants(outcomes: &[Outcome]) -> String {
    let tried: Vec<&str> = VARIANTS
        .iter()
        .map(|variant| variant.name)
        .filter(|name| outcomes.iter().any(|outcome| outcome.variant == *name))
        .collect();
    let mut rows: BTreeMap<Key, BTreeMap<&str, String>> = BTreeMap::new();
    for outcome in outcomes {
        let mark = if outcome.earlier { " ¹" } else { "" };
        let failed = if outcome.is_well() { "" } else { "**FAILED** " };
        let cell = format!("{failed}{}{mark}", summary(outcome));
        rows.entry(key(&outcome.kernel)).or_default().insert(&outcome.variant, cell);
    }
    let mut head = vec!["kernel".to_owned()];
    head.extend(tried.iter().map(|name| (*name).to_owned()));
    let mut table = Table::new(&head);
    for (key, cells) in rows {
        let mut row = vec![key.name];
        row.extend(tried.iter().map(|name| cells.get(name).cloned().unwrap_or_else(|| "-".to_owned())));
        table.row(&row);
    }
    table.text
}

/// `fexit, 32 of 32` per stage.
fn summary(outcome: &Outcome) -> String {
    if let Some(failure) = &outcome.failure {
        return failure.lines().next().unwrap_or_default().chars().take(120).collect();
    }
    let stages: Vec<String> = outcome
        .stages
        .iter()
        .map(|stage| {
            if stage.refusal.is_some() {
                return if stage.label.is_empty() {
                    "refuses".to_owned()
                } else {
                    format!("{} refuses", stage.label)
                };
            }
            let provider =
                stage.doctor.as_ref().and_then(|doctor| doctor.provider.as_deref()).unwrap_or("nothing");
            if stage.ran == 0 {
                return format!("{provider} loads");
            }
            format!("{provider} {} of {}", stage.passed, stage.ran)
        })
        .collect();
    stages.join(", ")
}

/// Kernels in the order of their numbers.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Key {
    numbers: Vec<u32>,
    name: String,
}

fn key(kernel: &str) -> Key {
    let series = kernel.split('-').next().unwrap_or(kernel);
    Key { numbers: series.split('.').filter_map(|part| part.parse().ok()).collect(), name: kernel.to_owned() }
}

struct Table {
    text: String,
}

impl Table {
    fn new(head: &[String]) -> Self {
        let mut table = Self { text: String::new() };
        table.row(head);
        table.row(&vec!["---".to_owned(); head.len()]);
        table
    }

    fn row(&mut self, cells: &[String]) {
        let cells: Vec<String> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        // Writing to a String does not fail.
        let _written = writeln!(self.text, "| {} |", cells.join(" | "));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::doctor::tests::FIXTURE;
    use crate::kernels::judge::StageOutcome;

    fn outcome(kernel: &str, variant: &str) -> Outcome {
        let stage = StageOutcome {
            doctor: Some(Doctor::parse(FIXTURE.as_bytes()).unwrap()),
            passed: 4,
            ran: 5,
            findings: vec!["one test failed".into()],
            ..StageOutcome::default()
        };
        Outcome {
            kernel: kernel.into(),
            package: format!("linux-image-{kernel}"),
            variant: variant.into(),
            seconds: 9,
            failure: None,
            stages: vec![stage],
            earlier: false,
        }
    }

    #[test]
    fn kernels_stand_in_the_order_of_their_numbers() {
        let text = tables(&[outcome("6.12-cloud", "plain"), outcome("6.1-cloud", "plain")]);
        assert!(text.find("| 6.1-cloud").unwrap() < text.find("| 6.12-cloud").unwrap(), "{text}");
    }

    #[test]
    fn what_failed_is_shown_as_failed_and_what_was_not_run_as_not_run() {
        let mut broken = outcome("6.1-cloud", "no-jit");
        broken.failure = Some("Kernel panic\nmore".into());
        let text = variants(&[outcome("6.1-cloud", "plain"), broken, outcome("6.12-cloud", "plain")]);
        assert!(text.contains("**FAILED** fexit 4 of 5"), "{text}");
        assert!(text.contains("**FAILED** Kernel panic |"), "{text}");
        assert!(text.lines().last().unwrap().ends_with("| - |"), "{text}");
    }

    #[test]
    fn programs_show_their_instructions_or_that_they_load() {
        let text = programs(&[outcome("6.1-cloud", "plain")]);
        assert!(
            text.contains("`fexit_send`") && text.contains("| loads |") && text.contains("| 412 |"),
            "{text}"
        );
    }
}
