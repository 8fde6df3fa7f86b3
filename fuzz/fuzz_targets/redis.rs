//! RESP messages, commands and answers by themselves.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracer_userspace::fuzzed::run("redis", data));
