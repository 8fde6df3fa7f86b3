//! One cell of the matrix: a kernel, a variant. Orders the guest, collects what its jobs say, has it judged.

use std::path::Path;
use std::time::Instant;

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};
use tracer_guest::frame::Frame;
use tracer_guest::plan::Job;

use super::fetch::Kernel;
use super::initramfs::JobFile;
use super::judge::{self, Ran, Seen, StageOutcome};
use super::laboratory::{Laboratory, Order};
use super::matrix::{self, Expect, MINIMUM, Stage, Tests, User, Variant};

/// How much slower programs run in the emulator, as the tests are told.
const SLOW: &str = "10";
/// Limits of the jobs, seconds.
const DOCTOR_S: u64 = 240;
const TEST_S: u64 = 420;
/// Of one job's output so much is kept.
const MAX_OUTPUT: usize = 1 << 20;

/// What a cell came to.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Outcome {
    /// The kernel, `6.1-cloud`.
    pub kernel: String,
    /// The Debian package that it came from.
    pub package: String,
    /// The variant's name.
    pub variant: String,
    /// How long it took.
    pub seconds: u64,
    /// Why the guest did not get to the end, if so.
    pub failure: Option<String>,
    /// What the stages came to.
    pub stages: Vec<StageOutcome>,
    /// It was seen of an earlier build, which is told beside it.
    #[serde(skip)]
    pub earlier: bool,
}

impl Outcome {
    /// Everything was as expected.
    pub fn is_well(&self) -> bool {
        self.failure.is_none() && self.stages.iter().all(|stage| stage.findings.is_empty())
    }

    /// The kernel was as Debian boots it.
    pub fn is_ordinary(&self) -> bool {
        matrix::variant(&self.variant).is_some_and(Variant::is_ordinary)
    }

    /// All that was not.
    pub fn findings(&self) -> impl Iterator<Item = String> {
        let stages = self.stages.iter().flat_map(|stage| {
            let label = if stage.label.is_empty() { String::new() } else { format!("{}: ", stage.label) };
            stage.findings.iter().map(move |finding| format!("{label}{finding}"))
        });
        self.failure.iter().cloned().chain(stages)
    }
}

/// What goes into every guest of the matrix.
#[derive(Clone, Debug)]
pub struct Cargo {
    files: Vec<JobFile>,
}

impl Cargo {
    /// The tracer, the test programs, the sources of the services, and what runs the tracer as somebody else, which is
    /// written into `directory`.
    pub fn pack(tracer: &Path, tests: &[(String, std::path::PathBuf)], directory: &Path) -> Result<Self> {
        let wrapper = directory.join("as-nobody");
        std::fs::write(&wrapper, wrapper_script()).context("cannot write a script for the guests")?;
        let executable = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(&wrapper, executable).context("cannot set a mode")?;
        let file = |from: &Path, name: &str| JobFile { from: from.to_owned(), name: name.to_owned() };
        let mut files = vec![
            file(tracer, "tracer"),
            file(&wrapper, "as-nobody"),
            file(&tracer_tests::paths::services_dir(), "services"),
        ];
        for (name, program) in tests {
            files.push(file(program, &format!("tests/{name}")));
        }
        Ok(Self { files })
    }
}

/// Runs the tracer as `nobody` with [`MINIMUM`].
fn wrapper_script() -> String {
    let capabilities: String = MINIMUM.iter().map(|name| format!(",+{name}")).collect();
    format!(
        "#!/bin/sh\nexec setpriv --reuid nobody --regid nogroup --clear-groups --inh-caps=-all{capabilities} \
         --ambient-caps=-all{capabilities} /job/tracer \"$@\"\n"
    )
}

/// How guests of a campaign are run.
#[derive(Clone, Copy, Debug, Default)]
pub struct Habits {
    /// Leave initramfs and console.
    pub keep: bool,
    /// Say of each job when it ends.
    pub verbose: bool,
}

