//! Conversations with a PostgreSQL server.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracer_userspace::fuzzed::run("postgres", data));
