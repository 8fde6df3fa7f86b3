//! Conversations on one HTTP/2 connection, header blocks, and any bytes as calls.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracer_userspace::fuzzed::run("http2", data));
