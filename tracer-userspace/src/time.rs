//! Times of the kernel clock, and the one place where they become times of day.

use std::fmt;

/// Nanoseconds of CLOCK_MONOTONIC, as the probes stamp them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Nanos(pub u64);

impl Nanos {
    /// Nanoseconds from `earlier` to `self`; 0 if `earlier` is later.
    pub fn since(self, earlier: Nanos) -> u64 {
        self.0.saturating_sub(earlier.0)
    }
}

/// The latest time of day: in the year 2262 nanoseconds no longer fit into the signed numbers that readers use, ours
/// included. Only clocks that lie go there.
pub const LATEST: u64 = i64::MAX as u64;

/// One reading of both clocks: what turns [`Nanos`] into a time of day.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockAnchor {
    /// CLOCK_MONOTONIC.
    pub monotonic: Nanos,
    /// CLOCK_REALTIME at the same moment: nanoseconds since 1970-01-01T00:00:00Z.
    pub unix_nanos: u64,
}

impl ClockAnchor {
    /// Nanoseconds since 1970 of a kernel time; at most [`LATEST`].
    pub fn unix_nanos(&self, at: Nanos) -> u64 {
        let unix_nanos = if at >= self.monotonic {
            self.unix_nanos.saturating_add(at.since(self.monotonic))
        } else {
            self.unix_nanos.saturating_sub(self.monotonic.since(at))
        };
        unix_nanos.min(LATEST)
    }
}

/// A time of day, UTC, formatted as RFC 3339 with microseconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Rfc3339Micros(pub u64);

impl Rfc3339Micros {
    /// The text, without the formatting machinery: every span has one. Years have four digits until 2554, where the
    /// nanoseconds end.
    pub fn to_ascii(self) -> [u8; 27] {
        let micros = self.0 / 1_000;
        let (seconds, micros) = (micros / 1_000_000, micros % 1_000_000);
        let (days, second) = (seconds / 86_400, seconds % 86_400);
        let (year, month, day) = civil_from_days(days);
        let mut text = *b"0000-00-00T00:00:00.000000Z";
        for (end, digits, mut value) in [
            (4, 4, year),
            (7, 2, month),
            (10, 2, day),
            (13, 2, second / 3_600),
            (16, 2, second / 60 % 60),
            (19, 2, second % 60),
            (26, 6, micros),
        ] {
            for digit in text.iter_mut().take(end).rev().take(digits) {
                *digit = b'0' + (value % 10) as u8;
                value /= 10;
            }
        }
        text
    }
}

impl fmt::Display for Rfc3339Micros {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(std::str::from_utf8(&self.to_ascii()).unwrap_or_default())
    }
}

/// Year, month and day of a day counted from 1970-01-01 (proleptic Gregorian calendar; H. Hinnant,
/// "chrono-Compatible Low-Level Date Algorithms", civil_from_days, for days not before the epoch).
fn civil_from_days(days: u64) -> (u64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted / 146_097;
    let day_of_era = shifted % 146_097;
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_shifted = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_shifted + 2) / 5 + 1;
    let month = if month_shifted < 10 { month_shifted + 3 } else { month_shifted - 9 };
    (year_of_era + era * 400 + u64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_instants_format_as_rfc_3339() {
        assert_eq!(Rfc3339Micros(0).to_string(), "1970-01-01T00:00:00.000000Z");
        assert_eq!(Rfc3339Micros(1_698_400_800_050_123_999).to_string(), "2023-10-27T10:00:00.050123Z");
        assert_eq!(Rfc3339Micros(1_709_164_799_000_000_000).to_string(), "2024-02-28T23:59:59.000000Z");
        assert_eq!(Rfc3339Micros(1_709_164_800_000_000_000).to_string(), "2024-02-29T00:00:00.000000Z");
    }

    #[test]
    fn an_anchor_reaches_both_ways() {
        let anchor = ClockAnchor { monotonic: Nanos(1_000), unix_nanos: 50_000 };
        assert_eq!(anchor.unix_nanos(Nanos(1_500)), 50_500);
        assert_eq!(anchor.unix_nanos(Nanos(400)), 49_400);
        assert_eq!(anchor.unix_nanos(Nanos(u64::MAX)), LATEST);
    }
}
