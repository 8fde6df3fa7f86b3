//! What a collector's answer means.

use std::time::{Duration, SystemTime};

use http::HeaderMap;
use http::header::RETRY_AFTER;
use tonic::Code;

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was taken.
    Taken,
    /// It was taken but for some of its spans (`ExportTracePartialSuccess`).
    Partly {
        /// Those that were not.
        rejected: u64,
        /// What the collector says to it; it may say something although nothing was rejected.
        message: String,
    },
    /// It may be taken later.
    Later {
        /// Why not now.
        why: String,
        /// When, if the collector says so.
        after: Option<Duration>,
    },
    /// It will never be taken.
    Refused {
        /// Why not.
        why: String,
    },
}

impl Answer {
    /// A status of HTTP that is no success (OTLP specification, "Retryable Response Codes").
    pub fn of_status(status: http::StatusCode, headers: &HeaderMap, now: SystemTime) -> Self {
        let why = format!("it answered {status}");
        if matches!(status.as_u16(), 429 | 502 | 503 | 504) {
            Self::Later { why, after: retry_after(headers, now) }
        } else {
            Self::Refused { why }
        }
    }

    /// A status of gRPC that is not OK (OTLP specification, "OTLP/gRPC Response", table of retryable codes); `after` is what its
    /// `RetryInfo` says.
    pub fn of_code(code: Code, message: &str, after: Option<Duration>) -> Self {
        let why = format!("it answered {code:?}: {}", plain(message));
        let is_retryable = match code {
            Code::Cancelled
            | Code::DeadlineExceeded
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unavailable
            | Code::DataLoss => true,
            // Only whoever says when is going to recover.
            Code::ResourceExhausted => after.is_some(),
            _ => false,
        };
        if is_retryable { Self::Later { why, after } } else { Self::Refused { why } }
    }

    /// A collector's `partial_success`.
    pub fn partly(rejected: i64, message: &str) -> Self {
        if rejected <= 0 && message.is_empty() {
            return Self::Taken;
        }
        Self::Partly { rejected: u64::try_from(rejected).unwrap_or(0), message: plain(message) }
    }

    /// It could not be asked.
    pub fn unreachable(why: impl Into<String>) -> Self {
        Self::Later { why: why.into(), after: None }
    }
}

/// Seconds, or a date (RFC 9110, section 10.2.3).
fn retry_after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    match value.parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(value).ok()?;
            // A date that has passed is now.
            Some(date.duration_since(now).unwrap_or_default())
        }
    }
}

/// What somebody else says, in a line on a terminal.
fn plain(message: &str) -> String {
    const LONGEST: usize = 200;
    let message = message.trim();
    let mut plain: String =
        message.chars().take(LONGEST).map(|letter| if letter.is_control() { ' ' } else { letter }).collect();
    if message.chars().nth(LONGEST).is_some() {
        plain.push('…');
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::StatusCode;

    fn of(status: u16, retry_after: Option<&str>) -> Answer {
        let mut headers = HeaderMap::new();
        if let Some(value) = retry_after {
            headers.insert(RETRY_AFTER, value.parse().unwrap());
        }
        let now = SystemTime::UNIX_EPOCH + Duration::from_secs(784_111_777 - 5);
        Answer::of_status(StatusCode::from_u16(status).unwrap(), &headers, now)
    }

    #[test]
    fn only_what_may_pass_is_tried_again() {
        for status in [429, 502, 503, 504] {
            assert!(matches!(of(status, None), Answer::Later { after: None, .. }), "{status}");
        }
        for status in [301, 400, 401, 404, 413, 500, 501, 505] {
            assert!(matches!(of(status, None), Answer::Refused { .. }), "{status}");
        }
    }

    #[test]
    fn when_to_come_back_is_seconds_or_a_date() {
        for (value, seconds) in [
            ("3", Some(3)),
            ("0", Some(0)),
            ("Sun, 06 Nov 1994 08:49:37 GMT", Some(5)),
            ("Sun, 06 Nov 1994 08:40:37 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let Answer::Later { after, .. } = of(503, Some(value)) else { panic!("{value}") };
            assert_eq!(after, seconds.map(Duration::from_secs), "{value}");
        }
    }

    #[test]
    fn codes_of_grpc_are_told_apart() {
        let second = Some(Duration::from_secs(1));
        assert!(matches!(Answer::of_code(Code::Unavailable, "", None), Answer::Later { .. }));
        assert!(matches!(Answer::of_code(Code::ResourceExhausted, "", None), Answer::Refused { .. }));
        let asked = Answer::of_code(Code::ResourceExhausted, "", second);
        assert!(matches!(asked, Answer::Later { after, .. } if after == second));
        for code in [Code::InvalidArgument, Code::Unauthenticated, Code::Unimplemented, Code::Internal] {
            assert!(
                matches!(Answer::of_code(code, "no\nway", None), Answer::Refused { why } if why.ends_with("no way"))
            );
        }
    }

    #[test]
    fn a_part_may_be_rejected() {
        assert_eq!(Answer::partly(0, ""), Answer::Taken);
        assert_eq!(
            Answer::partly(3, "a\u{1b}[31m"),
            Answer::Partly { rejected: 3, message: "a [31m".to_owned() }
        );
        assert_eq!(Answer::partly(0, "hm"), Answer::Partly { rejected: 0, message: "hm".to_owned() });
        assert!(
            matches!(Answer::partly(1, &"x".repeat(900)), Answer::Partly { message, .. } if message.len() < 250)
        );
    }
}
