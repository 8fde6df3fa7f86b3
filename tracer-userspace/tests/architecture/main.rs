//! Holds the source against what docs/architecture.md says of it: one direction of flow, a pure core, and one module that knows aya.
//! Tests, and what only tests use, may do as they like.

mod sources;

use sources::{Source, sources};

/// The modules from below to above: each may use those before it, and itself.
#[rustfmt::skip]
const UPWARDS: &[&str] = &[
    "time", "random", "arena", "text", "secret",
    "service", "event", "exchange", "protocol", "stream", "process", "target",
    "causality", "trace", "analysis", "exchanges", "tcap",
    "spans", "breakdown", "measure", "metrics", "export", "report",
    "capture", "recording", "cli",
];

/// What talks to the kernel, to files, to collectors and to people. All others know nothing of the world but what they are given.
const OUTSIDE: &[&str] = &["export", "capture", "recording", "cli"];

/// What reads the world or changes it, by the beginning of its path; and clocks, by any name that leads to them.
const WORLD: &[&str] = &[
    "std::fs",
    "std::thread",
    "std::process",
    "std::os",
    "std::env::var",
    "std::env::args",
    "std::net::Tcp",
    "std::net::Udp",
    "std::io::stdin",
    "std::io::stdout",
    "std::io::stderr",
    "tokio",
    "libc",
    "rustix",
    "socket2",
    "tempfile",
];

fn offences(of: &[Source], wrong: impl Fn(&Source, &str) -> bool) -> Vec<String> {
    let mut found: Vec<String> = of
        .iter()
        .flat_map(|source| source.paths.iter().map(move |path| (source, path)))
        .filter(|(source, path)| wrong(source, path))
        .map(|(source, path)| format!("{} uses {path}", source.file))
        .collect();
    found.sort();
    found.dedup();
    found
}

#[test]
fn every_module_has_its_place() {
    let mut all: Vec<String> = sources().into_iter().map(|source| source.module).collect();
    all.sort();
    all.dedup();
    let mut placed: Vec<&str> = UPWARDS.to_vec();
    placed.sort_unstable();
    assert_eq!(all, placed, "a new module needs a place in UPWARDS, and in docs/architecture.md");
}

#[test]
fn modules_use_what_lies_below_them() {
    let place = |module: &str| UPWARDS.iter().position(|one| *one == module);
    let found = offences(&sources(), |source, path| {
        let Some(used) = path.strip_prefix("crate::").and_then(|path| path.split("::").next()) else {
            return false;
        };
        // What lies in the root of the crate itself has no place.
        place(used).is_some_and(|used| place(&source.module).is_none_or(|own| used > own))
    });
    assert_eq!(found, [""; 0], "these look upwards");
}

#[test]
fn the_core_knows_no_world() {
    let found = offences(&sources(), |source, path| {
        !OUTSIDE.contains(&source.module.as_str())
            && (WORLD.iter().any(|world| path.starts_with(world))
                || path.split("::").any(|name| ["Instant", "SystemTime"].contains(&name)))
    });
    assert_eq!(found, [""; 0], "these have a clock, a thread, or I/O");
}

#[test]
fn only_capture_knows_aya() {
    let found = offences(&sources(), |source, path| {
        let krate = path.split("::").next().unwrap_or(path);
        krate.starts_with("aya") && source.module != "capture"
    });
    assert_eq!(found, [""; 0]);
}

/// Otherwise the others might find nothing because nothing was looked at.
#[test]
fn the_sources_are_found_and_read() {
    let all = sources();
    let uses = |module: &str, path: &str| {
        all.iter().any(|source| source.module == module && source.paths.iter().any(|one| one == path))
    };
    assert!(uses("stream", "crate::protocol::Parser"), "in braces, in a use");
    assert!(uses("capture", "aya::Ebpf"));
    assert!(uses("cli", "std::fs::File"));
    assert!(all.len() > 250, "{}", all.len());
    let of_tests = |source: &&Source| source.file.contains("tests") || source.file.contains("fuzzed");
    assert_eq!(all.iter().find(of_tests).map(|source| &source.file), None);
}