/// What a job is for.
enum Purpose {
    Prepare,
    Doctor(usize),
    Record(usize),
    Test(usize, String),
}

impl std::fmt::Display for Purpose {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Purpose::Prepare => f.write_str("prepare"),
            Purpose::Doctor(_) => f.write_str("doctor"),
            Purpose::Record(_) => f.write_str("record"),
            Purpose::Test(_, name) => f.write_str(name),
        }
    }
}

/// Runs it.
pub fn run(
    laboratory: &Laboratory,
    kernel: &Kernel,
    variant: &Variant,
    cargo: &Cargo,
    habits: Habits,
) -> Outcome {
    let start = Instant::now();
    let series = kernel.series();
    let (purposes, jobs): (Vec<Purpose>, Vec<Job>) = jobs(variant, series).into_iter().unzip();
    let order = Order {
        root: variant.root,
        cgroup: variant.cgroup,
        append: variant.append.to_owned(),
        memory: 1024,
        files: cargo.files.clone(),
        jobs,
        keep: habits.keep,
    };
    let mut ended: Vec<Ran> = Vec::new();
    let mut running = Ran::default();
    let ran = laboratory.run(kernel, &order, |frame| match frame {
        Frame::Stdout(bytes) => take(&mut running.stdout, &bytes),
        Frame::Stderr(bytes) => take(&mut running.stderr, &bytes),
        Frame::Exit { code, millis } => {
            running.code = code;
            if habits.verbose {
                let what = purposes.get(ended.len()).map(Purpose::to_string).unwrap_or_default();
                let seconds = millis as f64 / 1e3;
                eprintln!("    {} {}: {what}: {seconds:.1} s, exit {code}", kernel.name, variant.name);
            }
            ended.push(std::mem::take(&mut running));
        }
        _ => {}
    });
    let mut failure = ran.err().map(|error| format!("{error:#}"));
    let mut seen: Vec<Seen> = variant.stages.iter().map(|_| Seen::default()).collect();
    for (purpose, ran) in purposes.into_iter().zip(ended) {
        match purpose {
            Purpose::Prepare if ran.code != 0 => {
                let said = String::from_utf8_lossy(&ran.stderr).trim().to_owned();
                failure.get_or_insert(format!(
                    "not prepared: {} ended with {}: {said}",
                    variant.prepare, ran.code
                ));
            }
            Purpose::Prepare => {}
            Purpose::Doctor(stage) => with(&mut seen, stage, |seen| seen.doctor = ran),
            Purpose::Record(stage) => with(&mut seen, stage, |seen| seen.record = Some(ran)),
            Purpose::Test(stage, name) => with(&mut seen, stage, |seen| seen.tests.push((name, ran))),
        }
    }
    let judged = |(stage, seen): (&Stage, &Seen)| judge::judge(stage, series, seen);
    // A guest that broke off, or was not prepared, shows nothing about its stages.
    let stages =
        if failure.is_some() { Vec::new() } else { variant.stages.iter().zip(&seen).map(judged).collect() };
    Outcome {
        kernel: kernel.name.clone(),
        package: kernel.package.clone(),
        variant: variant.name.to_owned(),
        seconds: start.elapsed().as_secs(),
        failure,
        stages,
        earlier: false,
    }
}

fn with(seen: &mut [Seen], stage: usize, change: impl FnOnce(&mut Seen)) {
    if let Some(seen) = seen.get_mut(stage) {
        change(seen);
    }
}

/// Keeps the beginning, where a report is, and not more.
fn take(to: &mut Vec<u8>, bytes: &[u8]) {
    let room = MAX_OUTPUT.saturating_sub(to.len());
    to.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
}

