//! Reads the times of day of trace files (RFC 3339, section 5.6).

/// Nanoseconds since 1970, negative before; `None` if it is not such a time.
pub fn parse(text: &str) -> Option<i64> {
    ours(text.as_bytes()).or_else(|| any(text))
}

/// A time in the form that we write, which nearly all have, and which is then most of what there is to read in a span.
fn ours(text: &[u8]) -> Option<i64> {
    let [
        year @ ..,
        b'-',
        m1,
        m2,
        b'-',
        d1,
        d2,
        b'T',
        h1,
        h2,
        b':',
        i1,
        i2,
        b':',
        s1,
        s2,
        b'.',
        f1,
        f2,
        f3,
        f4,
        f5,
        f6,
        b'Z',
    ] = text
    else {
        return None;
    };
    let mut is_number = year.len() == 4;
    let mut number = |digits: &[u8]| {
        is_number &= digits.iter().all(u8::is_ascii_digit);
        digits.iter().fold(0, |number, digit| number * 10 + i64::from(digit.wrapping_sub(b'0')))
    };
    let (year, month, day) = (number(year), number(&[*m1, *m2]), number(&[*d1, *d2]));
    let (hour, minute, second) = (number(&[*h1, *h2]), number(&[*i1, *i2]), number(&[*s1, *s2]));
    let micros = number(&[*f1, *f2, *f3, *f4, *f5, *f6]);
    if !is_number || !is_time(month, day, hour, minute, second) {
        return None;
    }
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second;
    seconds.checked_mul(1_000_000_000)?.checked_add(micros * 1_000)
}

/// Whether a day and a clock can show that; a leap second included.
fn is_time(month: i64, day: i64, hour: i64, minute: i64, second: i64) -> bool {
    (1..=12).contains(&month) && (1..=31).contains(&day) && hour <= 23 && minute <= 59 && second <= 60
}

fn any(text: &str) -> Option<i64> {
    let (date, rest) = text.split_at_checked(10)?;
    let rest = rest.strip_prefix(['T', 't', ' '])?;
    let zone_at = rest.find(['Z', 'z', '+', '-'])?;
    let (time, zone) = rest.split_at_checked(zone_at)?;
    let (clock, fraction) = time.split_once('.').unwrap_or((time, "0"));
    let [year, month, day] = numbers(date, '-', [4, 2, 2])?;
    let [hour, minute, second] = numbers(clock, ':', [2, 2, 2])?;
    if !is_time(month, day, hour, minute, second) {
        return None;
    }
    let offset = match zone {
        "Z" | "z" => 0,
        zone => {
            let [hours, minutes] = numbers(zone.get(1..)?, ':', [2, 2])?;
            (hours * 60 + minutes) * if zone.starts_with('-') { -60 } else { 60 }
        }
    };
    if fraction.is_empty() || !fraction.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    let nanos = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = nanos.fold(0, |nanos, digit| nanos * 10 + i64::from(digit - b'0'));
    let seconds = days(year, month, day) * 86_400 + hour * 3_600 + minute * 60 + second - offset;
    seconds.checked_mul(1_000_000_000)?.checked_add(nanos)
}

fn numbers<const N: usize>(text: &str, separator: char, digits: [usize; N]) -> Option<[i64; N]> {
    let mut parts = text.split(separator);
    let mut numbers = [0; N];
    for (number, digits) in numbers.iter_mut().zip(digits) {
        let part = parts.next().filter(|part| part.len() == digits)?;
        *number = part.bytes().all(|byte| byte.is_ascii_digit()).then(|| part.parse().ok())??;
    }
    parts.next().is_none().then_some(numbers)
}

/// Days from 1970-01-01 (proleptic Gregorian calendar; H. Hinnant, "chrono-Compatible Low-Level Date Algorithms",
/// days_from_civil).
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let day_of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year - 719_468
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Rfc3339Micros;

    #[test]
    fn what_is_written_is_read() {
        for nanos in [0, 1_698_400_800_050_123_000, 1_709_164_799_000_000_000, 1_709_164_800_999_999_000] {
            assert_eq!(parse(&Rfc3339Micros(nanos).to_string()), Some(nanos as i64));
        }
    }

    #[test]
    fn the_short_way_and_the_long_one_agree() {
        for text in
            ["2023-10-27T10:00:00.050123Z", "0000-01-01T00:00:00.000000Z", "2024-02-29T23:59:60.999999Z"]
        {
            assert_eq!(ours(text.as_bytes()), any(text));
            assert!(ours(text.as_bytes()).is_some() || text.starts_with('0'));
        }
        for text in [
            "2023-10-27T10:00:00.05012xZ",
            "2023-13-27T10:00:00.050123Z",
            "12023-10-27T10:00:00.050123Z",
            "2023-10-27T24:00:00.050123Z",
            "-023-10-27T10:00:00.050123Z",
        ] {
            assert_eq!((ours(text.as_bytes()), any(text)), (None, None), "{text}");
        }
    }

    #[test]
    fn other_tools_forms_are_read() {
        assert_eq!(parse("1970-01-01T01:00:00+01:00"), Some(0));
        assert_eq!(parse("1970-01-01 00:00:01.5Z"), Some(1_500_000_000));
        assert_eq!(parse("1969-12-31T23:59:59.123456789123Z"), Some(-876_543_211));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "2023",
            "2023-10-27",
            "2023-10-27T10:00:00",
            "2023-13-27T10:00:00Z",
            "2023-10-27T10:00:00.Z",
            "2023-10-27T10:00:00.1x2Z",
            "2023-10-27T1:00:00Z",
            "+023-10-27T10:00:00Z",
            "2023-10-27T10:00:00+x",
            "9999-99-99T99:99:99Z",
            "ééééé-10-27T10:00:00Z",
            "2023-10-27T10:00:00+",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
