//! The commands. Each turns the command line into calls of the library and the library's answers into sentences.

// Before all others, which see its macros.
#[macro_use]
mod stderr;

mod analyze;
mod args;
mod diff;
mod doctor;
mod exchanges;
mod export;
mod headers;
mod learned;
mod links;
mod logger;
mod metrics;
mod output;
mod push;
mod record;
mod remarks;
mod report;
mod show;
mod signals;
mod span_file;
mod status;

use std::process::ExitCode;

use clap::Parser;

use args::{Cli, Command};

/// Runs the command that the command line asks for.
pub fn run() -> ExitCode {
    let cli = Cli::parse();
    logger::start(matches!(&cli.command, Command::Record(args) if args.verbose));
    let result = match cli.command {
        Command::Record(args) => record::run(&args),
        Command::Analyze(args) => match &args.exchanges {
            Some(file) => exchanges::run(file, &args),
            None => analyze::run(&args),
        },
        Command::Export(args) => export::run(&args),
        Command::Show(args) => show::run(&args),
        Command::Diff(args) => diff::run(&args),
        Command::Report(args) => report::run(&args),
        Command::Doctor(args) => doctor::run(&args),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("tracer: {error:#}");
            ExitCode::FAILURE
        }
    }
}
