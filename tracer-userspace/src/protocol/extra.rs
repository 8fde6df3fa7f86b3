//! What a request says beyond what every request is asked for: headers that the user wants to see, trace contexts, and values
//! that look drawn at random. For every protocol whose requests have named fields.

use std::sync::Arc;

use super::Limits;
use super::context::Found;
use super::mask;
use super::tokens::Tokens;
use crate::exchange::{Extra, Kept};

/// Reads a request's fields, names in any case, values without surrounding white space, and its target. `None` where there is
/// nothing of the kind.
pub(crate) fn read<'n, 'v>(
    fields: impl Iterator<Item = (&'n [u8], &'v [u8])>,
    target: &[u8],
    limits: &Limits,
) -> Option<Box<Extra>> {
    let headers = &*limits.headers;
    if !headers.keeps_any() && headers.ignores_context() {
        return None;
    }
    let (mut kept, mut contexts, mut tokens) = (Vec::new(), Found::default(), Tokens::new(limits.hash_key));
    for (name, value) in fields {
        if let Some(name) = headers.keeps(name) {
            keep(&mut kept, name, mask::header(name.as_bytes(), value, limits));
        }
        if headers.ignores_context() || headers.ignores(name) {
            continue;
        }
        if !contexts.field(name, value) {
            tokens.header(name, value);
        }
    }
    if !headers.ignores_context() {
        // Last: there is room for those of headers first, which are made to name requests.
        tokens.target(target);
    }
    let (contexts, tokens) = (contexts.contexts(limits.hash_key), Box::from(tokens.found()));
    let extra = Extra { kept, contexts, tokens, ..Extra::default() };
    (extra != Extra::default()).then(|| Box::new(extra))
}

/// Adds a value. A field that comes several times is one list (RFC 9110 section 5.3).
fn keep(kept: &mut Vec<Kept>, name: &Arc<str>, value: String) {
    match kept.iter_mut().find(|other| other.name == *name) {
        Some(other) if other.value.len() < mask::HEADER => {
            other.value = format!("{}, {value}", other.value).into_boxed_str();
        }
        Some(_) => {}
        None => kept.push(Kept { name: name.clone(), value: value.into_boxed_str() }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Format, TraceContext};
    use crate::protocol::headers::Headers;
    use crate::protocol::http1::lines::Lines;
    use crate::secret::Masking;

    fn kept(names: &[&str], lines: &str, masking: Masking) -> Vec<(String, String)> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let headers = Arc::new(Headers::new(&names, &[]).unwrap());
        let limits = Limits { headers, masking, ..Limits::default() };
        let extra = super::read(Lines(lines.as_bytes()), b"/", &limits).unwrap_or_default();
        extra.kept.iter().map(|kept| (kept.name.to_string(), kept.value.to_string())).collect()
    }

    fn pair(name: &str, value: &str) -> (String, String) {
        (name.to_owned(), value.to_owned())
    }

    #[test]
    fn only_what_was_asked_for_is_kept() {
        let lines = "Host: h\r\nX-Truth-Id: 17\r\nx-other: 2\r\n\r\n";
        assert_eq!(kept(&["X-TRUTH-ID"], lines, Masking::On), [pair("x-truth-id", "17")]);
        assert!(kept(&[], lines, Masking::On).is_empty());
        assert!(kept(&["x-absent"], lines, Masking::On).is_empty());
        assert!(super::read(Lines(lines.as_bytes()), b"/", &Limits::default()).is_none());
    }

    #[test]
    fn a_secret_stays_masked_unless_that_was_switched_off() {
        let lines = "Authorization: Bearer abc\r\nCookie: a=b\r\nX-Api-Key: k\r\n\r\n";
        let names = ["authorization", "cookie", "x-api-key"];
        for (_, value) in kept(&names, lines, Masking::On) {
            assert_eq!(value, "***");
        }
        assert_eq!(kept(&names, lines, Masking::Off)[0], pair("authorization", "Bearer abc"));
    }

    const LINES: &str = "traceparent: 00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01\r\n\
        X-Request-Id: 7b0e2a4c-9d3f-4a51-8c66-1f2e3d4c5b6a\r\nb3: 64fe8b2a57d3eff7-e457b5a2e4d86bd1-1\r\n\r\n";

    #[test]
    fn contexts_and_tokens_are_read_and_the_ignored_ones_are_not() {
        let read = |ignored: &[&str], ignores_context: bool| {
            let ignored: Vec<String> = ignored.iter().map(|name| (*name).to_owned()).collect();
            let headers = Headers::new(&[], &ignored).unwrap().ignoring_context(ignores_context);
            let limits = Limits { headers: Arc::new(headers), ..Limits::default() };
            super::read(Lines(LINES.as_bytes()), b"/a/4bf92f3577b34da6", &limits)
        };
        let all = read(&[], false).unwrap();
        let formats: Vec<Format> = all.contexts.iter().map(|context| context.format).collect();
        assert_eq!((formats, all.tokens.len()), (vec![Format::W3c, Format::B3], 2));
        let w3c = TraceContext::w3c(0x0af7_6519_16cd_43dd_8448_eb21_1c80_319c, 0xb7ad_6b71_6920_3331);
        assert_eq!(all.contexts[0], w3c);
        let some = read(&["TRACEPARENT", "x-request-id"], false).unwrap();
        assert_eq!((some.contexts[0].format, some.contexts.len()), (Format::B3, 1));
        assert_eq!(*some.tokens, all.tokens[1..]);
        assert_eq!(read(&[], true), None);
    }

    #[test]
    fn a_field_that_comes_again_is_a_list_and_has_an_end() {
        assert_eq!(kept(&["a"], "A: 1\r\na: 2\r\n\r\n", Masking::On), [pair("a", "1, 2")]);
        let long = format!("a: {}\r\n", "x".repeat(300)).repeat(50);
        let all = kept(&["a"], &long, Masking::On);
        assert!(all[0].1.len() <= 2 * mask::HEADER + 2, "{}", all[0].1.len());
    }
}
