//! What an operation is called where it must have few values.

use crate::exchange::{Family, Operation};
use crate::trace::Span;

/// Longer names are cut, bytes.
const MAX_NAME: usize = 200;
/// A segment of a path that is longer than this names nothing that a person would.
const MAX_SEGMENT: usize = 64;

/// Appends the operation's name: as in the trace, but with `*` for those segments of a path that look like identifiers. What
/// could break a line is `?`.
pub(super) fn operation(span: &Span, out: &mut String) {
    let begin = out.len();
    let Operation { verb, object } = span.operation();
    push(out, verb);
    if let Some(object) = object {
        if !verb.is_empty() {
            out.push(' ');
        }
        match span.tags.protocol.family() {
            Family::Http => path(out, object),
            Family::Rpc | Family::Database | Family::Messaging | Family::Dns => push(out, object),
        }
    }
    if out.len() - begin > MAX_NAME {
        out.truncate(out.floor_char_boundary(begin + MAX_NAME));
    }
}

fn path(out: &mut String, path: &str) {
    for (at, segment) in path.split('/').enumerate() {
        if at > 0 {
            out.push('/');
        }
        if is_identifier(segment) { out.push('*') } else { push(out, segment) }
    }
}

/// Digits make an identifier, but for the version of an interface: `v2`.
fn is_identifier(segment: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_version = segment.strip_prefix('v').is_some_and(|rest| rest.len() <= 2 && is_number(rest));
    segment.len() > MAX_SEGMENT || segment.bytes().any(|byte| byte.is_ascii_digit()) && !is_version
}

fn push(out: &mut String, text: &str) {
    out.extend(text.chars().map(|c| if c.is_control() { '?' } else { c }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_in_paths_are_one_name_and_versions_stay() {
        for (target, name) in [
            ("/users/17", "/users/*"),
            ("/api/v2/users/ab12/orders", "/api/v2/users/*/orders"),
            ("/v2017/x", "/*/x"),
            ("/", "/"),
            ("*", "*"),
            ("/a\nb", "/a?b"),
            (&format!("/{}", "x".repeat(65)), "/*"),
        ] {
            let mut out = String::new();
            path(&mut out, target);
            assert_eq!(out, name);
        }
    }
}
