//! `cargo xtask kernels`: the tracer on every kernel that production runs, in emulated guests.
//!
//! Kernels are Debian's packages ([`versions`], [`apt`], [`fetch`]); guests are QEMU runs ([`guest`]) with an initramfs
//! written here ([`cpio`], [`initramfs`], [`modules`]) and a small root image of real services ([`image`]).

mod apt;
mod console;
mod cpio;
mod fetch;
mod guest;
mod image;
mod initramfs;
mod laboratory;
mod modules;
mod one;
mod programs;
mod versions;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

/// What to do with kernels.
#[derive(Args)]
pub struct Options {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Run one command in one guest, with the tracer at /job/tracer; output and exit code are passed through
    Run(one::Options),
}

/// Does it.
pub fn run(options: &Options) -> Result<ExitCode> {
    match &options.command {
        Command::Run(options) => one::run(options),
    }
}