fn jobs(variant: &Variant, series: (u32, u32)) -> Vec<(Purpose, Job)> {
    let shell = |line: &str| vec!["sh".to_owned(), "-c".to_owned(), line.to_owned()];
    let mut jobs = vec![(Purpose::Prepare, job(shell(variant.prepare), &[], DOCTOR_S))];
    for (number, stage) in variant.stages.iter().enumerate() {
        let tracer = match stage.user {
            User::Root => "/job/tracer",
            User::Capable => "/job/as-nobody",
        };
        let tracing = |words: &[&str]| {
            let mut command = vec![tracer.to_owned()];
            command.extend(words.iter().chain(stage.arguments).map(|&word| word.to_owned()));
            command
        };
        jobs.push((Purpose::Doctor(number), job(tracing(&["doctor", "--json"]), &[], DOCTOR_S)));
        if let Expect::Refuses(_) = stage.expect.on(series) {
            let record = tracing(&["record", "-d", "1s", "-o", "/tmp/refused.json"]);
            jobs.push((Purpose::Record(number), job(record, &[], DOCTOR_S)));
            continue;
        }
        if stage.expect.on(series) == Expect::Loads {
            continue;
        }
        let arguments = stage.arguments.join(" ");
        let environment = [
            ("TRACER_BIN", tracer),
            ("TRACER_E2E", "required"),
            ("TRACER_E2E_SLOW", SLOW),
            ("TRACER_E2E_SERVICES", "/job/services"),
            ("TRACER_E2E_ARGS", &arguments),
        ];
        if let Tests::Script(line) = stage.tests {
            let purpose = Purpose::Test(number, "a call between busybox's own server and client".to_owned());
            jobs.push((purpose, job(shell(line), &environment, TEST_S)));
        }
        for test in stage.tests.chosen() {
            let command =
                vec![format!("/job/tests/{}", test.file), "--exact".to_owned(), test.test.to_owned()];
            jobs.push((Purpose::Test(number, test.to_string()), job(command, &environment, TEST_S)));
        }
    }
    jobs
}

fn job(command: Vec<String>, environment: &[(&str, &str)], limit_s: u64) -> Job {
    let environment = environment.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect();
    Job { command, environment, limit_s }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kernels::matrix::variant;

    fn commands(name: &str, series: (u32, u32)) -> Vec<String> {
        let all = jobs(variant(name).unwrap(), series);
        all.into_iter().map(|(_, job)| job.command.join(" ")).collect()
    }

    #[test]
    fn what_refuses_is_recorded_and_not_tested() {
        let commands = commands("lockdown-confidentiality", (6, 1));
        assert_eq!(commands.len(), 3, "{commands:?}");
        assert!(commands[2].starts_with("/job/tracer record "), "{commands:?}");
    }

    #[test]
    fn arguments_of_a_stage_reach_doctor_record_and_tests() {
        let old = commands("providers", (6, 1));
        assert!(old.contains(&"/job/tracer doctor --json --provider tracepoint".to_owned()), "{old:?}");
        assert!(
            old.contains(&"/job/tracer record -d 1s -o /tmp/refused.json --provider tracepoint".to_owned())
        );
        let jobs = jobs(variant("providers").unwrap(), (6, 12));
        let told = jobs.iter().filter(|(purpose, _)| matches!(purpose, Purpose::Test(..))).all(|(_, job)| {
            job.environment
                .iter()
                .any(|(key, value)| key == "TRACER_E2E_ARGS" && value.starts_with("--provider "))
        });
        assert!(told);
    }

    #[test]
    fn the_wrapper_drops_all_but_the_minimum() {
        let script = wrapper_script();
        assert!(script.contains("--inh-caps=-all,+bpf,+perfmon,"), "{script}");
        assert!(script.contains("--ambient-caps=-all,+bpf,+perfmon,"), "{script}");
    }

    #[test]
    fn output_is_kept_up_to_a_bound() {
        let mut kept = Vec::new();
        for _ in 0..3 {
            take(&mut kept, &vec![b'x'; MAX_OUTPUT / 2 + 1]);
        }
        assert_eq!(kept.len(), MAX_OUTPUT);
    }
}
