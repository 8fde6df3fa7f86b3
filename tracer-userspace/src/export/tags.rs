//! The tags of a span, each name once: a form that wants unique names must not break on a file that has one twice.

use rustc_hash::FxHashSet;

use crate::spans::{FileSpan, Value};

/// Up to so many tags are compared with each other; of more, which no span of ours has, the names are collected.
const FEW: usize = 64;

/// Hands over each tag; of tags with one name, the first.
pub fn each<'a>(span: &'a FileSpan<'_>, mut tag: impl FnMut(&'a str, &'a Value<'a>)) {
    let tags = &span.tags;
    if tags.len() > FEW {
        let mut seen = FxHashSet::default();
        for (name, value) in tags {
            if seen.insert(&**name) {
                tag(name, value);
            }
        }
        return;
    }
    // A bit for names that have a length and last letter in common: two that differ there are not compared.
    let mut seen = 0u64;
    for (at, (name, value)) in tags.iter().enumerate() {
        let last = name.as_bytes().last().copied().unwrap_or_default();
        let bit = 1u64 << ((name.len() as u64 * 7 + u64::from(last)) % 64);
        let before = tags.get(..at).unwrap_or_default();
        let is_new = seen & bit == 0 || before.iter().all(|(other, _)| other != name);
        seen |= bit;
        if is_new {
            tag(name, value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::spans::file::read_again;

    #[test]
    fn the_first_of_one_name_counts_however_many_there_are() {
        for count in [3, 200] {
            let tags: Vec<String> = (0..count)
                .chain([1, 0, 2])
                .enumerate()
                .map(|(at, name)| format!("\"n{name}\":{at}"))
                .collect();
            let json = format!(
                "{{\"traceId\":\"a\",\"spanId\":\"b\",\"startTime\":\"2023-10-27T10:00:00Z\",\"duration\":1,\"tags\":{{{}}}}}",
                tags.join(",")
            );
            let span = read_again(json.as_bytes()).unwrap();
            assert_eq!(span.tags.len(), count + 3);
            let mut seen = Vec::new();
            each(&span, |name, value| seen.push((name.to_owned(), value.clone())));
            let all: Vec<_> = (0..count).map(|at| (format!("n{at}"), Value::Int(at as i64))).collect();
            assert_eq!(seen, all);
        }
    }
}
