//! What a request says beyond what every request is asked for: headers that the user wants to see.

use super::lines::Lines;
use super::mask;
use crate::exchange::{Extra, Kept};
use crate::protocol::Limits;

/// Reads the field lines of a request's head. `None`, at the price of one comparison, where nothing was asked for.
pub(super) fn of(lines: &[u8], limits: &Limits) -> Option<Box<Extra>> {
    let headers = &*limits.headers;
    if !headers.keeps_any() {
        return None;
    }
    let mut extra = Extra::default();
    for (name, value) in Lines(lines) {
        if let Some(name) = headers.keeps(name) {
            keep(&mut extra.kept, name, mask::header(name.as_bytes(), value, limits));
        }
    }
    (extra != Extra::default()).then(|| Box::new(extra))
}

/// Adds a value. A field that comes several times is one list (RFC 9110 section 5.3).
fn keep(kept: &mut Vec<Kept>, name: &std::sync::Arc<str>, value: String) {
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
    use std::sync::Arc;

    use super::*;
    use crate::protocol::headers::Headers;
    use crate::secret::Masking;

    fn kept(names: &[&str], lines: &str, masking: Masking) -> Vec<(String, String)> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let headers = Arc::new(Headers::new(&names, &[]).unwrap());
        let limits = Limits { headers, masking, ..Limits::default() };
        let extra = of(lines.as_bytes(), &limits).unwrap_or_default();
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
        assert!(of(lines.as_bytes(), &Limits::default()).is_none());
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

    #[test]
    fn a_field_that_comes_again_is_a_list_and_has_an_end() {
        assert_eq!(kept(&["a"], "A: 1\r\na: 2\r\n\r\n", Masking::On), [pair("a", "1, 2")]);
        let long = format!("a: {}\r\n", "x".repeat(300)).repeat(50);
        let all = kept(&["a"], &long, Masking::On);
        assert!(all[0].1.len() <= 2 * mask::HEADER + 2, "{}", all[0].1.len());
    }
}
