//! What the name-value pairs of a request say (specification, section 3.4; names: RFC 3875 section 4.1).
//!
//! `HTTP_X_REQUEST_ID` is the header that the browser's request had as `X-Request-Id`, and is treated as that: shown, believed and
//! ignored by the same options, with the same masking.

use crate::exchange::{Attribute, Protocol, RequestHead};
use crate::protocol::{Limits, names::Names};
use crate::protocol::{extra, mask};

/// Bytes of the pairs of one request that are kept; what is beyond is said to be cut off.
pub(super) const MAX: usize = 16 * 1024;

/// Goes through the pairs, as far as they are whole.
#[derive(Clone, Copy, Debug)]
struct Pairs<'a>(&'a [u8]);

impl<'a> Pairs<'a> {
    /// A length: one byte, or four with the highest bit set.
    fn length(&mut self) -> Option<usize> {
        if let Some((first @ 0..=127, rest)) = self.0.split_first() {
            self.0 = rest;
            return Some(usize::from(*first));
        }
        let (long, rest) = self.0.split_first_chunk::<4>()?;
        self.0 = rest;
        usize::try_from(u32::from_be_bytes(*long) & 0x7fff_ffff).ok()
    }
}

impl<'a> Iterator for Pairs<'a> {
    type Item = (&'a [u8], &'a [u8]);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = (self.length()?, self.length()?);
        let (name, rest) = self.0.split_at_checked(name)?;
        let (value, rest) = rest.split_at_checked(value)?;
        self.0 = rest;
        Some((name, value))
    }
}

/// The request that these pairs describe. `truncated`: there were more of them.
pub(super) fn head(mut pairs: Vec<u8>, truncated: bool, names: &mut Names, limits: &Limits) -> RequestHead {
    name_headers(&mut pairs);
    let find = |wanted: &[u8]| {
        Pairs(&pairs).find(|(name, value)| *name == wanted && !value.is_empty()).map(|(_, value)| value)
    };
    let method = find(b"REQUEST_METHOD").filter(|method| method.iter().all(u8::is_ascii_graphic));
    let built;
    let target = match find(b"REQUEST_URI") {
        Some(target) => target,
        // What it was made from (RFC 3875 section 3.3).
        None => {
            let path = [find(b"SCRIPT_NAME"), find(b"PATH_INFO")].map(Option::unwrap_or_default);
            let query = find(b"QUERY_STRING").map(|query| [b"?", query].concat()).unwrap_or_default();
            built = [path.concat(), query].concat();
            &built
        }
    };
    let headers = Pairs(&pairs).filter_map(|(name, value)| Some((header(name)?, value)));
    let mut extra = extra::read(headers.filter(|(_, value)| !value.is_empty()), target, limits);
    if let Some(script) = find(b"SCRIPT_FILENAME") {
        let script = Attribute::text("fastcgi.script", mask::shared(script, limits, names));
        extra.get_or_insert_default().attributes.push(script);
    }
    RequestHead {
        protocol: Protocol::FastCgi,
        method: names.method(method.unwrap_or_default()),
        target: mask::target(target, limits),
        host: find(b"HTTP-HOST").and_then(|host| names.host(host)),
        truncated,
        extra,
        ..RequestHead::default()
    }
}

/// The header that a pair was, if [`name_headers`] has seen it.
fn header(name: &[u8]) -> Option<&[u8]> {
    name.strip_prefix(b"HTTP-").or_else(|| name.starts_with(b"CONTENT-").then_some(name))
}

