//! HTTP/2 with prior knowledge, and gRPC. One stream after the other; header fields come from the dynamic table, as they do after a
//! connection's first requests, but for an authority that is Huffman-coded anew.

use crate::talk::{BULK, Call, Talk, answer, ask};

const PREFACE: &[u8] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
const DATA: u8 = 0;
const HEADERS: u8 = 1;
const SETTINGS: u8 = 4;
const END_STREAM: u8 = 1;
const END_HEADERS: u8 = 4;
/// `:authority: www.example.com`, not to be remembered (RFC 7541, C.4.1).
const AUTHORITY: &[u8] = b"\x01\x8c\xf1\xe3\xc2\xe5\xf2\x3a\x6b\xa0\xab\x90\xf4\xff";

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut bytes = (payload.len() as u32).to_be_bytes().to_vec();
    bytes.remove(0);
    bytes.extend_from_slice(&[kind, flags]);
    bytes.extend_from_slice(&stream.to_be_bytes());
    bytes.extend_from_slice(payload);
    bytes
}

/// A literal field that is remembered: by the index of its name, or with its name.
fn field(index: u8, name: &str, value: &str) -> Vec<u8> {
    let mut bytes = vec![0x40 | index];
    for text in [name, value].into_iter().skip(usize::from(index != 0)) {
        bytes.push(text.len() as u8);
        bytes.extend_from_slice(text.as_bytes());
    }
    bytes
}

/// Frames of the stream of each repetition.
fn of_stream(mut call: Call, frames: &[(u8, u8, &[u8])]) -> Call {
    for (kind, flags, payload) in frames {
        call.streams.push(call.data.len() + 5);
        call.data.extend(frame(*kind, *flags, 1, payload));
    }
    call.captured = call.data.len();
    call
}

fn http() -> (Vec<Call>, Vec<u8>) {
    let agent = field(58, "", "curl/8.5.0");
    let first = [b"\x82\x86\x85", AUTHORITY, &agent].concat();
    let opening = vec![
        ask([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()),
        answer(frame(SETTINGS, 0, 0, &[])),
        ask(frame(HEADERS, END_STREAM | END_HEADERS, 1, &first)),
        answer(frame(
            HEADERS,
            END_STREAM | END_HEADERS,
            1,
            &[b"\x88", &*field(31, "", "text/plain")].concat(),
        )),
    ];
    // The user agent is the last that was remembered.
    (opening, [b"\x82\x86\x85", AUTHORITY, b"\xbe"].concat())
}

fn grpc() -> Talk {
    let fields =
        [field(4, "", "/shop.Users/Find"), field(31, "", "application/grpc"), field(0, "te", "trailers")];
    let first = [b"\x83\x86", AUTHORITY, &fields.concat()].concat();
    let message = [&[0, 0, 0, 0, 60][..], &[7; 60]].concat();
    let status = field(0, "grpc-status", "0");
    let kind = field(31, "", "application/grpc");
    let opening = vec![
        ask([PREFACE, &frame(SETTINGS, 0, 0, &[])].concat()),
        answer(frame(SETTINGS, 0, 0, &[])),
        ask([frame(HEADERS, END_HEADERS, 1, &first), frame(DATA, END_STREAM, 1, &message)].concat()),
        answer(
            [
                frame(HEADERS, END_HEADERS, 1, &[b"\x88", &*kind].concat()),
                frame(DATA, 0, 1, &message),
                frame(HEADERS, END_STREAM | END_HEADERS, 1, &status),
            ]
            .concat(),
        ),
    ];
    let again = [b"\x83\x86", AUTHORITY, b"\xc0\xbf\xbe"].concat();
    let cycle = vec![
        of_stream(ask([]), &[(HEADERS, END_HEADERS, &again), (DATA, END_STREAM, &message)]),
        of_stream(
            answer([]),
            &[
                (HEADERS, END_HEADERS, b"\x88\xbf"),
                (DATA, 0, &message),
                (HEADERS, END_STREAM | END_HEADERS, b"\xbe"),
            ],
        ),
    ];
    Talk::new("gRPC", "unary call, 60 bytes each way", opening, cycle)
}

/// Their talks.
pub fn talks() -> Vec<Talk> {
    let (opening, fields) = http();
    let request = of_stream(ask([]), &[(HEADERS, END_STREAM | END_HEADERS, &fields)]);
    let body = [b'x'; 200];
    let response = of_stream(answer([]), &[(HEADERS, END_HEADERS, b"\x88\xbe"), (DATA, END_STREAM, &body)]);
    let small = Talk::new("HTTP/2", "GET, 200-byte answer", opening, vec![request, response]);

    let (opening, fields) = http();
    let mut cycle = vec![
        of_stream(ask([]), &[(HEADERS, END_STREAM | END_HEADERS, &fields)]),
        of_stream(answer([]), &[(HEADERS, END_HEADERS, b"\x88\xbe")]),
    ];
    // Servers write a frame and its header in one call.
    let part = vec![b'x'; 16 << 10];
    let parts = BULK / part.len();
    for number in 1..=parts {
        let flags = if number == parts { END_STREAM } else { 0 };
        cycle.push(of_stream(answer([]), &[(DATA, flags, &part)]));
    }
    let large = Talk::new("HTTP/2", "answer of 1 MiB in frames of 16 KiB", opening, cycle).bulk();
    vec![small, grpc(), large]
}
