//! Frames, methods and properties of AMQP by themselves.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracer_userspace::fuzzed::run("amqp", data));
