//! `--learned`: what another capture teaches about the same services.

use std::fs::File;
use std::path::Path;

use anyhow::{Context, Result, bail};

use super::links::LinkArgs;
use crate::analysis::{Analysis, Observation};
use crate::causality::joint::learned::Learned;
use crate::exchange::Step;
use crate::protocol::headers::Headers;
use crate::tcap::{Reader, Told};
use crate::time::ClockAnchor;

/// An analysis as it was asked for, helped by another capture if that was asked for.
pub fn analysis(clock: ClockAnchor, links: &LinkArgs, headers: &Headers) -> Result<Analysis> {
    let analysis = Analysis::with(clock, links.settings());
    let Some(file) = &links.learned else { return Ok(analysis) };
    let learned =
        learn(file, links, headers).with_context(|| format!("cannot learn from {}", file.display()))?;
    if learned.is_empty() {
        bail!(
            "nothing can be learned from {}: it holds no service whose requests make calls; leave --learned out, or give \
             another capture",
            file.display()
        );
    }
    let names: Vec<&str> = learned.services().map(|(name, _)| &**name).collect();
    eprintln!("{} teaches about {}", file.display(), names.join(", "));
    Ok(analysis.taught(learned))
}

/// What the recorder had learned, if it noted that; else what an analysis learns.
fn learn(file: &Path, links: &LinkArgs, headers: &Headers) -> Result<Learned> {
    let open = || anyhow::Ok(Reader::open(File::open(file)?)?);
    let (mut reader, mut noted) = (open()?, None);
    while let Some(told) = reader.read_next()? {
        if let Told::Learned(learned) = told {
            noted = Some(*learned);
        }
    }
    if let Some(learned) = noted.filter(|learned| !learned.is_empty()) {
        return Ok(learned);
    }
    let mut reader = open()?;
    let mut analysis = Analysis::with(reader.description().clock, links.settings());
    while let Some(told) = reader.read_next()? {
        match told {
            Told::Observation(mut observation) => {
                if let Observation::Step(Step::Request { head, .. }) = &mut observation {
                    headers.restrict(head);
                }
                analysis.observe(observation, &mut |_| {});
            }
            Told::Hole => analysis.interrupted(&mut |_| {}),
            Told::Clock(_) | Told::Ledger(_) | Told::Learned(_) => {}
        }
    }
    analysis.finish(&mut |_| {});
    Ok(analysis.learned(true))
}
