//! What parsing costs: `parsers ROUNDS` measures and prints one JSON object a line. `cargo xtask bench parsers` runs it and makes the table.
//!
//! What is measured is what `tracer record` does with a captured call: from [`Streams::on_segment`] (the connection is looked up, gaps are found, its
//! parser is fed) to the steps of exchanges, and giving these back. Calls are made beforehand; nothing is read and nothing written.
//! Time is the processor time of this thread, so that being interrupted does not count. The talks take turns.
//!
//! It is an example so that it is built like the program and is no part of it.

mod counting;
mod run;
mod talk;
mod talks;

use anyhow::{Context, Result};
use run::Measured;

fn main() -> Result<()> {
    let rounds: usize = std::env::args().nth(1).context("how many rounds?")?.parse().context("no number")?;
    let mut talks = talks::all();
    let mut measured: Vec<Measured> = talks.iter_mut().map(Measured::new).collect::<Result<_>>()?;
    for round in 1..=rounds {
        eprintln!("{round} of {rounds}: {} talks", talks.len());
        for (talk, one) in talks.iter_mut().zip(&mut measured) {
            one.round(talk)?;
        }
    }
    for (talk, one) in talks.iter().zip(&measured) {
        println!("{}", one.json(talk));
    }
    Ok(())
}
