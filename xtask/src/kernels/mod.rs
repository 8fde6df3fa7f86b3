//! `cargo xtask kernels`: the tracer on every kernel that production runs, in emulated guests.
//!
//! Kernels are Debian's packages ([`versions`], [`apt`], [`fetch`]); guests are QEMU runs ([`guest`]) with an initramfs
//! written here ([`cpio`], [`initramfs`], [`modules`]) and a small root image of real services ([`image`]). What is tried
//! where, and what must come of it, is a table ([`matrix`]); cells of it are run ([`cell`], [`campaign`]), judged
//! ([`judge`]) and reported ([`report`]).

mod apt;
mod budget;
mod campaign;
mod cell;
mod console;
mod cpio;
mod doctor;
mod fetch;
mod guest;
mod image;
mod initramfs;
mod judge;
mod laboratory;
mod matrix;
mod modules;
mod one;
mod programs;
mod report;
mod versions;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

/// What to do with kernels.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Options {
    #[command(subcommand)]
    command: Option<Command>,
    #[command(flatten)]
    campaign: campaign::Campaign,
}

#[derive(Subcommand)]
enum Command {
    /// Run one command in one guest, with the tracer at /job/tracer; output and exit code are passed through
    Run(one::Options),
}

/// Does it.
pub fn run(options: &Options) -> Result<ExitCode> {
    match &options.command {
        Some(Command::Run(options)) => one::run(options),
        None => campaign::run(&options.campaign),
    }
}
