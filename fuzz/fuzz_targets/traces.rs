//! Any bytes as a trace file, read and printed.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracer_userspace::fuzzed::run("traces", data));
