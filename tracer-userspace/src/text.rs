//! Numbers and names as people read them.

use std::fmt;

/// A duration in nanoseconds with three significant digits: `850ns`, `12.3µs`, `4.56ms`, `1.20s`, `2m05s`. In the
/// alternate form, for sentences, a space stands before the unit: `12.3 µs`.
#[derive(Clone, Copy, Debug)]
pub struct Duration(pub u64);

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gap = if f.alternate() { " " } else { "" };
        let text = match self.0 {
            nanos @ ..1_000 => format!("{nanos}{gap}ns"),
            nanos @ ..1_000_000 => three(nanos as f64 / 1e3, gap, "µs"),
            nanos @ ..1_000_000_000 => three(nanos as f64 / 1e6, gap, "ms"),
            nanos @ ..100_000_000_000 => three(nanos as f64 / 1e9, gap, "s"),
            nanos => {
                let seconds = nanos / 1_000_000_000;
                format!("{}m{:02}s", seconds / 60, seconds % 60)
            }
        };
        f.pad(&text)
    }
}

fn three(value: f64, gap: &str, unit: &str) -> String {
    let decimals = if value < 9.995 {
        2
    } else if value < 99.95 {
        1
    } else {
        0
    };
    format!("{value:.decimals$}{gap}{unit}")
}

/// A count with thin groups: `1 234 567`.
pub fn count(value: u64) -> String {
    let digits = value.to_string();
    let mut text = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(' ');
        }
        text.push(digit);
    }
    text
}

/// A number per second, with two digits or more that count: `1.4`, `37`, `1 234`.
pub fn rate(per_second: f64) -> String {
    if per_second < 9.95 { format!("{per_second:.1}") } else { count(per_second.round() as u64) }
}

/// A number of bytes with three significant digits: `345 bytes`, `12.3 kB`, `4.56 MB` (powers of ten).
pub fn bytes(value: u64) -> String {
    match value {
        1 => "1 byte".to_owned(),
        value @ (0 | 2..1_000) => format!("{value} bytes"),
        1_000..1_000_000 => three(value as f64 / 1e3, " ", "kB"),
        1_000_000..1_000_000_000 => three(value as f64 / 1e6, " ", "MB"),
        _ => three(value as f64 / 1e9, " ", "GB"),
    }
}

/// A name that fits into `width` columns, cut at the end, and safe to print: control characters, which could steer
/// the terminal, become `?`.
pub fn fit(name: &str, width: usize, ellipsis: char) -> String {
    let safe = |c: char| if c.is_control() { '?' } else { c };
    if name.chars().count() <= width {
        return name.chars().map(safe).collect();
    }
    name.chars().map(safe).take(width.saturating_sub(1)).chain((width > 0).then_some(ellipsis)).collect()
}

/// A sentence in lines of `width` columns, each after `indent` spaces; words are not cut. Control characters become `?`.
pub fn wrapped(sentence: &str, indent: usize, width: usize) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in sentence.split(' ') {
        let length = word.chars().count();
        if column > 0 && column + 1 + length <= width {
            text.push(' ');
            column += 1;
        } else {
            if column > 0 {
                text.push('\n');
            }
            text.extend(std::iter::repeat_n(' ', indent));
            column = indent;
        }
        text.extend(word.chars().map(|c| if c.is_control() { '?' } else { c }));
        column += length;
    }
    text.push('\n');
    text
}

/// A service and what it did, in `width` columns: a long name of a service is cut, to a third of them at worst, lest nothing is left for what it did.
pub fn fit_pair(service: &str, between: &str, what: &str, width: usize, ellipsis: char) -> String {
    let rest = between.chars().count() + what.chars().count();
    let room = width.saturating_sub(rest).max(width / 3);
    fit(&format!("{}{between}{what}", fit(service, room, ellipsis)), width, ellipsis)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_have_three_digits() {
        for (nanos, text) in [
            (0, "0ns"),
            (999, "999ns"),
            (1_000, "1.00µs"),
            (12_340, "12.3µs"),
            (999_960, "1000µs"),
            (4_560_000, "4.56ms"),
            (150_250_000, "150ms"),
            (1_200_000_000, "1.20s"),
            (125_000_000_000, "2m05s"),
        ] {
            assert_eq!(Duration(nanos).to_string(), text);
        }
        assert_eq!(format!("{:>8}", Duration(4_560_000)), "  4.56ms");
        assert_eq!(format!("{:#} {:#}", Duration(999), Duration(12_340)), "999 ns 12.3 µs");
    }

    #[test]
    fn counts_are_grouped() {
        assert_eq!([0, 999, 1_000, 1_234_567].map(count), ["0", "999", "1 000", "1 234 567"]);
    }

    #[test]
    fn bytes_have_three_digits() {
        for (value, text) in
            [(0, "0 bytes"), (1, "1 byte"), (999, "999 bytes"), (12_345, "12.3 kB"), (4_560_000, "4.56 MB")]
        {
            assert_eq!(bytes(value), text);
        }
    }

    #[test]
    fn names_are_cut_and_made_safe() {
        assert_eq!(fit("service", 7, '…'), "service");
        assert_eq!(fit("service", 4, '…'), "ser…");
        assert_eq!(fit("a\x1b[2J", 9, '…'), "a?[2J");
        assert_eq!(fit("abc", 0, '…'), "");
    }

    #[test]
    fn sentences_are_wrapped_between_words() {
        assert_eq!(wrapped("one two three", 2, 9), "  one two\n  three\n");
        assert_eq!(wrapped("extraordinarily a\nb", 1, 5), " extraordinarily\n a?b\n");
    }

    #[test]
    fn a_long_service_leaves_room_for_what_it_did() {
        assert_eq!(fit_pair("shop", " ", "GET /", 10, '…'), "shop GET /");
        assert_eq!(fit_pair("a-long-service", " ", "GET /", 10, '…'), "a-l… GET /");
        assert_eq!(fit_pair("a-long-service", " ", "GET /cart/items", 12, '…'), "a-l… GET /c…");
        assert_eq!(fit_pair("a\x1bb", " ", "c", 10, '…'), "a?b c");
    }
}
