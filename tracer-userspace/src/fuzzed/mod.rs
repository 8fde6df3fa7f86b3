//! What the fuzz targets run: one function for each, which takes any bytes and panics if something does not hold that must.
//! The tests run the same functions over the checked-in corpus (`test-support`; see docs/fuzzing.md).
//!
//! A target for something that only its own module can reach stands there, in a `fuzzed.rs` beside it.

mod analysis;
mod btf;
mod commands;
mod exchanges;
mod input;
mod records;
mod streams;
mod traces;

#[cfg(test)]
mod tests;

pub(crate) use input::Input;

/// A target: its name (that of its file in fuzz/fuzz_targets and of its corpus), and what it runs.
pub type Target = (&'static str, fn(&[u8]));

/// All targets, in the order of their names.
pub const TARGETS: &[Target] = &[
    ("amqp", crate::protocol::amqp::fuzzed::run),
    ("analysis", analysis::run),
    ("btf", btf::run),
    ("commands", commands::run),
    ("dns", crate::protocol::dns::fuzzed::run),
    ("exchanges", exchanges::run),
    ("fastcgi", crate::protocol::fastcgi::fuzzed::run),
    ("golang", crate::capture::fuzzed::go_programs),
    ("http1", crate::protocol::http1::fuzzed::run),
    ("http2", crate::protocol::http2::fuzzed::run),
    ("kafka", crate::protocol::kafka::fuzzed::run),
    ("kernel_text", crate::capture::fuzzed::kernel_text),
    ("memcached", crate::protocol::memcached::fuzzed::run),
    ("mongodb", crate::protocol::mongodb::fuzzed::run),
    ("mysql", crate::protocol::mysql::fuzzed::run),
    ("netlink", crate::capture::fuzzed::netlink),
    ("postgres", crate::protocol::postgres::fuzzed::run),
    ("records", records::run),
    ("redis", crate::protocol::redis::fuzzed::run),
    ("sql", crate::protocol::sql::fuzzed::run),
    ("streams", streams::run),
    ("tcap_bytes", crate::tcap::fuzzed::bytes),
    ("tcap_frames", crate::tcap::fuzzed::frames),
    ("traces", traces::run),
];

/// Runs the target of this name.
///
/// # Panics
///
/// If there is none, or if it found something.
pub fn run(name: &str, data: &[u8]) {
    match TARGETS.iter().find(|(known, _)| *known == name) {
        Some((_, run)) => run(data),
        None => panic!("there is no fuzz target {name}"),
    }
}
