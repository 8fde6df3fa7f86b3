//! `tracer diff`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

use super::analyze::BAD_INPUT;
use super::args::DiffArgs;
use super::show;
use super::span_file::{Source, table};
use crate::report::filter::Filter;
use crate::report::operations::operations;
use crate::report::{compare, comparison, tree};

/// Prints what changed from one file to another.
pub fn run(args: &DiffArgs) -> Result<ExitCode> {
    if args.before == Path::new("-") && args.after == Path::new("-") {
        bail!("only one of the two files can come by standard input");
    }
    let (before, after) = (table(&Source::open(&args.before)?)?, table(&Source::open(&args.after)?)?);
    let filter = Filter::default();
    let [old, new] = [&before, &after].map(|table| operations(table, &tree::self_times(table), &filter));
    let compared = compare::compare((&before, &old), (&after, &new));
    if compared.is_empty() {
        bail!("neither {} nor {} has any span", args.before.display(), args.after.display());
    }
    let stdout = std::io::stdout();
    let text = comparison::render(&compared, show::style(&stdout, args.width));
    show::print(&stdout, &text)?;
    let lost = before.problems.lost_any() || after.problems.lost_any();
    Ok(if lost { ExitCode::from(BAD_INPUT) } else { ExitCode::SUCCESS })
}
