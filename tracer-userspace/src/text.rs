//! Numbers and names as people read them.

use std::fmt;

use unicode_width::UnicodeWidthChar;

/// A duration in nanoseconds with three significant digits: `850ns`, `12.3µs`, `4.56ms`, `1.20s`, `2m05s`, `3h07m`, `12d03h`. In the
/// alternate form, for sentences, a space stands before the unit: `12.3 µs`.
#[derive(Clone, Copy, Debug)]
pub struct Duration(pub u64);

impl fmt::Display for Duration {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let gap = if f.alternate() { " " } else { "" };
        let text = match self.0 {
            nanos @ ..1_000 => format!("{nanos}{gap}ns"),
            nanos @ ..999_500 => three(nanos as f64 / 1e3, gap, "µs"),
            nanos @ ..999_500_000 => three(nanos as f64 / 1e6, gap, "ms"),
            nanos @ ..99_950_000_000 => three(nanos as f64 / 1e9, gap, "s"),
            nanos => match nanos.saturating_add(500_000_000) / 1_000_000_000 {
                seconds @ ..7_200 => format!("{}m{:02}s", seconds / 60, seconds % 60),
                seconds @ ..172_800 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
                seconds => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
            },
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

/// `1 span`, `2 spans`.
pub fn plural(n: u64, what: &str) -> String {
    format!("{} {what}{}", count(n), if n == 1 { "" } else { "s" })
}

/// How often in a second, with two digits or more that count: `1.43`, `37.2`, `1 234`; of what is rarer how often in a minute or an
/// hour: `2.4/min`. `-` for what was there once, or in no time: that is no rate.
pub fn rate(number: u64, nanos: u64) -> String {
    if number < 2 || nanos == 0 {
        return "-".to_owned();
    }
    let per_second = number as f64 * 1e9 / nanos as f64;
    match per_second {
        99.95.. => count(per_second.round() as u64),
        9.995.. => format!("{per_second:.1}"),
        0.095.. => format!("{per_second:.2}"),
        _ if per_second * 60.0 >= 0.095 => format!("{:.1}/min", per_second * 60.0),
        _ => format!("{:.1}/h", per_second * 3_600.0),
    }
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

/// Characters that change how a line reads without being seen: direction overrides, zero-width and the like.
pub fn is_invisible(c: char) -> bool {
    matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{ad}')
}

/// What may be printed: control characters, which could steer the terminal, and those that change the order of others or are not seen,
/// become `?`.
fn safe(c: char) -> char {
    if c.is_control() || is_invisible(c) { '?' } else { c }
}

fn columns_of(c: char) -> usize {
    safe(c).width().unwrap_or(1)
}

/// How many columns of a terminal a text takes, as [`fit`] prints it.
pub fn columns(text: &str) -> usize {
    text.chars().map(columns_of).sum()
}

/// A text of anybody's, safe to print.
pub fn printable(text: &str) -> String {
    text.chars().map(safe).collect()
}

/// A name that fits into `width` columns, cut at the end, and safe to print.
pub fn fit(name: &str, width: usize, ellipsis: char) -> String {
    let mut fitted = String::with_capacity(name.len().min(4 * width));
    // Where the last column, which the ellipsis takes, begins.
    let (mut taken, mut cut) = (0, 0);
    for c in name.chars() {
        taken += columns_of(c);
        if taken > width {
            fitted.truncate(cut);
            fitted.extend((width > 0).then_some(ellipsis));
            return fitted;
        }
        fitted.push(safe(c));
        if taken < width {
            cut = fitted.len();
        }
    }
    fitted
}

/// The same with spaces behind it, up to that width.
pub fn padded(fitted: &str, width: usize) -> String {
    format!("{fitted}{:1$}", "", width.saturating_sub(columns(fitted)))
}

/// A sentence in lines of `width` columns, each after `indent` spaces; words are not cut. Safe to print.
pub fn wrapped(sentence: &str, indent: usize, width: usize) -> String {
    let mut text = String::new();
    let mut column = 0;
    for word in sentence.split(' ') {
        let length = columns(word);
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
        text.extend(word.chars().map(safe));
        column += length;
    }
    text.push('\n');
    text
}

/// A service and what it did, in `width` columns: a long name of a service is cut, to a third of them at worst, lest nothing is left for what it did.
pub fn fit_pair(service: &str, between: &str, what: &str, width: usize, ellipsis: char) -> String {
    let rest = columns(between) + columns(what);
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
            (999_960, "1.00ms"),
            (999_600_000, "1.00s"),
            (4_560_000, "4.56ms"),
            (150_250_000, "150ms"),
            (1_200_000_000, "1.20s"),
            (125_000_000_000, "2m05s"),
            (99_960_000_000, "1m40s"),
            (11_220_000_000_000, "3h07m"),
            (10_000_000_000_000_000, "115d17h"),
            (u64::MAX, "213503d23h"),
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
    fn rates_are_never_nothing_of_something() {
        const MINUTE: u64 = 60_000_000_000;
        for (number, nanos, text) in [
            (1, MINUTE, "-"),
            (2, 0, "-"),
            (74_040, MINUTE, "1 234"),
            (2_235, MINUTE, "37.2"),
            (86, MINUTE, "1.43"),
            (6, MINUTE, "0.10"),
            (5, MINUTE, "5.0/min"),
            (2, 60 * MINUTE, "2.0/h"),
        ] {
            assert_eq!(rate(number, nanos), text);
        }
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
        assert_eq!(fit("a\u{202e}b\u{200b}", 9, '…'), "a?b?");
    }

    #[test]
    fn wide_characters_take_two_columns() {
        assert_eq!((columns("用户"), columns("e\u{301}")), (4, 1));
        assert_eq!([4, 3, 2, 1].map(|width| fit("用户", width, '…')), ["用户", "用…", "…", "…"]);
        assert_eq!(padded("用户", 6), "用户  ");
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
