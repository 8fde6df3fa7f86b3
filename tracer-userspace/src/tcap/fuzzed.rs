//! Capture files: any bytes; and frames whose checksums are right around whatever a fuzzer chooses, since it would not
//! guess a checksum.

use prost::Message;

use super::frame::{self, HEAD, Head, MAGIC, PREAMBLE, kind};
use super::reader::{Damage, Reader, Told};
use super::{MAJOR, MINOR, wire, wire_learned};
use crate::analysis::Analysis;
use crate::fuzzed::Input;

/// `data` as a file: as it is, or after the preamble.
pub(crate) fn bytes(data: &[u8]) {
    let mut input = Input::new(data);
    let file = match input.byte() % 3 {
        0 => input.rest().to_vec(),
        1 => [preamble(), input.rest().to_vec()].concat(),
        _ => {
            let mut file = begun();
            file.extend_from_slice(input.rest());
            file
        }
    };
    read(&file);
}

fn preamble() -> Vec<u8> {
    [MAGIC.as_slice(), &MAJOR.to_le_bytes(), &MINOR.to_le_bytes()].concat()
}

/// A file with its description.
fn begun() -> Vec<u8> {
    let mut file = preamble();
    let clock = wire::Clock { monotonic: 1_000, unix: 1_700_000_000_000_000_000 };
    let description = wire::Description { clock, ..wire::Description::default() };
    frame::pack(kind::DESCRIPTION, &description.encode_to_vec(), &mut file);
    file
}

/// A frame whose parts are all chosen, with right checksums.
fn forged(input: &mut Input<'_>, payload: &[u8], file: &mut Vec<u8>) {
    let plain = match input.byte() % 4 {
        0 => payload.len() as u64,
        1 => u64::from(input.byte()),
        2 => u64::from(input.word()) << 8,
        _ => input.number(),
    };
    let head = Head {
        kind: input.byte() % 8,
        packing: input.byte() % 3,
        stored: payload.len() as u32,
        plain: plain as u32,
        crc: crc32fast::hash(payload),
    };
    file.extend_from_slice(&head.to_bytes());
    file.extend_from_slice(payload);
}

/// The ledgers that mark places in the file: whichever is not touched must come out again.
fn mark(number: u8, file: &mut Vec<u8>) {
    frame::pack(kind::LEDGER, &[b'm', number], file);
}

/// A file put together frame by frame, some of them hostile, with marks between them.
pub(crate) fn frames(data: &[u8]) {
    let mut input = Input::new(data);
    let mut file = begun();
    let (mut marks, mut ended) = (0u8, false);
    while !input.is_empty() && marks < 32 {
        let before = file.len();
        match input.byte() % 9 {
            0 => {
                let payload = input.bytes();
                forged(&mut input, payload, &mut file);
            }
            1 => frame::pack(kind::BATCH, input.bytes(), &mut file),
            2 => {
                let (byte, times) = (input.byte(), usize::from(input.word()));
                frame::pack(kind::BATCH, &vec![byte; times], &mut file);
            }
            3 => frame::pack(input.byte() % 8, input.bytes(), &mut file),
            4 => file.extend_from_slice(input.bytes()),
            5 => {
                // A frame of ours with some bytes changed.
                mark(200, &mut file);
                let len = file.len() - before;
                for _ in 0..1 + input.byte() % 3 {
                    let at = before + usize::from(input.byte()) % len;
                    if let Some(byte) = file.get_mut(at) {
                        *byte ^= input.byte();
                    }
                }
            }
            6 => {
                let batch = batch(&mut input);
                frame::pack(kind::BATCH, &batch.encode_to_vec(), &mut file);
            }
            7 => frame::pack(kind::LEARNED, &learned(&mut input).encode_to_vec(), &mut file),
            _ => {
                // Cut short.
                mark(201, &mut file);
                file.truncate(before + usize::from(input.byte()) % (file.len() - before));
            }
        }
        ended |= says_end(file.get(before..).unwrap_or_default());
        // A frame that was cut short takes the bytes that it lacks from what follows: not from the mark.
        file.extend_from_slice(&[0; 8]);
        mark(marks, &mut file);
        marks += 1;
    }
    frame::pack(kind::END, b"", &mut file);
    let found = read(&file);
    if !ended && !swallows(&file) {
        let expected: Vec<u8> = (0..marks).collect();
        let found: Vec<u8> = found.into_iter().filter(|number| *number < 200).collect();
        assert_eq!(found, expected, "marks between damaged frames were lost");
    }
}

