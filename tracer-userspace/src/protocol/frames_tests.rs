//! Frames of one kind byte and a length, whole and in pieces, with gaps in every place.

use super::*;
use crate::event::Mover;

/// A kind, then how many bytes follow, in two bytes.
struct Short;

impl Framing for Short {
    fn header(&self) -> usize {
        3
    }

    fn length(&self, header: &[u8]) -> Option<u64> {
        let [kind, high, low] = header.try_into().ok()?;
        (kind != b'!').then(|| 3 + u64::from(u16::from_be_bytes([high, low])))
    }
}

fn frame(kind: u8, len: u16) -> Vec<u8> {
    let mut bytes = vec![kind];
    bytes.extend(len.to_be_bytes());
    bytes.extend((0..len).map(|at| at as u8));
    bytes
}

fn bytes(data: &[u8], at: u64) -> Piece<'_> {
    let stamp = Stamp { at: Nanos(at), ..Stamp::default() };
    let seq = at as u32 * 1000;
    Piece::Bytes(Bytes { data, starts: false, ends_call: true, call_len: data.len() as u64, seq, stamp })
}

fn gap(len: u64, at: u64) -> Piece<'static> {
    Piece::Gap(Gap { len, last: Nanos(at), by: Mover::default(), tail: None })
}

/// `kind len kept first last` for frames, other words for the rest.
fn cut(frames: &mut Frames, pieces: &[Piece<'_>]) -> Vec<String> {
    let mut out = Vec::new();
    for piece in pieces {
        frames.feed(&Short, *piece, &mut |cut| {
            out.push(match cut {
                Cut::Frame(frame) => {
                    let (kind, kept) = (char::from(frame.bytes[0]), frame.bytes.len());
                    format!("{kind} {} {kept} {} {}", frame.len, frame.first.at.0, frame.last.at.0)
                }
                Cut::Broken(bytes, _) => format!("broken {bytes}"),
                Cut::Lost(bytes, _) => format!("lost {bytes}"),
                Cut::Passed(bytes, _) => format!("passed {bytes}"),
            });
        });
    }
    out
}

#[test]
fn any_split_gives_the_same_frames() {
    let stream: Vec<u8> = [frame(b'a', 5), frame(b'b', 0), frame(b'c', 300)].concat();
    for split in 1..stream.len() {
        let (one, two) = stream.split_at(split);
        let mut frames = Frames::new(64, true);
        let told = cut(&mut frames, &[bytes(one, 1), bytes(two, 2)]);
        let names: Vec<&str> = told.iter().map(|told| told.get(..told.len() - 4).unwrap()).collect();
        assert_eq!(names, ["a 8 8", "b 3 3", "c 303 64"], "split at {split}");
        assert_eq!(frames.pending(), 0);
    }
    let mut frames = Frames::new(64, true);
    let each: Vec<Piece<'_>> = stream.chunks(1).zip(1..).map(|(byte, at)| bytes(byte, at)).collect();
    assert_eq!(cut(&mut frames, &each), ["a 8 8 1 8", "b 3 3 9 11", "c 303 64 12 314"]);
}

#[test]
fn a_gap_within_a_frame_loses_nothing() {
    let stream: Vec<u8> = [frame(b'a', 100), frame(b'b', 1)].concat();
    let mut frames = Frames::new(64, true);
    let told = cut(&mut frames, &[bytes(&stream[..10], 1), gap(50, 2), bytes(&stream[60..], 3)]);
    assert_eq!(told, ["a 103 10 1 3", "b 4 4 3 3"]);
    let told = cut(&mut frames, &[bytes(&stream[..10], 4), gap(93, 5), bytes(&frame(b'c', 0), 6)]);
    assert_eq!(told, ["a 103 10 4 5", "c 3 3 6 6"]);
}

#[test]
fn a_gap_beyond_a_frame_loses_the_position_until_it_is_found() {
    let stream = frame(b'a', 100);
    let mut frames = Frames::new(64, true);
    let told = cut(&mut frames, &[bytes(&stream[..10], 1), gap(200, 2), bytes(&stream, 3), gap(7, 4)]);
    assert_eq!(told, ["a 103 10 1 2", "lost 107", "passed 103", "lost 7"]);
    assert!(frames.is_lost());
    frames.resume();
    assert_eq!(cut(&mut frames, &[bytes(&frame(b'd', 2), 5)]), ["d 5 5 5 5"]);
    assert_eq!(cut(&mut frames, &[bytes(b"x\0", 6), gap(5, 7)]), ["lost 7"]);
}

#[test]
fn what_is_no_frame_is_told_with_all_its_bytes() {
    let mut frames = Frames::new(64, true);
    let stream = [frame(b'a', 1), b"!!!!!".to_vec()].concat();
    assert_eq!(cut(&mut frames, &[bytes(&stream, 1)]), ["a 4 4 1 1", "broken 5"]);
    assert!(frames.is_lost());
}

#[test]
fn the_position_of_a_frame_is_that_of_its_first_byte() {
    let mut frames = Frames::new(64, true);
    let stream = [frame(b'a', 1), frame(b'b', 1)].concat();
    let mut seqs = Vec::new();
    frames.feed(&Short, bytes(&stream, 7), &mut |cut| {
        if let Cut::Frame(frame) = cut {
            seqs.push(frame.seq);
        }
    });
    assert_eq!(seqs, [7000, 7004]);
}
