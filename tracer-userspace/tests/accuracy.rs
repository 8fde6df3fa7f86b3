//! The captures of real runtimes under load that are checked in: no link may be worse than it was.
//!
//! `cargo xtask accuracy --fixtures` records them, docs/accuracy.md says what they are.

use std::path::PathBuf;

use tracer_tests::accuracy::fixture;
use tracer_tests::accuracy::judge::Judge;

#[test]
fn no_fixture_scores_worse_than_before() {
    let tracer = PathBuf::from(env!("CARGO_BIN_EXE_tracer"));
    let judge = Judge { tracer, arguments: Vec::new(), audit: true };
    let worse = fixture::compare(&fixture::directory(), &judge).unwrap();
    assert!(
        worse.is_empty(),
        "worse than in tests/fixtures/accuracy/scores.json (if that is meant: cargo xtask accuracy --scores):\n{}",
        worse.join("\n")
    );
}
