//! Heads, chunks and targets by themselves, without the streams around them: what is found must not depend on how the bytes
//! came.

use super::body::{Body, Chunk, Taken};
use super::head::{self, Parsed};
use super::lines::Lines;
use crate::exchange::Format;
use crate::fuzzed::Input;
use crate::protocol::tokens::MAX_TOKENS;
use crate::protocol::{Limits, extra, mask};

/// Longest target that is kept here: small, so that it is reached.
const TARGET: usize = 40;

/// The first byte says what the others are.
pub(crate) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 4 {
        0 => heads(input.rest(), true),
        1 => heads(input.rest(), false),
        2 => {
            let cut = usize::from(input.word());
            chunks(input.rest(), cut);
        }
        _ => {
            let bytes = input.rest();
            target(bytes);
            extras(bytes);
        }
    }
}

/// Whether a head is whole, and how long it is then.
fn whole(bytes: &[u8], is_request: bool) -> Option<Option<usize>> {
    let (found, len) = if is_request {
        match head::request(bytes) {
            Parsed::Whole(request, len) => {
                assert!(!request.method.is_empty() && !request.target.is_empty() && request.minor < 10);
                (true, Some(len))
            }
            Parsed::Part(_) => (true, None),
            Parsed::Invalid => (false, None),
        }
    } else {
        match head::response(bytes) {
            Parsed::Whole(response, len) => {
                assert!((100..1000).contains(&response.status));
                (true, Some(len))
            }
            Parsed::Part(_) => (true, None),
            Parsed::Invalid => (false, None),
        }
    };
    found.then_some(len)
}

fn heads(bytes: &[u8], is_request: bool) {
    // The search for the end is the same from wherever it goes on.
    let end = head::end(bytes, 0);
    for from in 0..bytes.len().min(64) {
        let before = bytes.get(..from).unwrap_or_default();
        if head::end(before, 0).is_none() {
            assert_eq!(head::end(bytes, from), end, "from {from}");
        }
    }
    let Some(Some(len)) = whole(bytes, is_request) else { return };
    assert_eq!(Some(len), end, "the end of a head that was read is the end that is searched");
    let own = bytes.get(..len).unwrap_or_default();
    assert_eq!(whole(own, is_request), Some(Some(len)), "what follows a head says nothing about it");
    // However little of it has come, it is waited for, and not refused.
    for cut in 1..len {
        let part = own.get(..cut).unwrap_or_default();
        assert_eq!(head::end(part, 0), None, "{cut}");
        assert_eq!(whole(part, is_request), Some(None), "{cut}");
        assert!(head::may_go_on(part, 0, is_request) && head::may_go_on(part, cut - 1, is_request), "{cut}");
    }
}

/// Where a chunked body ends, in all of `bytes`, if they are one.
fn end_of_chunks(parts: [&[u8]; 2]) -> (Option<u64>, Body) {
    let (mut body, mut before) = (Body::Chunked(Chunk::FIRST), 0);
    for part in parts {
        if let Taken::Ended(here) = body.bytes(part, false) {
            assert!(here <= part.len() as u64);
            return (Some(before + here), body);
        }
        before += part.len() as u64;
    }
    (None, body)
}

fn chunks(bytes: &[u8], cut: usize) {
    let parts = bytes.split_at(cut % (bytes.len() + 1));
    let (whole, split) = (end_of_chunks([bytes, b""]), end_of_chunks(parts.into()));
    assert_eq!(whole, split, "cut at {}", parts.0.len());
}

/// The bytes as field lines; and as the value of each header that may hold a context, so that a fuzzer need not find its name.
fn extras(bytes: &[u8]) {
    let formats = [Format::W3c, Format::B3, Format::Jaeger, Format::Datadog, Format::Aws, Format::SkyWalking];
    let mut lines = Vec::new();
    for name in formats.into_iter().flat_map(Format::headers) {
        lines.extend_from_slice(name.as_bytes());
        lines.extend_from_slice(b": ");
        lines.extend(bytes.iter().filter(|byte| !matches!(byte, b'\n')));
        lines.extend_from_slice(b"\r\n");
    }
    for (lines, target) in [(bytes, bytes), (&lines, b"/")] {
        let limits = Limits::default();
        let Some(extra) = extra::read(Lines(lines), target, &limits) else { continue };
        assert!(extra.tokens.len() <= MAX_TOKENS && extra.contexts.len() <= formats.len());
        assert!(extra.contexts.is_sorted_by_key(|context| context.format), "{:?}", extra.contexts);
        for context in &extra.contexts {
            assert!(context.trace_id != 0, "{context:?}");
            let may_be_alone = matches!(context.format, Format::Datadog | Format::Aws);
            assert!(context.span_id != 0 || may_be_alone, "{context:?}");
        }
    }
}

fn target(bytes: &[u8]) {
    for limit in [TARGET, 4096] {
        let shown = mask::target(bytes, &Limits { target: limit, ..Limits::default() });
        assert!(shown.len() <= limit && shown.is_ascii(), "{shown:?}");
        assert!(!shown.bytes().any(|byte| byte.is_ascii_control() || byte == b' '), "{shown:?}");
    }
}
