//! What a capture file costs, whatever it claims. Files are made here byte by byte, as docs/capture-format.md says.

use tracer_userspace::analysis::Analysis;
use tracer_userspace::tcap::{Reader, Told};

use crate::heap::peak_of;
use crate::within;

/// Reading: a packed frame and the same unpacked (16 MiB each), its lists, one observation at a time.
const READING: usize = 48 << 20;
/// Analysis of whatever was read.
const ANALYSIS: usize = 320 << 20;

const DESCRIPTION: u8 = 1;
const BATCH: u8 = 2;
const LEDGER: u8 = 4;
const END: u8 = 5;

fn frame(kind: u8, payload: &[u8], file: &mut Vec<u8>) {
    let packed = lz4_flex::block::compress(payload);
    forged(kind, 1, &packed, payload.len(), file);
}

fn forged(kind: u8, packing: u8, stored: &[u8], plain: usize, file: &mut Vec<u8>) {
    let mut head = b"\xf7FRM".to_vec();
    head.extend_from_slice(&[kind, packing, 0, 0]);
    head.extend_from_slice(&u32::try_from(stored.len()).unwrap().to_le_bytes());
    head.extend_from_slice(&u32::try_from(plain).unwrap().to_le_bytes());
    head.extend_from_slice(&crc32fast::hash(stored).to_le_bytes());
    head.extend_from_slice(&crc32fast::hash(&head).to_le_bytes());
    file.extend_from_slice(&head);
    file.extend_from_slice(stored);
}

/// A file with its description.
fn begun() -> Vec<u8> {
    let mut file = b"\x89tcap\r\n\x1a\x01\0\0\0".to_vec();
    // clock = { monotonic: 1, unix: 1 }
    let clock = [&b"\x12\x12\x09"[..], &1u64.to_le_bytes(), b"\x11", &1u64.to_le_bytes()].concat();
    frame(DESCRIPTION, &clock, &mut file);
    file
}

fn varint(mut value: u64, out: &mut Vec<u8>) {
    while value >= 0x80 {
        out.push(value as u8 | 0x80);
        value >>= 7;
    }
    out.push(value as u8);
}

/// A field of wire type LEN.
fn field(number: u8, content: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    varint(content.len() as u64, out);
    out.extend_from_slice(content);
}

/// Reads a file to its end; how many things it told.
fn read(file: &[u8]) -> u64 {
    let Ok(mut reader) = Reader::open(file) else { return 0 };
    let mut told = 0;
    while reader.read_next().unwrap().is_some() {
        told += 1;
    }
    told
}

fn reading(what: &str, file: &[u8]) -> u64 {
    let (peak, told) = peak_of(|| read(file));
    within(&format!("{what} (a file of {} KiB, {told} told)", file.len() >> 10), peak, READING);
    told
}

#[test]
fn frames_that_unpack_to_much_more_than_they_are() {
    const PLAIN: usize = 16 << 20;
    let of = |part: &[u8]| part.repeat(PLAIN / part.len());
    let strings = {
        // One process whose command line has eight million words.
        let mut process = of(b"\x5a\x00");
        process.truncate(PLAIN - 64);
        let (mut item, mut batch) = (Vec::new(), Vec::new());
        field(7, &process, &mut item);
        field(4, &item, &mut batch);
        batch
    };
    for (what, kind, payload) in [
        ("eight million observations that are empty", BATCH, of(b"\x22\x00")),
        ("four million watermarks", BATCH, of(b"\x22\x02\x40\x00")),
        ("eight million connections", BATCH, of(b"\x12\x00")),
        ("eight million texts", BATCH, of(b"\x1a\x00")),
        ("eight million words in one observation", BATCH, strings),
        ("a description of eight million lines", DESCRIPTION, of(b"\x32\x00")),
        ("a ledger of 16 MiB", LEDGER, of(b"[")),
        ("zeros", BATCH, vec![0; PLAIN]),
    ] {
        let mut file = if kind == DESCRIPTION { begun()[..12].to_vec() } else { begun() };
        for _ in 0..3 {
            frame(kind, &payload, &mut file);
        }
        frame(END, b"", &mut file);
        reading(what, &file);
    }
}

#[test]
fn frames_that_claim_much_and_have_nothing() {
    let mut file = begun();
    for _ in 0..1000 {
        forged(BATCH, 1, b"\x00", 16 << 20, &mut file);
        forged(BATCH, 0, b"", 16 << 20, &mut file);
    }
    reading("frames that claim to unpack to 16 MiB", &file);
    // The last head says that 16 MiB follow.
    let mut head = Vec::new();
    forged(BATCH, 0, &vec![0; 16 << 20], 16 << 20, &mut head);
    file.extend_from_slice(&head[..24]);
    let (peak, _) = peak_of(|| read(&file[file.len() - 24..]));
    within("a head alone", peak, 1 << 20);
    let alone = [begun(), head[..24].to_vec()].concat();
    let (peak, _) = peak_of(|| read(&alone));
    within("a file that ends behind a head of 16 MiB", peak, 1 << 20);
}

