//! The ring's records, through the streams.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracer_userspace::fuzzed::run("records", data));
