//! Arbitrary socket calls and arbitrary events through the stream and protocol stages.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracer_userspace::fuzzed::run("streams", data));
