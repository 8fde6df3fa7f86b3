//! Which cells are run, two at a time; what they came to; whether that is good enough.

use std::collections::VecDeque;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::{Mutex, PoisonError};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use sha2::{Digest, Sha256};

use super::budget::{self, Counts};
use super::cell::{self, Cargo, Habits, Outcome};
use super::fetch::Kernel;
use super::laboratory::Laboratory;
use super::matrix::{self, On, VARIANTS, Variant};
use super::versions::{Flavour, Series, Wanted};
use super::{programs, report};
use crate::run;
use crate::source_hash::hex;

/// More guests than that make each other too slow on two processors.
const MOST_AT_A_TIME: u64 = 2;

/// What to run.
#[derive(Args)]
pub struct Campaign {
    /// Only these kernels: SERIES or SERIES-FLAVOUR (5.10, 6.12-rt, newest-amd64)
    kernels: Vec<Wanted>,
    /// Every flavour of every series (cloud, amd64, rt), not only cloud
    #[arg(long, conflicts_with_all = ["kernels", "ci"])]
    all: bool,
    /// The oldest kernel, 6.1 and the newest, as Debian boots them: for every change
    #[arg(long, conflicts_with_all = ["kernels", "variant"])]
    ci: bool,
    /// Only these variants; several, or all if none is named
    #[arg(long, value_name = "NAME", value_parser = known_variant)]
    variant: Vec<&'static Variant>,
    /// Use this static tracer instead of building one
    #[arg(long, value_name = "PATH")]
    tracer: Option<PathBuf>,
    /// Guests at a time
    #[arg(long, value_name = "N", default_value_t = MOST_AT_A_TIME, value_parser = clap::value_parser!(u64).range(1..=MOST_AT_A_TIME))]
    jobs: u64,
    /// Say of each test when it ends, and how long it took
    #[arg(long, short)]
    verbose: bool,
    /// Leave initramfs and console of every guest, and say where
    #[arg(long)]
    keep: bool,
    /// Fetch the newest packages of the kernels, and make the root image anew
    #[arg(long)]
    refresh: bool,
    /// Take the verifier's instruction counts of this run as the committed budget
    #[arg(long)]
    accept_budget: bool,
    /// Where this build was not tried, tell what was seen of an earlier one, named by the beginning of its SHA-256;
    /// several, the first that has it counts
    #[arg(long, value_name = "HASH")]
    also: Vec<String>,
}

fn known_variant(name: &str) -> Result<&'static Variant> {
    let names = || VARIANTS.iter().map(|variant| variant.name).collect::<Vec<_>>().join(", ");
    matrix::variant(name).with_context(|| format!("there are: {}", names()))
}

/// Runs it and reports. Fails if any cell is not as expected.
pub fn run(options: &Campaign) -> Result<ExitCode> {
    let laboratory = Laboratory::open(options.refresh)?;
    let (kernels, missing) = fetched(&laboratory, options)?;
    let tracer = programs::tracer(options.tracer.as_deref())?;
    let tests = programs::tests()?;
    let hash = hex(Sha256::digest(fs::read(&tracer).context("cannot read the tracer")?)
        .get(..6)
        .unwrap_or_default());
    // What was seen of this very tracer; of others nothing is reported.
    let results = laboratory.directory().join("results").join(&hash);
    fs::create_dir_all(&results).with_context(|| format!("cannot make {}", results.display()))?;
    let cargo = Cargo::pack(&tracer, &tests, &results)?;

    let cells = cells(options, &kernels);
    run::say(&format!("{} guests, {} at a time; tracer {hash}", cells.len(), options.jobs));
    let outcomes = run_all(&laboratory, cells, &cargo, options, &results)?;

    let mut failures: Vec<String> = Vec::new();
    for outcome in &outcomes {
        for finding in outcome.findings() {
            failures.push(format!("{} {}: {finding}", outcome.kernel, outcome.variant));
        }
    }
    let known = known(&results, &options.also)?;
    let measured = measured(&known);
    if options.accept_budget {
        ensure!(failures.is_empty(), "no budget is taken from a run with failures:\n{}", failures.join("\n"));
        budget::accept(&measured)?;
    }
    failures.extend(missing);
    failures.extend(budget::compare(&budget::committed()?, &measured));

    println!("{}", report::tables(&known));
    if !options.ci {
        report::write(&known, &hash, &options.also)?;
    }
    if failures.is_empty() {
        run::say(&format!("all {} guests as expected", outcomes.len()));
        return Ok(ExitCode::SUCCESS);
    }
    bail!("{} findings:\n\n{}", failures.len(), failures.join("\n\n"));
}

/// The kernels asked for, and what is to be said of those that the archive does not hold: the others are tried all the
/// same.
fn fetched(laboratory: &Laboratory, options: &Campaign) -> Result<(Vec<Kernel>, Vec<String>)> {
    let (mut kernels, mut missing) = (Vec::new(), Vec::new());
    for one in wanted(options)? {
        match laboratory.kernels(&[one], options.refresh) {
            Ok(found) => kernels.extend(found),
            Err(error) => missing.push(format!("{error:#}")),
        }
    }
    ensure!(!kernels.is_empty(), "{}", missing.join("\n"));
    Ok((kernels, missing))
}

