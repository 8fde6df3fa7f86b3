//! The captures that are checked in, so that every run of the tests asks for the links they had.

use std::collections::HashSet;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail, ensure};
use tracer_tests::accuracy::audit;
use tracer_tests::accuracy::cell;
use tracer_tests::accuracy::fixture;
use tracer_tests::accuracy::judge::{CAPTURE, CIRCUMSTANCES, Judge, TRUTH};
use tracer_tests::scratch::Scratch;
use tracer_tests::{paths, tcap};

use super::record::Recorder;
use super::table;
use crate::run;

/// Requests of each.
const REQUESTS: usize = 200;
/// All of them together may have this many bytes.
const LIMIT: u64 = 10 * 1000 * 1000;

/// What command lines of compilers have in them.
const FOREIGN: &[u8] = b"/.cargo/registry/";

/// Records all of them anew, then writes their scores down. The old ones stay until all the new ones are there.
pub fn record(judge: &Judge, seconds: u64) -> Result<()> {
    let recorder = Recorder::new(&judge.tracer, REQUESTS, seconds)?;
    let scratch = Scratch::new()?;
    println!("{}", table::head());
    for cell in cell::fixtures() {
        let place = scratch.join(&cell.to_string());
        recorder.record(&cell, &place).with_context(|| cell.to_string())?;
        hide_directories(&place.join(CAPTURE))?;
        let verdict = judge.judge(&place)?;
        println!("{}", table::line(&verdict));
        ensure!(verdict.score.unseen == 0, "{cell}: {} calls were not seen", verdict.score.unseen);
    }
    let size = size(scratch.path())?;
    ensure!(size <= LIMIT, "{size} bytes of fixtures are too many; the limit is {LIMIT}");
    let directory = fixture::directory();
    match fs::remove_dir_all(&directory) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            bail!("cannot remove {}: {error}", directory.display())
        }
        _ => {}
    }
    for from in fixture::list(scratch.path())? {
        let to = directory.join(from.file_name().context("no name")?);
        fs::create_dir_all(&to).with_context(|| format!("cannot make {}", to.display()))?;
        for name in [CAPTURE, TRUTH, CIRCUMSTANCES] {
            fs::copy(from.join(name), to.join(name)).with_context(|| format!("cannot keep {name}"))?;
        }
    }
    run::say(&format!("{size} bytes of fixtures in {}", directory.display()));
    write_scores(judge)
}

/// Where this checkout and its target directory lie is nobody's business: zeros instead. A capture also has the command
/// lines of programs that others started meanwhile; one of a compiler is refused.
fn hide_directories(capture: &Path) -> Result<()> {
    let bytes = fs::read(capture)?;
    let ours = [run::workspace(), paths::target_dir()?].map(|path| path.to_string_lossy().into_owned());
    let (hidden, _) = audit::blank(&bytes, &HashSet::from(ours))?;
    let foreign = tcap::unpacked(&hidden)?.windows(FOREIGN.len()).any(|window| window == FOREIGN);
    ensure!(!foreign, "somebody compiled meanwhile: record the fixtures again on a machine that is at rest");
    fs::write(capture, hidden).with_context(|| format!("cannot write {}", capture.display()))
}

/// Scores what is there and writes that down.
pub fn write_scores(judge: &Judge) -> Result<()> {
    let directory = fixture::directory();
    let scores = fixture::measure(&directory, judge)?;
    ensure!(!scores.is_empty(), "there are no fixtures; `cargo xtask accuracy --fixtures` records them");
    fixture::write(&directory, &scores)?;
    run::say(&format!("the scores of {} fixtures are written down", scores.len()));
    Ok(())
}

fn size(directory: &Path) -> Result<u64> {
    let mut sum = 0;
    for fixture in fixture::list(directory)? {
        for name in [CAPTURE, TRUTH] {
            sum += fs::metadata(fixture.join(name))?.len();
        }
    }
    Ok(sum)
}
