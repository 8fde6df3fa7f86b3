//! Files of /proc and tracefs, and program files.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracer_userspace::fuzzed::run("kernel_text", data));