/// The kernels asked for.
fn wanted(options: &Campaign) -> Result<Vec<Wanted>> {
    if !options.kernels.is_empty() {
        return Ok(options.kernels.clone());
    }
    let series = if options.ci { matrix::FOR_EVERY_CHANGE } else { matrix::SERIES };
    let flavours: &[Flavour] =
        if options.all { &[Flavour::Cloud, Flavour::Generic, Flavour::Rt] } else { &[Flavour::Cloud] };
    let mut wanted = Vec::new();
    for series in series {
        let series: Series = series.parse::<Wanted>()?.series;
        wanted.extend(flavours.iter().map(|&flavour| Wanted { series, flavour }));
    }
    Ok(wanted)
}

/// What is run where, in the order of kernels.
fn cells<'a>(options: &Campaign, kernels: &'a [Kernel]) -> VecDeque<(&'a Kernel, &'static Variant)> {
    let mut cells = VecDeque::new();
    for kernel in kernels {
        for variant in VARIANTS {
            let chosen = match (&*options.variant, options.ci) {
                (_, true) => variant.on == On::Change,
                ([], false) => variant.on.includes(kernel.flavour()),
                (named, false) => named.iter().any(|one| one.name == variant.name),
            };
            if chosen {
                cells.push_back((kernel, variant));
            }
        }
    }
    cells
}

/// Runs the cells; each guest is started, and ended, by a thread that waits for it.
fn run_all(
    laboratory: &Laboratory,
    cells: VecDeque<(&Kernel, &'static Variant)>,
    cargo: &Cargo,
    options: &Campaign,
    results: &Path,
) -> Result<Vec<Outcome>> {
    let habits = Habits { keep: options.keep, verbose: options.verbose };
    let queue = Mutex::new(cells);
    let outcomes = Mutex::new(Vec::new());
    std::thread::scope(|scope| {
        for _ in 0..options.jobs {
            scope.spawn(|| {
                loop {
                    let next = queue.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
                    let Some((kernel, variant)) = next else { return };
                    let outcome = cell::run(laboratory, kernel, variant, cargo, habits);
                    let stored = store(&outcome, results);
                    run::say(&report::line(&outcome));
                    for finding in outcome.findings() {
                        eprintln!("    {}", finding.replace('\n', "\n    "));
                    }
                    outcomes.lock().unwrap_or_else(PoisonError::into_inner).push(stored.map(|()| outcome));
                }
            });
        }
    });
    outcomes.into_inner().unwrap_or_else(PoisonError::into_inner).into_iter().collect()
}

fn store(outcome: &Outcome, results: &Path) -> Result<()> {
    let path = results.join(format!("{}.{}.json", outcome.kernel, outcome.variant));
    let text = serde_json::to_string_pretty(outcome).context("an outcome is no JSON")?;
    fs::write(&path, text).with_context(|| format!("cannot write {}", path.display()))
}

/// What was seen of this build; and where it was not tried, of earlier ones.
fn known(results: &Path, earlier: &[String]) -> Result<Vec<Outcome>> {
    let mut known = stored(results)?;
    for hash in earlier {
        for outcome in stored(&results.with_file_name(hash))? {
            let same = |one: &Outcome| (&one.kernel, &one.variant) == (&outcome.kernel, &outcome.variant);
            if !known.iter().any(same) {
                known.push(Outcome { earlier: true, ..outcome });
            }
        }
    }
    Ok(known)
}

/// All that was seen of one tracer, in this run and before.
fn stored(results: &Path) -> Result<Vec<Outcome>> {
    let mut outcomes = Vec::new();
    for entry in fs::read_dir(results).context("cannot list the results")?.flatten() {
        if entry.path().extension().is_some_and(|extension| extension == "json") {
            let text = fs::read(entry.path()).context("cannot read a result")?;
            let outcome: Outcome = serde_json::from_slice(&text)
                .with_context(|| format!("{} cannot be read; remove it", entry.path().display()))?;
            outcomes.push(outcome);
        }
    }
    Ok(outcomes)
}

/// What the verifiers walked, per series and program; of cloud kernels, each in its ordinary state.
fn measured(outcomes: &[Outcome]) -> Counts {
    let mut counts = Counts::new();
    for outcome in outcomes.iter().filter(|outcome| outcome.is_ordinary()) {
        let Some(series) = outcome.kernel.strip_suffix("-cloud") else { continue };
        for program in
            outcome.stages.iter().filter_map(|stage| stage.doctor.as_ref()).flat_map(|d| &d.programs)
        {
            if let Some(count) = program.verified_instructions {
                let most = counts.entry((series.to_owned(), program.name.clone())).or_default();
                *most = count.max(*most);
            }
        }
    }
    counts
}
