//! From what was seen in a guest to what it means: expectation met or not, and why not.

use serde::{Deserialize, Serialize};

use super::doctor::Doctor;
use super::matrix::{Expect, Stage};

/// What a job left.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ran {
    /// Its exit code.
    pub code: i32,
    /// Its output.
    pub stdout: Vec<u8>,
    /// Its complaints.
    pub stderr: Vec<u8>,
}

/// What a stage left.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    /// Of `doctor --json`.
    pub doctor: Ran,
    /// Of `record`, where it is expected to refuse.
    pub record: Option<Ran>,
    /// Of each test.
    pub tests: Vec<(String, Ran)>,
}

/// What a stage came to.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct StageOutcome {
    /// The stage's label.
    pub label: String,
    /// What doctor said, where it could be read.
    pub doctor: Option<Doctor>,
    /// The sentence with which it refused, where that was expected.
    pub refusal: Option<String>,
    /// Tests that passed.
    pub passed: usize,
    /// Tests that ran.
    pub ran: usize,
    /// What was not as expected; empty: all well.
    pub findings: Vec<String>,
}

/// Lines of a refusal.
const FEW_LINES: usize = 3;

/// Compares what was seen with what is expected of the stage on a kernel of that series.
pub fn judge(stage: &Stage, series: (u32, u32), seen: &Seen) -> StageOutcome {
    let mut outcome = StageOutcome { label: stage.label.to_owned(), ..StageOutcome::default() };
    match Doctor::parse(&seen.doctor.stdout) {
        Ok(doctor) => outcome.doctor = Some(doctor),
        Err(error) => outcome.findings.push(format!(
            "{error:#}; it ended with {} and said: {}",
            seen.doctor.code,
            brief(&seen.doctor.stderr)
        )),
    }
    match stage.expect.on(series) {
        Expect::Refuses(word) => refuses(word, seen, &mut outcome),
        Expect::TracesWith(source) => {
            traces(seen, &mut outcome);
            let others = outcome.doctor.iter().flat_map(|doctor| &doctor.offsets);
            let other = others.into_iter().find(|offset| !offset.source.contains(source));
            let other = other.map(|offset| format!("{} is known from: {}", offset.field, offset.source));
            outcome.findings.extend(other);
        }
        Expect::Loads => loads(seen, &mut outcome),
        // `on` has resolved the rest.
        Expect::Traces
        | Expect::TracesFrom(..)
        | Expect::TracesBetween(..)
        | Expect::ExactBefore(..)
        | Expect::ExactFrom(..) => {
            traces(seen, &mut outcome);
        }
    }
    outcome
}

fn loads(seen: &Seen, outcome: &mut StageOutcome) {
    if let Some(doctor) = &outcome.doctor {
        if !doctor.can_trace || seen.doctor.code != 0 {
            outcome.findings.push(format!("cannot trace (exit {}): {}", seen.doctor.code, doctor.refusal()));
        } else if !doctor.self_check.passed {
            outcome.findings.push(format!("the self-check did not pass: {:?}", doctor.self_check.error));
        }
    }
}

fn traces(seen: &Seen, outcome: &mut StageOutcome) {
    loads(seen, outcome);
    if seen.tests.is_empty() {
        outcome.findings.push("no test ran".to_owned());
    }
    for (name, ran) in &seen.tests {
        outcome.ran += 1;
        if ran.code == 0 {
            outcome.passed += 1;
        } else {
            let said = [ran.stdout.as_slice(), &ran.stderr].concat();
            outcome.findings.push(format!("{name} ended with {}:\n{}", ran.code, brief(&said)));
        }
    }
}

fn refuses(word: &str, seen: &Seen, outcome: &mut StageOutcome) {
    let mut finding = |text: String| outcome.findings.push(text);
    if seen.doctor.code != 1 {
        finding(format!("doctor should refuse with exit code 1, and ended with {}", seen.doctor.code));
    }
    if outcome.doctor.as_ref().is_some_and(|doctor| doctor.can_trace) {
        outcome.findings.push("doctor says it can trace, where it should refuse".to_owned());
    }
    let Some(record) = &seen.record else {
        outcome.findings.push("record was not tried".to_owned());
        return;
    };
    let said = String::from_utf8_lossy(&record.stderr).trim().to_owned();
    let lines = said.lines().filter(|line| !line.trim().is_empty()).count();
    let mut finding = |text: String| outcome.findings.push(text);
    if record.code != 1 {
        finding(format!("record should refuse with exit code 1, and ended with {}: {said}", record.code));
    }
    if lines == 0 || lines > FEW_LINES || said.contains("panicked") {
        finding(format!(
            "record should refuse with a sentence, not with {lines} lines:\n{}",
            brief(said.as_bytes())
        ));
    }
    if !said.to_lowercase().contains(word) {
        finding(format!("record does not speak of {word}: {said}"));
    }
    outcome.refusal = Some(said);
}

