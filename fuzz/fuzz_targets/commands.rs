//! Command lines, environments and control groups, to names.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracer_userspace::fuzzed::run("commands", data));
