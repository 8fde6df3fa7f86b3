//! Memory under hostile input, measured: what one connection may cost, what all of them may, what a capture file may.
//! docs/fuzzing.md repeats the bounds; `cargo test -p tracer-userspace --test memory -- --nocapture` prints what was measured.

#![expect(clippy::unwrap_used, reason = "a test program: what cannot be made or read is a failure")]

mod heap;
mod streams;
mod tcap;

/// Says what was measured, and fails if it is more than the bound.
fn within(what: &str, bytes: usize, bound: usize) {
    println!("{what}: {bytes} bytes, bound {bound}");
    assert!(bytes <= bound, "{what}: {bytes} bytes are more than {bound}");
}
