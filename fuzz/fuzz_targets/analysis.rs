//! Whatever a capture may claim, through the pure end of a run.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracer_userspace::fuzzed::run("analysis", data));
