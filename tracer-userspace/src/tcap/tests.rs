//! What goes into a file comes out of it; and what is broken is told, and harms nothing else.

use super::frame::{self, HEAD, PREAMBLE};
use super::samples::{description, file, learned, observations};
use super::*;
use crate::analysis::{Analysis, Observation};
use crate::export::json::ToJson;
use crate::time::{ClockAnchor, Nanos};

fn read(bytes: &[u8]) -> (Vec<Told>, Vec<Damage>) {
    let mut reader = Reader::open(bytes).unwrap();
    assert_eq!(reader.description(), &description());
    let mut told = Vec::new();
    while let Some(next) = reader.read_next().unwrap() {
        told.push(next);
    }
    assert_eq!((reader.unknown_frames, reader.unknown_observations), (0, 0));
    (told, reader.damages)
}

fn observed(told: &[Told]) -> Vec<&Observation> {
    told.iter()
        .filter_map(|told| match told {
            Told::Observation(observation) => Some(observation),
            _ => None,
        })
        .collect()
}

/// The spans as they are written.
fn analysed(observations: impl IntoIterator<Item = Observation>) -> Vec<u8> {
    let mut analysis = Analysis::new(description().clock);
    let mut json = Vec::new();
    let mut out = |span: crate::trace::Span| span.to_json(&mut json);
    for observation in observations {
        analysis.observe(observation, &mut out);
    }
    analysis.finish(&mut out);
    json
}

#[test]
fn what_goes_in_comes_out() {
    let all = observations(25);
    let (told, damages) = read(&file(&all, 40));
    assert_eq!(damages, []);
    assert_eq!(observed(&told), all.iter().collect::<Vec<_>>());
    assert_eq!(told.last(), Some(&Told::Ledger(b"{\"events_lost\":0}".to_vec())));
    assert!(told.contains(&Told::Clock(ClockAnchor { monotonic: Nanos(9), unix_nanos: 10 })));
    assert!(told.contains(&Told::Learned(Box::new(learned()))));
    assert!(!told.contains(&Told::Hole));
}

#[test]
fn spans_from_a_file_are_those_of_the_live_run() {
    let all = observations(200);
    let (told, _) = read(&file(&all, 33));
    let live = analysed(all);
    let later = analysed(observed(&told).into_iter().cloned());
    assert!(live.len() > 100_000, "{}", live.len());
    assert_eq!(live, later);
}

#[test]
fn a_file_cut_off_anywhere_is_read_up_to_its_last_whole_frame() {
    let all = observations(6);
    let bytes = file(&all, 10);
    let mut most = 0;
    for end in 0..bytes.len() {
        let cut = &bytes[..end];
        let mut reader = match Reader::open(cut) {
            Ok(reader) => reader,
            Err(problem) => {
                assert!(end < PREAMBLE + HEAD + 200, "{end}: {problem}");
                assert_eq!(matches!(problem, Problem::Empty), end == 0, "{end}");
                continue;
            }
        };
        let mut seen = 0;
        while let Some(told) = reader.read_next().unwrap() {
            assert_ne!(told, Told::Hole, "{end}");
            if let Told::Observation(observation) = told {
                assert_eq!(observation, all[seen], "{end}");
                seen += 1;
            }
        }
        assert!(seen >= most, "{end}");
        most = seen;
        assert_eq!(reader.damages, [Damage::CutOff { offset: end as u64 }]);
    }
    assert_eq!(most, all.len());
}

#[test]
fn any_flipped_byte_costs_one_frame_and_is_told_with_its_place() {
    let all = observations(6);
    let bytes = file(&all, 10);
    let description_end = {
        let head = frame::Head::parse(bytes[PREAMBLE..].first_chunk().unwrap()).unwrap();
        PREAMBLE + HEAD + head.stored as usize
    };
    for at in 0..bytes.len() {
        let mut broken = bytes.clone();
        broken[at] ^= 0x41;
        // The minor version may be any.
        let mut reader = match Reader::open(&*broken) {
            Ok(reader) => reader,
            Err(_) => {
                assert!(at < 10, "{at}");
                continue;
            }
        };
        assert_eq!(reader.description().clock, description().clock);
        let (mut seen, mut holes) = (0, 0);
        while let Some(told) = reader.read_next().unwrap() {
            match told {
                Told::Observation(observation) => {
                    assert!(all.contains(&observation));
                    seen += 1;
                }
                Told::Hole => holes += 1,
                _ => {}
            }
        }
        if at < PREAMBLE {
            assert_eq!((seen, reader.damages.len()), (all.len(), 0), "{at}");
            continue;
        }
        assert!(seen + 10 >= all.len(), "{at}: {seen} of {}", all.len());
        match reader.damages.as_slice() {
            [Damage::Corrupt { offset, bytes }] => {
                assert!((*offset..offset + bytes).contains(&(at as u64)), "{at}: {:?}", reader.damages);
                // Before the first observation nothing is interrupted.
                assert_eq!(holes, usize::from(at >= description_end), "{at}");
            }
            // In the last frame there is nothing behind it that could be found again.
            [.., Damage::CutOff { .. }] => assert!(at + HEAD >= bytes.len(), "{at}"),
            other => panic!("{at}: {other:?}"),
        }
    }
}

