//! Heads, chunks, targets and trace contexts by themselves.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracer_userspace::fuzzed::run("http1", data));
