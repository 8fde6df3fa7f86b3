//! `tracer doctor --bundle`: one file with all that a bug report needs, and nothing that is nobody else's business.
//!
//! Gathered here is the kernel's description and what the tracer made of it. Host and user names, processes, addresses
//! and other people's files are not read in the first place; what free text may carry of them ([`scrub`]) is taken out.

mod archive;
mod kernel;
mod names;
mod scrub;
mod settings;
mod trials;

use std::fmt::Write as _;
use std::path::Path;

use anyhow::{Context, Result};

use super::report::Report;
use super::text;
use crate::capture::btf::Btf;
use crate::capture::facts::Roots;
use crate::cli::args::DoctorArgs;
use crate::cli::logger;

use scrub::Secrets;

/// A file in the bundle.
struct Item {
    /// Its path there.
    name: &'static str,
    /// Why it is there, for the person who is to send it.
    why: &'static str,
    content: Content,
}

enum Content {
    /// Free of secrets only after [`scrub`].
    Text(String),
    /// Type information.
    Types(Vec<u8>),
}

/// Gathers and writes the bundle. Returns what to tell the user about it.
pub fn write(path: &Path, args: &DoctorArgs, report: &Report) -> Result<String> {
    let secrets = Secrets::of_this_host(report.host.kernel.as_deref());
    let mut files: Vec<archive::File> = gather(args, report)?
        .into_iter()
        .map(|item| archive::File {
            name: item.name,
            why: item.why,
            bytes: match item.content {
                Content::Text(text) => secrets.scrub(&text).into_bytes(),
                Content::Types(bytes) => bytes,
            },
        })
        .collect();
    let manifest = manifest(&files);
    files.insert(
        0,
        archive::File { name: "manifest.txt", why: "what is in here and why", bytes: manifest.into_bytes() },
    );
    let size = archive::write(path, &files)?;
    let mut said = format!(
        "wrote {} ({}, readable only by you); in it:\n{}",
        path.display(),
        kib(size),
        listing(&files)
    );
    let _ = writeln!(
        said,
        "names of hosts, users and processes, and addresses, are not in it; to look before you send it: `tar xzf {}`",
        path.display()
    );
    Ok(said)
}

fn gather(args: &DoctorArgs, report: &Report) -> Result<Vec<Item>> {
    let roots = Roots::default();
    let mut items = Vec::new();
    let mut text = |name, why, text: String| items.push(Item { name, why, content: Content::Text(text) });
    text("doctor.txt", "what `tracer doctor` says, for people", text::render(report));
    text("doctor.json", "the same, for programs", report.to_json()?);
    text(
        "providers.json",
        "every way of seeing socket calls, each tried by itself",
        providers(args, report)?,
    );
    // After the trials, whose words these are.
    text(
        "log.txt",
        "what the tracer noted meanwhile, with the verifier's words on programs it refused",
        logger::kept(),
    );
    text(
        "kernel/version.txt",
        "which kernel this is, and which distribution is around it",
        kernel::version(&roots),
    );
    text("kernel/config.txt", "how it was built, as far as probes depend on it", kernel::config(&roots));
    text(
        "kernel/settings.txt",
        "settings in /proc/sys that allow, forbid or slow down probes",
        settings::sysctls(&roots),
    );
    text("kernel/mounts.txt", "which of the kernel's own file systems are mounted", settings::mounts(&roots));
    let types = kernel::types(&roots);
    let parsed = types.as_deref().ok().and_then(|bytes| Btf::parse(bytes).ok());
    text(
        "kernel/names.txt",
        "which functions and tracepoints that probes may use this kernel has; names only",
        names::table(&roots, parsed.as_ref()),
    );
    match types {
        Ok(bytes) => items.push(Item {
            name: "kernel/vmlinux.btf",
            why: "the kernel's type information: a property of the kernel's build alone, from which the offsets are found \
                  again elsewhere",
            content: Content::Types(bytes),
        }),
        Err(reason) => items.push(Item {
            name: "kernel/no-btf.txt",
            why: "why the kernel's type information is missing",
            content: Content::Text(reason),
        }),
    }
    if let Some(bytes) = args.btf.as_deref().and_then(kernel::given_types) {
        items.push(Item {
            name: "kernel/given.btf",
            why: "the type information that was given with --btf",
            content: Content::Types(bytes),
        });
    }
    Ok(items)
}

/// Each provider by force, whether or not it would be chosen.
fn providers(args: &DoctorArgs, report: &Report) -> Result<String> {
    let blocked = report.problems.iter().any(|problem| problem.severity == "blocks");
    let trials = if blocked { Vec::new() } else { trials::each_provider(args) };
    let mut text = serde_json::to_string_pretty(&trials).context("cannot write the trials as JSON")?;
    text.push('\n');
    Ok(text)
}

fn manifest(files: &[archive::File]) -> String {
    format!(
        "A support bundle of tracer {}, written by `tracer doctor --bundle`.\n\n{}\n\
         Left out on purpose: names of hosts, users and processes, command lines, environments, addresses of the network\n\
         and of the kernel, and the content of any file but those that the kernel itself provides for reading (and\n\
         /etc/os-release). Where a message had a name or address in it, <...> stands in its place.\n",
        env!("CARGO_PKG_VERSION"),
        listing(files),
    )
}

fn listing(files: &[archive::File]) -> String {
    let mut text = String::new();
    for file in files {
        // Writing to a string does not fail.
        let _ = writeln!(text, "  {:<20} {:>9}  {}", file.name, kib(file.bytes.len() as u64), file.why);
    }
    text
}

fn kib(bytes: u64) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}
