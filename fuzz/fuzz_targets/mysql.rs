//! MySQL packets in any order, cut off, lost and missed.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracer_userspace::fuzzed::run("mysql", data));
