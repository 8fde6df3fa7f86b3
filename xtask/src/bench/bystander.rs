//! What the tracer costs a process that it does not trace: the time of an unrelated system call, and of a pipe write.

use std::io::Write;
use std::time::Instant;

use anyhow::Result;

use super::contenders::{self, Contender};
use super::median;
use super::victim::Nginx;

/// Medians over the rounds.
pub struct Row {
    /// Who.
    pub contender: Contender,
    /// Nanoseconds added to getppid.
    pub getppid: f64,
    /// Nanoseconds added to writing one byte into /dev/null.
    pub write: f64,
    /// Nanoseconds of getppid untraced.
    pub untraced: f64,
}

const CALLS: u32 = 400_000;

/// Measures the contenders that could matter to a bystander. This process is the bystander.
pub fn measure(rounds: usize) -> Result<Vec<Row>> {
    let nginx = Nginx::start()?;
    // Reading the tracer's output takes a thread of this process, and a process of several threads pays more for each
    // use of a descriptor: so it has several from the beginning.
    let (keep, idle) = std::sync::mpsc::channel::<()>();
    let company = std::thread::spawn(move || idle.recv().is_err());
    let mut rows = Vec::new();
    let contenders = [
        Contender::Nothing,
        Contender::TracerPid,
        Contender::TracerSockets,
        Contender::TracerAll,
        Contender::TracerSyscall,
    ];
    let mut columns: Vec<(Contender, Vec<[f64; 3]>)> = contenders.iter().map(|c| (*c, Vec::new())).collect();
    let mut sink = std::fs::File::options().write(true).open("/dev/null")?;
    for round in 0..rounds {
        eprintln!("bystander, round {} of {rounds}", round + 1);
        for (contender, column) in &mut columns {
            let (a, c) = (getppid(), write(&mut sink)?);
            let running = contenders::start(*contender, nginx.worker, nginx.port)?;
            let (b, d) = (getppid(), write(&mut sink)?);
            running.stop()?;
            let (e, f) = (getppid(), write(&mut sink)?);
            column.push([b - (a + e) / 2.0, d - (c + f) / 2.0, (a + e) / 2.0]);
        }
    }
    nginx.stop();
    drop(keep);
    let _ = company.join();
    for (contender, column) in columns {
        let pick = |at: fn(&[f64; 3]) -> f64| median(&column.iter().map(at).collect::<Vec<_>>());
        rows.push(Row {
            contender,
            getppid: pick(|r| r[0]),
            write: pick(|r| r[1]),
            untraced: pick(|r| r[2]),
        });
    }
    Ok(rows)
}

/// Nanoseconds of one call: the fastest of several stretches, since being interrupted only ever adds.
fn fastest(mut stretch: impl FnMut() -> Result<()>) -> Result<f64> {
    let mut best = f64::MAX;
    for _ in 0..5 {
        let begun = Instant::now();
        stretch()?;
        best = best.min(begun.elapsed().as_nanos() as f64 / f64::from(CALLS / 5));
    }
    Ok(best)
}

fn getppid() -> f64 {
    fastest(|| {
        for _ in 0..CALLS / 5 {
            // SAFETY: no arguments, no effects.
            unsafe { libc::getppid() };
        }
        Ok(())
    })
    .unwrap_or(f64::NAN)
}

fn write(sink: &mut std::fs::File) -> Result<f64> {
    fastest(|| {
        for _ in 0..CALLS / 5 {
            sink.write_all(b"x")?;
        }
        Ok(())
    })
}
