//! What a quiet capture teaches about a busy one, on the checked-in captures of real runtimes: more links, and no worse ones.

use std::path::PathBuf;

use tracer_tests::accuracy::fixture;
use tracer_tests::accuracy::judge::{CAPTURE, Judge};

/// Links that are right, and links that are not, of a fixture analysed with the help of another.
fn links(busy: &str, quiet: Option<&str>) -> (usize, usize) {
    let directory = fixture::directory();
    let learned = quiet.map(|quiet| directory.join(quiet).join(CAPTURE).display().to_string());
    let arguments = learned.into_iter().flat_map(|file| ["--learned".to_owned(), file]).collect();
    let tracer = PathBuf::from(env!("CARGO_BIN_EXE_tracer"));
    let judge = Judge { tracer, arguments, audit: false };
    let score = match judge.judge(&directory.join(busy)) {
        Ok(judged) => judged.score,
        Err(error) => panic!("{busy}: {error}"),
    };
    (score.right, score.wrong)
}

#[test]
fn a_quiet_capture_helps_a_busy_one() {
    let alone = links("tokio-sequential-32", None);
    let helped = links("tokio-sequential-32", Some("tokio-sequential-8"));
    assert!(helped.0 > alone.0 && helped.1 <= alone.1 + 2, "{helped:?} after {alone:?}");
}

#[test]
fn a_capture_of_another_version_of_the_service_does_no_harm() {
    let alone = links("asyncio-sequential-32", None);
    assert_eq!(links("asyncio-sequential-32", Some("asyncio-fanout-8")), alone);
}

#[test]
fn the_same_input_gives_the_same_links() {
    let run = || links("asyncio-sequential-32", Some("asyncio-sequential-8"));
    assert_eq!(run(), run());
}
