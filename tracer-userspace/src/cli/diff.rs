//! `tracer diff`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Result, bail};

use super::analyze::BAD_INPUT;
use super::args::DiffArgs;
use super::show;
use super::span_file::Source;
use crate::report::filter::Filter;
use crate::report::operations::{Operations, operations};
use crate::report::{compare, comparison, tree};
use crate::spans::Table;

/// Prints what changed from one file to another.
pub fn run(args: &DiffArgs) -> Result<ExitCode> {
    if args.before == Path::new("-") && args.after == Path::new("-") {
        bail!("only one of the two files can come by standard input");
    }
    // At the same time: reading is most of the work.
    let read = |path: &Path| -> Result<(Source, Table, Operations)> {
        let source = Source::open(path)?;
        let table = source.table()?;
        let operations = operations(&table, &tree::self_times(&table), &Filter::default());
        Ok((source, table, operations))
    };
    let (first, second) = std::thread::scope(|scope| {
        let second = scope.spawn(|| read(&args.after));
        let first = read(&args.before);
        (first, second.join().unwrap_or_else(|_| bail!("{} could not be read", args.after.display())))
    });
    let ((one, before, old), (other, after, new)) = (first?, second?);
    one.say(&before.problems);
    other.say(&after.problems);
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
