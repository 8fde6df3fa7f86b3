//! How slow this machine is, in one place: `TRACER_E2E_SLOW=N` says that programs run about N times slower than on the
//! machine the tests were written on, as they do in an emulator.
//!
//! Limits grow and counts shrink with it. What is asked of the spans stays the same: there, too, each request is one
//! span with the right method, path, status and parent.

use std::sync::OnceLock;
use std::time::Duration;

/// Names the factor in the environment.
const VARIABLE: &str = "TRACER_E2E_SLOW";

/// The factor, 1 to 100; 1 where nothing is said.
pub fn factor() -> u32 {
    static FACTOR: OnceLock<u32> = OnceLock::new();
    *FACTOR.get_or_init(|| parse(std::env::var(VARIABLE).ok().as_deref()))
}

fn parse(value: Option<&str>) -> u32 {
    value.and_then(|text| text.trim().parse().ok()).unwrap_or(1).clamp(1, 100)
}

/// A limit that holds for something that has to happen.
pub fn limit(normal: Duration) -> Duration {
    normal * factor()
}

/// A count of requests, where many are sent only to see that each is counted; at least 100.
pub fn count(normal: u32) -> u32 {
    fewer(normal, factor())
}

fn fewer(normal: u32, factor: u32) -> u32 {
    (normal / factor).max(normal.min(100))
}

/// An upper bound of a measured time, milliseconds.
pub fn milliseconds(normal: f64) -> f64 {
    normal * f64::from(factor())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_factor_is_a_number_in_reason() {
        assert_eq!(parse(None), 1);
        assert_eq!(parse(Some("20")), 20);
        assert_eq!(parse(Some("0")), 1);
        assert_eq!(parse(Some("fast")), 1);
        assert_eq!(parse(Some("5000")), 100);
    }

    #[test]
    fn few_stay_few_and_many_become_fewer() {
        assert_eq!(fewer(2000, 1), 2000);
        assert_eq!(fewer(2000, 10), 200);
        assert_eq!(fewer(2000, 100), 100);
        assert_eq!(fewer(20, 100), 20);
    }
}
