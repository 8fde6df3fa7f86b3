//! The corpus runs as a test: what was found once is looked at in every run.

use std::fs;
use std::path::{Path, PathBuf};

use super::TARGETS;

fn fuzz() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../fuzz")
}

fn names(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap_or_else(|error| panic!("{}: {error}", folder.display()));
    let mut names: Vec<String> =
        entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

#[test]
fn the_corpus_of_every_target_holds() {
    for (name, run) in TARGETS {
        let folder = fuzz().join("corpus").join(name);
        let files = names(&folder);
        assert!(files.len() >= 5, "{name}: {} files", files.len());
        for file in files {
            let input = fs::read(folder.join(&file)).unwrap();
            // The harness shows this if what follows panics.
            println!("{name}/{file}");
            run(&input);
        }
    }
}

#[test]
fn every_target_has_its_program_and_its_corpus() {
    let wanted: Vec<&str> = TARGETS.iter().map(|(name, _)| *name).collect();
    assert_eq!(names(&fuzz().join("corpus")), wanted);
    let programs = names(&fuzz().join("fuzz_targets"));
    assert_eq!(programs, wanted.iter().map(|name| format!("{name}.rs")).collect::<Vec<_>>());
    let manifest = fs::read_to_string(fuzz().join("Cargo.toml")).unwrap();
    for name in wanted {
        assert!(manifest.contains(&format!("path = \"fuzz_targets/{name}.rs\"")), "{name}");
        let program = fs::read_to_string(fuzz().join(format!("fuzz_targets/{name}.rs"))).unwrap();
        assert!(program.contains(&format!("run(\"{name}\", data)")), "{name}: {program}");
    }
}

#[test]
fn random_inputs_hold() {
    let mut state = 0x9e37_79b9_7f4a_7c15u64;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        state
    };
    for (name, run) in TARGETS {
        for _ in 0..3_000 {
            let len = next() % 200;
            let input: Vec<u8> = (0..len).map(|_| (next() >> 24) as u8).collect();
            let caught = std::panic::catch_unwind(|| run(&input));
            assert!(caught.is_ok(), "{name}: {input:?}");
        }
    }
}
