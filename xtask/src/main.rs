//! The project's own commands, `cargo xtask COMMAND`: one module each.

mod accuracy;
mod bench;
mod demo;
mod dist;
mod ebpf;
mod fuzz;
mod kernels;
mod private;
mod run;
mod setup;
mod source_hash;
mod test;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// The project's own commands.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask")]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what the tests and the demonstration need (Debian or Ubuntu); says what before it does it
    Setup,
    /// Measure how often the tracer names the right cause, on real runtimes under load (needs root)
    Accuracy(accuracy::Options),
    /// Measure what the tracer costs, as ratios of interleaved runs (needs root, takes a while)
    Bench(bench::Options),
    /// Build the probes and record what they were built from (installs the compiler on Debian)
    BuildEbpf,
    /// Prove that the committed probes come from the committed sources, byte for byte
    CheckEbpf,
    /// Build the tracer as it is shipped: one static program, checked; prints its SHA-256
    Dist(dist::Options),
    /// Prove that everything compiles for 64-bit ARM (fetches the standard library for it on Debian)
    CheckAarch64,
    /// Set up, build, and run all tests: unit, integration, end to end (as root, through sudo)
    Test(test::Options),
    /// Fuzz the parsers, the stream assembler, the capture reader and the analysis (installs cargo-fuzz)
    Fuzz(fuzz::Options),
    /// Try the tracer on every kernel that production runs, in emulated guests
    Kernels(Box<kernels::Options>),
    /// Set up, start a real chain of services, trace it, print the waterfall, leave traces.json here
    Demo(demo::Options),
}

fn main() -> ExitCode {
    let done = |()| ExitCode::SUCCESS;
    let result: Result<ExitCode> = match Cli::parse().command {
        Command::Setup => setup::everything().map(done),
        Command::Accuracy(options) => accuracy::run(&options).map(done),
        Command::Bench(options) => bench::run(&options).map(done),
        Command::BuildEbpf => ebpf::build(&run::workspace()).map(done),
        Command::CheckEbpf => ebpf::check(&run::workspace()).map(done),
        Command::Dist(options) => dist::run(&options).map(done),
        Command::CheckAarch64 => dist::check(dist::target::Arch::Aarch64).map(done),
        Command::Test(options) => test::run(&options).map(done),
        Command::Fuzz(options) => fuzz::run(&options).map(done),
        Command::Kernels(options) => kernels::run(&options),
        Command::Demo(options) => demo::run(&options).map(done),
    };
    match result {
        Ok(code) => code,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_sound() {
        <Cli as clap::CommandFactory>::command().debug_assert();
        let kernels = ["cargo xtask", "kernels", "6.1", "6.12-rt", "--variant", "plain"];
        assert!(Cli::try_parse_from(kernels).is_ok());
        assert!(Cli::try_parse_from(["cargo xtask", "kernels", "run", "6.1", "--", "true"]).is_ok());
        assert!(Cli::try_parse_from(["cargo xtask", "kernels", "--variant", "none-such"]).is_err());
    }
}