/// Whether these bytes hold what reads as the end of a capture.
fn says_end(bytes: &[u8]) -> bool {
    heads(bytes).any(|(_, head)| head.kind == kind::END)
}

/// Whether a head that was forged claims bytes beyond those that were made for it.
fn swallows(file: &[u8]) -> bool {
    heads(file).any(|(at, head)| {
        file.get(at + HEAD..at + HEAD + head.stored as usize)
            .is_none_or(|payload| crc32fast::hash(payload) != head.crc)
    })
}

fn heads(bytes: &[u8]) -> impl Iterator<Item = (usize, Head)> {
    (0..bytes.len()).filter_map(|at| {
        let head = bytes.get(at..)?.first_chunk::<HEAD>()?;
        Some((at, Head::parse(head)?))
    })
}

/// Something learned of plausible form, with numbers from anywhere.
fn learned(input: &mut Input<'_>) -> wire_learned::Learned {
    let operations = |input: &mut Input<'_>| {
        let words = |input: &mut Input<'_>| String::from_utf8_lossy(input.bytes()).into_owned();
        (0..input.byte() % 40)
            .map(|_| wire_learned::Operation { words: words(input), to: words(input) })
            .collect()
    };
    let small = |input: &mut Input<'_>| match input.byte() {
        255 => input.number() as u32,
        byte => u32::from(byte % 40),
    };
    let several = |input: &mut Input<'_>| (0..input.byte() % 8).map(|_| small(input)).collect::<Vec<u32>>();
    let counted = |input: &mut Input<'_>| wire_learned::Counted {
        request: small(input),
        after: small(input),
        nth: small(input),
        next: small(input),
        way: small(input) as i32,
        steps: input.number() as u32,
        gap_bins: several(input),
        gap_counts: several(input),
        evidence_bins: several(input),
        evidence_counts: several(input),
        pairs: input.number() as u32,
        crossed: small(input),
    };
    let mut services = Vec::new();
    for _ in 0..input.byte() % 3 {
        services.push(wire_learned::Service {
            name: String::from_utf8_lossy(input.take(1)).into_owned(),
            requests: operations(input),
            calls: operations(input),
            steps: (0..input.byte() % 16).map(|_| counted(input)).collect(),
            random: (0..input.byte() % 4).map(|_| counted(input)).collect(),
        });
    }
    let evidence = ["thread", "wake", "loop-turns", "?"].map(str::to_owned).to_vec();
    wire_learned::Learned { division: u32::from(!input.byte().is_multiple_of(8)), evidence, services }
}

/// A batch of plausible form, with numbers from anywhere.
fn batch(input: &mut Input<'_>) -> wire::Batch {
    let mut batch = wire::Batch { base: input.number(), ..wire::Batch::default() };
    for _ in 0..input.byte() % 4 {
        batch.conns.push(wire::Conn { name: input.number(), born: input.number() });
    }
    for _ in 0..input.byte() % 4 {
        batch.texts.push(String::from_utf8_lossy(input.bytes()).into_owned());
    }
    for _ in 0..input.byte() % 32 {
        batch.items.push(wire::Item { kind: Some(item(input)) });
    }
    batch
}

fn stamp(input: &mut Input<'_>) -> wire::Stamp {
    wire::Stamp {
        at: input.number() as i64,
        tgid: u32::from(input.byte() % 4),
        tid: u32::from(input.byte() % 4),
        turn: u32::from(input.byte() % 4),
        waker: u32::from(input.byte() % 4),
        woken: input.number() as i64,
        task: input.number(),
        parent_task: input.number(),
        waker_turn: u32::from(input.byte() % 4),
    }
}

