//! Any bytes as a file of exchanges from elsewhere, read and analysed.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracer_userspace::fuzzed::run("exchanges", data));
