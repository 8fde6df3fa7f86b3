//! What requests for the same thing have in common: paths with `*` for those segments that look like identifiers.

use std::borrow::Cow;

/// A segment of a path that is longer than this names nothing that a person would.
const MAX_SEGMENT: usize = 64;

/// Appends a path, generalised. What could break a line is `?`.
pub fn path(out: &mut String, path: &str) {
    for (at, segment) in path.split('/').enumerate() {
        if at > 0 {
            out.push('/');
        }
        if is_identifier(segment) { out.push('*') } else { push(out, segment) }
    }
}

/// The name of an operation, generalised, if it is a word and a path (`GET /users/17`); else as it is: statements and the names of
/// procedures have no identifiers in them.
pub fn name(name: &str) -> Cow<'_, str> {
    match name.split_once(' ') {
        Some((verb, target))
            if target.starts_with('/') && target.bytes().any(|byte| byte.is_ascii_digit()) =>
        {
            let mut general = String::with_capacity(name.len());
            general.push_str(verb);
            general.push(' ');
            path(&mut general, target);
            Cow::Owned(general)
        }
        _ => Cow::Borrowed(name),
    }
}

/// Digits make an identifier, but for the version of an interface: `v2`.
fn is_identifier(segment: &str) -> bool {
    let is_number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let is_version = segment.strip_prefix('v').is_some_and(|rest| rest.len() <= 2 && is_number(rest));
    segment.len() > MAX_SEGMENT || segment.bytes().any(|byte| byte.is_ascii_digit()) && !is_version
}

/// Appends text without what could break a line.
pub fn push(out: &mut String, text: &str) {
    out.extend(text.chars().map(|c| if c.is_control() { '?' } else { c }));
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn identifiers_in_paths_are_one_name_and_versions_stay() {
        for (target, general) in [
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
            assert_eq!(out, general);
        }
    }

    #[test]
    fn names_that_are_no_paths_stay() {
        for (text, general) in [
            ("GET /users/17", "GET /users/*"),
            ("GET /api/v1/users", "GET /api/v1/users"),
            ("SELECT users2", "SELECT users2"),
            ("ping", "ping"),
            ("", ""),
        ] {
            assert_eq!(name(text), general);
        }
    }
}
