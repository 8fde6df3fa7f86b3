//! Requests whose method is none of those that the probes know. Any token may be a method (RFC 9110 section 9.1), so here the whole of
//! the request line decides, and what stands behind it.

use memchr::memchr;
use tracer_common::classify::{Class, classify, classify_bytes};

use super::head;
use crate::event::Direction;

/// What the first bytes of a call in direction `dir` are; `moved`: in which direction bytes moved last before it.
///
/// Behind bytes of its own direction a call may be the rest of a line, of which the beginning of the method was read before: an unknown method is
/// believed only where the direction has turned.
pub(super) fn class(bytes: &[u8], dir: Direction, moved: Option<Direction>) -> Class {
    match classify_bytes(bytes) {
        Class::Unknown if moved != Some(dir) && is_request(bytes) => Class::Http1Request,
        known => known,
    }
}

/// Whether the probes know a method, so that they capture requests with it by themselves.
pub(super) fn is_known(method: &[u8]) -> bool {
    let mut first = [0u8; 8];
    first.iter_mut().zip(method.iter().chain(b" ")).for_each(|(to, from)| *to = *from);
    classify(u64::from_le_bytes(first), 8) == Class::Http1Request
}

/// Whether these bytes begin with a request line that nothing but HTTP/1 has, followed by a field line or the empty one: a token, a
/// space, a target in a form of RFC 9112 section 3.2 (but that of CONNECT, which is known) and without spaces, a space, `HTTP/1.` and a digit, CR LF.
fn is_request(bytes: &[u8]) -> bool {
    let Some((line, rest)) = memchr(b'\n', bytes).and_then(|end| bytes.split_at_checked(end)) else {
        return false;
    };
    let Some((method, after)) = line.strip_suffix(b"\r").and_then(head::method) else { return false };
    let Some((target, [b'H', b'T', b'T', b'P', b'/', b'1', b'.', minor])) =
        memchr(b' ', after).and_then(|space| Some((after.get(..space)?, after.get(space + 1..)?)))
    else {
        return false;
    };
    let starts = method.first().is_some_and(u8::is_ascii_uppercase);
    starts && minor.is_ascii_digit() && is_target(target) && begins_fields(rest.get(1..).unwrap_or_default())
}

/// Origin form, absolute form or asterisk form.
fn is_target(target: &[u8]) -> bool {
    let absolute = || {
        let colon = memchr(b':', target).and_then(|colon| target.split_at_checked(colon));
        colon.is_some_and(|(scheme, rest)| {
            !scheme.is_empty() && scheme.iter().all(u8::is_ascii_alphabetic) && rest.starts_with(b"://")
        })
    };
    !target.iter().any(u8::is_ascii_control) && (target.starts_with(b"/") || target == b"*" || absolute())
}

/// Whether a field's name and colon (RFC 9112 section 5) or the empty line stand here.
fn begins_fields(bytes: &[u8]) -> bool {
    if bytes.starts_with(b"\r\n") {
        return true;
    }
    let name = bytes.iter().take_while(|byte| head::is_token(**byte)).count();
    name > 0 && bytes.get(name) == Some(&b':')
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::Direction::{Rx, Tx};

    fn asks(text: &[u8]) -> bool {
        class(text, Rx, Some(Tx)) == Class::Http1Request
    }

    #[test]
    fn any_token_is_a_method() {
        for method in ["BREW", "QUERY", "PROPPATCH", "M-SEARCH", "MKCALENDAR", "VERSION-CONTROL", "X", "GETS"]
        {
            for target in ["/", "/pot?type=tea", "*", "http://h/pot"] {
                for rest in ["Host: h\r\n\r\n", "\r\n", "Accept: t"] {
                    let text = format!("{method} {target} HTTP/1.1\r\n{rest}");
                    assert!(asks(text.as_bytes()), "{text:?}");
                }
            }
        }
        assert!(asks(b"BREW /pot HTTP/1.0\r\nHost: h\r\n\r\n"));
    }

    #[test]
    fn the_probes_know_the_usual_methods() {
        for method in ["GET", "POST", "OPTIONS", "PROPFIND", "REPORT"] {
            assert!(is_known(method.as_bytes()), "{method}");
        }
        for method in ["BREW", "QUERY", "PROPPATCH", "G", "GETS", "M-SEARCH"] {
            assert!(!is_known(method.as_bytes()), "{method}");
        }
    }

    /// What is not complete, or another protocol's, or text that only looks alike.
    #[test]
    fn what_is_not_certain_is_no_request() {
        for text in [
            "BREW /pot HTTP/1.1",
            "BREW /pot HTTP/1.1\r\n",
            "BREW /pot HTTP/1.1\r\nHost",
            "BREW /pot HTTP/1.1\nHost: h\n\n",
            "BREW /pot HTTP/2.0\r\n\r\n",
            "BREW pot HTTP/1.1\r\n\r\n",
            "BREW  /pot HTTP/1.1\r\n\r\n",
            "BREW /pot with milk HTTP/1.1\r\n\r\n",
            "BREW /pot HTTP/1.1 \r\n\r\n",
            "BREW /pot HTTP/1.11\r\n\r\n",
            "B(EW /pot HTTP/1.1\r\n\r\n",
            " BREW /pot HTTP/1.1\r\n\r\n",
            "brew /pot HTTP/1.1\r\nHost: h\r\n\r\n",
            "10.0.0.1 /pot HTTP/1.1\r\nHost: h\r\n\r\n",
            "BREW /pot HTTP/1.1\r\n some text\r\n\r\n",
            "RETR /pub/pot\r\n",
            "SETUP rtsp://h/pot RTSP/1.0\r\nCSeq: 1\r\n\r\n",
            "INVITE sip:pot@h SIP/2.0\r\nVia: h\r\n\r\n",
            "OPTIONAL icap://h/pot ICAP/1.0\r\nHost: h\r\n\r\n",
        ] {
            assert!(!asks(text.as_bytes()), "{text:?}");
        }
    }

    #[test]
    fn the_rest_of_a_line_is_no_method() {
        let rest = b"REW /pot HTTP/1.1\r\nHost: h\r\n\r\n";
        assert_eq!(class(rest, Rx, Some(Rx)), Class::Unknown);
        assert_eq!(class(b"GET /pot HTTP/1.1\r\n", Rx, Some(Rx)), Class::Http1Request);
    }
}
