//! Capture files of hostile frames with right checksums.
#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| tracer_userspace::fuzzed::run("tcap_frames", data));