#[test]
fn a_hole_is_no_reason_to_link_across_it() {
    let all = observations(3);
    let mut analysis = Analysis::new(description().clock);
    let mut spans = Vec::new();
    let (before, after) = all.split_at(6);
    for observation in before {
        analysis.observe(observation.clone(), &mut |span| spans.push(span));
    }
    analysis.interrupted(&mut |span| spans.push(span));
    for observation in after {
        analysis.observe(observation.clone(), &mut |span| spans.push(span));
    }
    analysis.finish(&mut |span| spans.push(span));
    // The first call was cut in two; the other two are whole.
    assert_eq!(analysis.stats().joined, 3, "{:?}", analysis.stats());
    assert_eq!(spans.len() as u64, analysis.stats().spans);
}

#[test]
fn what_is_no_capture_is_told_in_one_sentence() {
    let all = file(&observations(1), 10);
    let newer = {
        let mut bytes = all.clone();
        bytes[8] = 2;
        bytes
    };
    let both_damaged = {
        let mut bytes = all.clone();
        let head = frame::Head::parse(bytes[PREAMBLE..].first_chunk().unwrap()).unwrap();
        let clock = PREAMBLE + HEAD + head.stored as usize;
        bytes[PREAMBLE + HEAD] ^= 1;
        bytes[clock + HEAD] ^= 1;
        bytes
    };
    let never_written = {
        let mut bytes = all.clone();
        bytes[8] = 0;
        bytes
    };
    for (bytes, word) in [
        (b"".as_slice(), "empty"),
        (b"\x89tca", "no capture"),
        (b"[{\"traceId\": 1}]", "no capture"),
        (b"\x89tcap\r\n\x1a", "no capture"),
        (&newer, "version 2.2"),
        (&never_written, "version 0.2"),
        (&both_damaged, "description"),
        (&all[..PREAMBLE + 3], "description"),
        (&all[..PREAMBLE], "description"),
    ] {
        let Err(problem) = Reader::open(bytes) else { panic!("{word}") };
        let text = problem.to_string();
        assert!(text.contains(word) && text.contains("record"), "{text}");
    }
}

#[test]
fn frames_of_later_versions_are_passed_over() {
    let all = observations(2);
    let mut bytes = file(&all[..5], 100);
    // Before the last frame, which is empty.
    let end = bytes.split_off(bytes.len() - HEAD);
    frame::pack(200, b"something new", &mut bytes);
    let mut packed_anew = Vec::new();
    frame::pack(201, b"", &mut packed_anew);
    bytes.extend(packed_anew);
    bytes.extend(end);
    bytes[10] = 9; // the minor version
    let mut reader = Reader::open(&*bytes).unwrap();
    let mut seen = 0;
    while let Some(told) = reader.read_next().unwrap() {
        seen += usize::from(matches!(told, Told::Observation(_)));
    }
    assert_eq!((seen, reader.unknown_frames, reader.damages), (5, 2, vec![]));
}

#[test]
fn an_outcome_of_a_later_version_is_not_read_as_complete() {
    let end = wire::End { outcome: 99, ..wire::End::default() };
    let batch = wire::Batch {
        conns: vec![wire::Conn::default()],
        items: vec![wire::Item { kind: Some(wire::Kind::End(end)) }],
        ..wire::Batch::default()
    };
    let mut bytes = file(&[], 1);
    let end = bytes.split_off(bytes.len() - HEAD);
    frame::pack(frame::kind::BATCH, &prost::Message::encode_to_vec(&batch), &mut bytes);
    bytes.extend(end);
    let mut reader = Reader::open(&*bytes).unwrap();
    while let Some(told) = reader.read_next().unwrap() {
        assert!(!matches!(told, Told::Observation(_)), "{told:?}");
    }
    assert_eq!(reader.unknown_observations, 1);
}

#[test]
fn holes_are_told_behind_a_thousand_damages_too() {
    let all = observations(1);
    let mut bytes = file(&all[..1], 10);
    bytes.truncate(bytes.len() - HEAD);
    for _ in 0..1100 {
        bytes.extend_from_slice(b"not a frame");
        frame::pack(frame::kind::LEDGER, b"{}", &mut bytes);
    }
    frame::pack(frame::kind::END, b"", &mut bytes);
    let mut reader = Reader::open(&*bytes).unwrap();
    let mut holes = 0;
    while let Some(told) = reader.read_next().unwrap() {
        holes += usize::from(told == Told::Hole);
    }
    assert_eq!((holes, reader.damages.len()), (1100, 1000));
}

#[test]
fn observations_of_a_broken_form_cost_only_themselves() {
    let mut bytes = file(&observations(1)[..0], 10);
    let end = bytes.split_off(bytes.len() - HEAD);
    // A watermark, an item that is cut off, an item of no kind, a watermark.
    frame::pack(frame::kind::BATCH, b"\x22\x02\x40\x02\x22\x02\x0a\x7f\x22\x00\x22\x02\x40\x04", &mut bytes);
    // A field that is longer than the batch.
    frame::pack(frame::kind::BATCH, b"\x22\x7f\x40", &mut bytes);
    bytes.extend(end);
    let mut reader = Reader::open(&*bytes).unwrap();
    let mut told = Vec::new();
    while let Some(next) = reader.read_next().unwrap() {
        told.push(next);
    }
    let watermark = |at| Told::Observation(Observation::Watermark(Nanos(at)));
    assert_eq!(told[told.len() - 3..], [watermark(1), watermark(2), Told::Hole]);
    assert_eq!((reader.unknown_observations, reader.unknown_frames), (2, 1));
}
