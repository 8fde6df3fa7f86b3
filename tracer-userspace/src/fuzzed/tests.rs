//! The corpus runs as a test: what was found once is looked at in every run.

use crate::exchange::Protocol;
use crate::random::Random;
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

/// Whatever protocol is told has been through a fuzzer.
#[test]
fn every_protocol_has_its_target() {
    for protocol in Protocol::ALL {
        let target = match protocol {
            Protocol::Http1 => "http1",
            Protocol::Http2 | Protocol::Grpc => "http2",
            Protocol::FastCgi => "fastcgi",
            Protocol::PostgreSql => "postgres",
            Protocol::MySql => "mysql",
            Protocol::Redis => "redis",
            Protocol::Memcached => "memcached",
            Protocol::MongoDb => "mongodb",
            Protocol::Dns => "dns",
            Protocol::Amqp => "amqp",
            Protocol::Kafka => "kafka",
        };
        assert!(TARGETS.iter().any(|(name, _)| *name == target), "{protocol:?}");
    }
}

#[test]
fn random_inputs_hold() {
    let mut random = Random::new(1);
    for (name, run) in TARGETS {
        for _ in 0..3_000 {
            let len = random.next() % 200;
            let input: Vec<u8> = (0..len).map(|_| (random.next() >> 24) as u8).collect();
            let caught = std::panic::catch_unwind(|| run(&input));
            assert!(caught.is_ok(), "{name}: {input:?}");
        }
    }
}
