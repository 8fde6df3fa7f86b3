//! Conversations with Kafka put together of messages and pieces of them.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracer_userspace::fuzzed::run("kafka", data));