fn item(input: &mut Input<'_>) -> wire::Kind {
    let conn = u32::from(input.byte() % 5);
    match input.byte() % 8 {
        0 => wire::Kind::Open(wire::Open {
            conn,
            stamp: stamp(input),
            local: input.take(4).to_vec(),
            local_port: input.number() as u32,
            remote: input.take(4).to_vec(),
            remote_port: u32::from(input.byte()),
            role: i32::from(input.byte() % 4),
            ..wire::Open::default()
        }),
        1 => wire::Kind::Request(wire::Request {
            conn,
            number: input.number() as u32,
            client: input.byte() & 1 == 0,
            first: input.number() as i64,
            stamp: stamp(input),
            seq: input.number() as u32,
            method: u32::from(input.byte() % 4),
            target: String::from_utf8_lossy(input.bytes()).into_owned(),
            traceparent: input.take(24).to_vec(),
            contexts: (0..input.byte() % 3)
                .map(|_| wire::Context {
                    format: i32::from(input.byte() % 7),
                    trace: input.take(16).to_vec(),
                    span: u64::from(input.byte()),
                    parent: u64::from(input.byte()),
                })
                .collect(),
            tokens: (0..input.byte() % 12).map(u64::from).collect(),
            token_sources: (0..input.byte() % 12).map(u32::from).collect(),
            kept: (0..input.byte() % 3)
                .map(|_| wire::Kept { name: u32::from(input.byte() % 4), value: "v".to_owned() })
                .collect(),
            ..wire::Request::default()
        }),
        2 => wire::Kind::Response(wire::Response {
            conn,
            number: input.number() as u32,
            stamp: stamp(input),
            status: input.number() as u32,
            ..wire::Response::default()
        }),
        3 => wire::Kind::End(wire::End {
            conn,
            number: input.number() as u32,
            end: input.number() as i64,
            request_bytes: input.number(),
            response_bytes: input.number(),
            outcome: i32::from(input.byte() % 10),
            ..wire::End::default()
        }),
        4 => wire::Kind::Close(wire::Close { conn, at: input.number() as i64 }),
        5 => wire::Kind::Change(wire::Change {
            stamp: stamp(input),
            what: i32::from(input.byte() % 4),
            parent: u32::from(input.byte() % 4),
            comm: input.take(16).to_vec(),
        }),
        6 => wire::Kind::Process(Box::new(wire::Process {
            begin: input.number() as i64,
            end: input.number() as i64,
            pid: u32::from(input.byte() % 4),
            comm: String::from_utf8_lossy(input.bytes()).into_owned(),
            ..wire::Process::default()
        })),
        _ => wire::Kind::Watermark(input.number() as i64),
    }
}

/// Reads a file to its end, analyses what it says, and checks what is said of its state. Returns the marks.
fn read(file: &[u8]) -> Vec<u8> {
    let Ok(mut reader) = Reader::open(file) else { return Vec::new() };
    let mut analysis = Analysis::new(reader.description().clock);
    let (mut spans, mut requests, mut marks) = (0u64, 0u64, Vec::new());
    loop {
        let told = match reader.read_next() {
            Ok(Some(told)) => told,
            Ok(None) => break,
            Err(error) => panic!("reading memory does not fail: {error}"),
        };
        match told {
            Told::Observation(observation) => {
                let is_request = matches!(
                    &observation,
                    crate::analysis::Observation::Step(crate::exchange::Step::Request { .. })
                );
                requests += u64::from(is_request);
                analysis.observe(observation, &mut |_| spans += 1);
            }
            Told::Hole => analysis.interrupted(&mut |_| spans += 1),
            Told::Ledger(text) => {
                if let [b'm', number] = text.as_slice() {
                    marks.push(*number);
                }
            }
            Told::Learned(learned) => analysis = analysis.taught(*learned),
            Told::Clock(_) => {}
        }
    }
    analysis.finish(&mut |_| spans += 1);
    assert_eq!(spans, analysis.stats().spans);
    assert!(spans <= requests, "{spans} spans of {requests} requests");
    assert!(matches!(reader.read_next(), Ok(None)), "after the end there is nothing");
    let mut at = PREAMBLE as u64;
    for damage in &reader.damages {
        match damage {
            Damage::Corrupt { offset, bytes } => {
                assert!(*offset >= at && *bytes > 0, "{:?}", reader.damages);
                at = offset + bytes;
            }
            Damage::CutOff { offset } => {
                assert_eq!(*offset, file.len() as u64);
                at = *offset;
            }
        }
    }
    assert!(at <= file.len() as u64, "{:?}", reader.damages);
    marks
}

#[cfg(test)]
mod tests {
    use super::super::frame::packing;
    use super::*;

    #[test]
    fn forged_frames_are_read_as_frames() {
        let mut file = begun();
        forged(&mut Input::new(&[0, kind::LEDGER, packing::PLAIN]), b"m\x07", &mut file);
        assert_eq!(read(&file), [7]);
    }
}