#[test]
fn garbage_is_searched_once() {
    const LEN: usize = 64 << 20;
    // Were it searched again and again, this would not end.
    for (what, part) in [
        ("64 MiB of sync bytes", &b"\xf7FRM"[..]),
        ("64 MiB of their first byte", b"\xf7"),
        ("64 MiB of zeros", b"\0"),
        ("64 MiB of nearly sync bytes", b"\xf7FR\xf7FRN"),
    ] {
        let mut file = begun();
        file.extend_from_slice(&part.repeat(LEN / part.len()));
        frame(LEDGER, b"{}", &mut file);
        frame(END, b"", &mut file);
        let (peak, (ledger, hole)) = peak_of(|| {
            let mut reader = Reader::open(&*file).unwrap();
            let (mut ledger, mut hole) = (0, 0);
            while let Some(told) = reader.read_next().unwrap() {
                ledger += u32::from(matches!(told, Told::Ledger(_)));
                hole += u32::from(told == Told::Hole);
            }
            (ledger, hole)
        });
        assert_eq!((ledger, hole), (1, 1), "{what}: what follows it is read");
        within(what, peak, 2 << 20);
    }
}

/// Observations with numbers of their own each, in batches, in a file.
fn capture(count: u64, item: impl Fn(u64, &mut Vec<u8>)) -> Vec<u8> {
    let mut file = begun();
    let mut payload = Vec::new();
    for number in 0..count {
        if payload.is_empty() {
            field(3, b"GET", &mut payload);
        }
        let mut inner = Vec::new();
        item(number, &mut inner);
        let mut conn = vec![9];
        conn.extend_from_slice(&number.to_le_bytes());
        field(2, &conn, &mut payload);
        field(4, &inner, &mut payload);
        if number % 10_000 == 9_999 {
            frame(BATCH, &payload, &mut file);
            payload.clear();
        }
    }
    frame(END, b"", &mut file);
    file
}

/// Stamp: at, tgid, tid.
fn stamp(at: u64, id: u64) -> Vec<u8> {
    let mut out = vec![0x08];
    varint(at << 1, &mut out);
    for key in [0x10, 0x18] {
        out.push(key);
        varint(id, &mut out);
    }
    out
}

fn number(key: u8, value: u64, out: &mut Vec<u8>) {
    out.push(key << 3);
    varint(value, out);
}

/// A request: everything about it its own, the exchange never ended.
fn request(n: u64, client: bool) -> Vec<u8> {
    let mut out = Vec::new();
    number(1, n % 10_000, &mut out);
    number(3, u64::from(client), &mut out);
    number(4, n << 1, &mut out);
    field(5, &stamp(n, n), &mut out);
    out.push(6 << 3 | 5);
    out.extend_from_slice(&(n as u32).to_le_bytes());
    field(8, format!("/item/{n}").as_bytes(), &mut out);
    out
}

fn analysed(what: &str, file: &[u8]) {
    let (peak, (observations, spans)) = peak_of(|| {
        let mut reader = Reader::open(file).unwrap();
        let mut analysis = Analysis::new(reader.description().clock);
        let (mut observations, mut spans) = (0u64, 0u64);
        while let Some(told) = reader.read_next().unwrap() {
            if let Told::Observation(observation) = told {
                observations += 1;
                analysis.observe(observation, &mut |_| spans += 1);
            }
        }
        analysis.finish(&mut |_| spans += 1);
        (observations, spans)
    });
    assert!(observations > 0, "{what}");
    within(
        &format!("{what} ({observations} observations, {spans} spans, {} KiB)", file.len() >> 10),
        peak,
        ANALYSIS,
    );
}

#[test]
fn a_capture_that_never_ends_anything() {
    const COUNT: u64 = 300_000;
    for (what, client) in
        [("requests received and never answered", false), ("requests sent and never answered", true)]
    {
        let file = capture(COUNT, |n, item| field(2, &request(n, client), item));
        analysed(what, &file);
    }
    let opened = capture(COUNT, |n, item| {
        let mut open = Vec::new();
        number(1, n % 10_000, &mut open);
        field(2, &stamp(n, n), &mut open);
        field(3, &(n as u32).to_be_bytes(), &mut open);
        field(5, &[127, 0, 0, 1], &mut open);
        field(1, &open, item);
    });
    analysed("connections opened and never closed", &opened);
    let again = capture(COUNT, |n, item| {
        let mut open = Vec::new();
        number(1, 0, &mut open);
        field(2, &stamp(n, 1), &mut open);
        field(1, &open, item);
    });
    analysed("one batch's first connection opened again and again", &again);
    let answers = capture(COUNT, |n, item| {
        let mut response = Vec::new();
        number(1, 0, &mut response);
        field(3, &stamp(n, 1), &mut response);
        number(5, 200, &mut response);
        field(3, &response, item);
    });
    analysed("answers nobody asked for", &answers);
    let forks = capture(COUNT, |n, item| {
        let mut change = Vec::new();
        field(1, &stamp(n, n), &mut change);
        number(3, n / 2, &mut change);
        field(4, &[b'x'; 16], &mut change);
        field(6, &change, item);
    });
    analysed("processes that begin and never end", &forks);
    let processes = capture(200_000, |n, item| {
        let mut process = Vec::new();
        number(4, n, &mut process);
        field(10, b"comm", &mut process);
        (0..20).for_each(|word| field(11, format!("{n} {word} and a long word").as_bytes(), &mut process));
        field(7, &process, item);
    });
    analysed("processes with long command lines", &processes);
}