/// The end of an output: where a test says why it failed.
fn brief(bytes: &[u8]) -> String {
    let text = String::from_utf8_lossy(bytes);
    let lines: Vec<&str> = text.trim().lines().collect();
    let tail = lines.get(lines.len().saturating_sub(25)..).unwrap_or_default();
    tail.iter().map(|line| line.chars().take(400).collect::<String>()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::doctor::tests::FIXTURE;
    use crate::kernels::matrix::{Tests, User};

    fn stage(expect: Expect) -> Stage {
        Stage { label: "x", arguments: &[], user: User::Root, expect, tests: Tests::Brief }
    }

    fn ran(code: i32, stdout: &str, stderr: &str) -> Ran {
        Ran { code, stdout: stdout.into(), stderr: stderr.into() }
    }

    fn well() -> Seen {
        Seen {
            doctor: ran(0, FIXTURE, ""),
            record: None,
            tests: vec![("nginx::static_1".into(), ran(0, "ok", ""))],
        }
    }

    #[test]
    fn a_stage_that_traces_and_passes_is_well() {
        let outcome = judge(&stage(Expect::Traces), (6, 1), &well());
        assert_eq!((outcome.passed, outcome.ran, outcome.findings.len()), (1, 1, 0), "{outcome:?}");
    }

    #[test]
    fn each_way_to_fail_is_a_finding() {
        let failing = |change: fn(&mut Seen)| {
            let mut seen = well();
            change(&mut seen);
            judge(&stage(Expect::Traces), (6, 1), &seen).findings
        };
        assert!(failing(|seen| seen.tests[0].1 = ran(101, "left != right", ""))[0].contains("left != right"));
        assert!(failing(|seen| seen.tests.clear())[0].contains("no test"));
        assert!(failing(|seen| seen.doctor = ran(1, "", "error: no BTF"))[0].contains("no BTF"));
        assert!(failing(|seen| seen.doctor.code = 1)[0].contains("cannot trace"));
        let unchecked = FIXTURE.replace(r#""passed": true"#, r#""passed": false"#);
        let mut seen = well();
        seen.doctor.stdout = unchecked.into();
        assert!(judge(&stage(Expect::Traces), (6, 1), &seen).findings[0].contains("self-check"));
    }

    #[test]
    fn offsets_must_come_from_where_they_are_expected() {
        let with = |source| judge(&stage(Expect::TracesWith(source)), (6, 1), &well()).findings;
        assert!(with("BTF").is_empty());
        assert!(with("calibrat")[0].contains("net.ns.inum"));
    }

    #[test]
    fn a_refusal_is_a_sentence_and_exit_code_1() {
        let refusal = |code, said: &str| {
            let doctor = FIXTURE.replace(r#""can_trace": true"#, r#""can_trace": false"#);
            let record = Some(ran(code, "", said));
            let seen = Seen { doctor: ran(1, &doctor, ""), record, tests: vec![] };
            judge(&stage(Expect::Refuses("lockdown")), (6, 1), &seen).findings
        };
        assert!(refusal(1, "error: Lockdown forbids it").is_empty());
        assert_eq!(refusal(0, "error: lockdown").len(), 1);
        assert_eq!(refusal(1, "a\nb\nc\nlockdown").len(), 1);
        assert_eq!(refusal(1, "permission denied").len(), 1);
        assert_eq!(refusal(1, "").len(), 2);
    }

    #[test]
    fn tracing_where_refusal_is_expected_is_a_finding() {
        let outcome = judge(&stage(Expect::TracesFrom(6, 3)), (6, 1), &well());
        assert!(outcome.findings.iter().any(|finding| finding.contains("should refuse")), "{outcome:?}");
        assert!(judge(&stage(Expect::TracesFrom(6, 3)), (6, 3), &well()).findings.is_empty());
    }
}
