//! Conversations with MongoDB put together of messages and pieces of them; documents by themselves.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracer_userspace::fuzzed::run("mongodb", data));