/// Gives the headers their names back, in place: `HTTP_X_REQUEST_ID` becomes `HTTP-X-REQUEST-ID`.
fn name_headers(pairs: &mut [u8]) {
    let mut rest = 0;
    while let Some(left) = pairs.get(rest..) {
        let mut walk = Pairs(left);
        let Some((name, value)) = walk.next() else { return };
        let end = pairs.len() - walk.0.len();
        let begin = end - value.len() - name.len();
        let is_header = name.starts_with(b"HTTP_") || matches!(name, b"CONTENT_TYPE" | b"CONTENT_LENGTH");
        if let Some(name) = pairs.get_mut(begin..end - value.len())
            && is_header
        {
            name.iter_mut().filter(|byte| **byte == b'_').for_each(|byte| *byte = b'-');
        }
        rest = end;
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::exchange::{TraceContext, Value};
    use crate::protocol::fastcgi::tests::pairs;
    use crate::protocol::headers::Headers;
    use crate::protocol::tokens::source;

    fn of(all: &[(&str, &str)], limits: &Limits) -> RequestHead {
        head(pairs(all), false, &mut Names::new(8), limits)
    }

    #[test]
    fn a_request_is_what_the_server_was_asked_for() {
        let long = "x".repeat(300);
        let head = of(
            &[
                ("SCRIPT_FILENAME", "/srv/app/index.php"),
                ("X", &long),
                ("QUERY_STRING", "token=abc&page=2"),
                ("REQUEST_METHOD", "POST"),
                ("REQUEST_URI", "/users?token=abc&page=2"),
                ("HTTP_HOST", "shop.example"),
                ("HTTP_USER_AGENT", "curl"),
            ],
            &Limits::default(),
        );
        assert_eq!((&*head.method, &*head.target), ("POST", "/users?token=***&page=2"));
        assert_eq!((head.protocol, head.host.as_deref()), (Protocol::FastCgi, Some("shop.example")));
        assert_eq!(head.attributes().len(), 1);
        assert_eq!(head.attributes()[0].key, "fastcgi.script");
        assert_eq!(head.attributes()[0].value, Value::Text("/srv/app/index.php".into()));
    }

    #[test]
    fn without_a_uri_the_target_is_put_together() {
        let limits = Limits::default();
        let script = ("SCRIPT_NAME", "/index.php");
        assert_eq!(&*of(&[script], &limits).target, "/index.php");
        assert_eq!(&*of(&[script, ("REQUEST_URI", "")], &limits).target, "/index.php");
        let all = [script, ("QUERY_STRING", "password=x"), ("PATH_INFO", "/a")];
        assert_eq!(&*of(&all, &limits).target, "/index.php/a?password=***");
        assert_eq!(&*of(&[], &limits).target, "");
    }

    #[test]
    fn headers_are_what_they_are_in_http() {
        let uuid = "7b0e2a4c-9d3f-4a51-8c66-1f2e3d4c5b6a";
        let all = [
            ("HTTP_TRACEPARENT", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
            ("HTTP_X_REQUEST_ID", uuid),
            ("HTTP_AUTHORIZATION", "Bearer abc"),
            ("CONTENT_TYPE", "text/plain"),
            ("UNIQUE_ID", "a1b2c3d4e5f6a7b8c9d0"),
        ];
        let limits = |ignored: &[String]| {
            let kept = ["x-request-id", "authorization", "content-type"].map(str::to_owned);
            Limits { headers: Arc::new(Headers::new(&kept, ignored).unwrap()), ..Limits::default() }
        };
        let head = of(&all, &limits(&[]));
        let w3c = TraceContext::w3c(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 0xb7ad_6b71_6920_3331);
        assert_eq!(head.contexts(), [w3c]);
        assert_eq!(head.tokens().len(), 1, "what is no header is no token");
        assert_eq!(head.tokens()[0].from, source(b"X-Request-Id"));
        let kept: Vec<(&str, &str)> = head.kept().iter().map(|kept| (&*kept.name, &*kept.value)).collect();
        assert_eq!(kept, [("x-request-id", uuid), ("authorization", "***"), ("content-type", "text/plain")]);
        let head = of(&all, &limits(&["TraceParent".to_owned(), "x-request-id".to_owned()]));
        assert!(head.contexts().is_empty() && head.tokens().is_empty());
    }

    #[test]
    fn what_is_cut_off_is_left_out_and_hostile_lengths_do_no_harm() {
        let whole = pairs(&[("REQUEST_METHOD", "GET"), ("REQUEST_URI", "/abc")]);
        for len in 0..whole.len() {
            let head = head(whole[..len].to_vec(), true, &mut Names::new(8), &Limits::default());
            assert!(head.target.is_empty() && head.truncated, "{len}");
            assert!(matches!(&*head.method, "" | "GET"));
        }
        for hostile in [&[0xff; 64][..], &[0x7f; 3], &[0x80, 0, 0, 0, 0x80, 0, 0, 0, 1, 0, b'A'], &[0; 9]] {
            let head = head(hostile.to_vec(), false, &mut Names::new(8), &Limits::default());
            assert_eq!((&*head.method, &*head.target), ("", ""));
        }
    }
}
