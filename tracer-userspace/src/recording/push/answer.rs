//! What a collector's answer means.

use std::time::{Duration, SystemTime};

use http::header::{LOCATION, RETRY_AFTER};
use http::{HeaderMap, Uri};
use tonic::Code;

/// What became of a batch.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// It was taken.
    Taken,
    /// It was taken but for some of it (`ExportTracePartialSuccess`, `ExportMetricsPartialSuccess`).
    Partly {
        /// Spans or data points that were not.
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
        /// What may help.
        help: Help,
    },
}

/// What may help where something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Help {
    /// Nothing that the tracer could do.
    None,
    /// Less at once.
    Less,
    /// No compression.
    Plain,
    /// No compression, over gRPC; but perhaps there is nobody who takes such things at all.
    PlainOrNothing,
    /// Nobody takes such things there.
    Nothing,
}

impl Answer {
    /// A status of HTTP that is no success (OTLP specification, "Retryable Response Codes").
    pub fn of_status(status: http::StatusCode, headers: &HeaderMap, now: SystemTime) -> Self {
        let advice = match status.as_u16() {
            401 | 403 => "; who we are is said by --push-header".to_owned(),
            301 | 302 | 303 | 307 | 308 => moved(headers),
            _ => String::new(),
        };
        let why = format!("it answered {status}{advice}");
        let help = match status.as_u16() {
            429 | 502 | 503 | 504 => return Self::Later { why, after: retry_after(headers, now) },
            413 => Help::Less,
            415 => Help::Plain,
            404 | 405 | 501 => Help::Nothing,
            _ => Help::None,
        };
        Self::Refused { why, help }
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
        // Neither gRPC nor OTLP has a code for it; these words are tonic's, Go's and Java's, and less is never wrong.
        let is_too_large = ["too large", "larger than max", "exceeds maximum"];
        let help = match code {
            Code::OutOfRange | Code::ResourceExhausted
                if is_too_large.iter().any(|words| message.contains(words)) =>
            {
                return Self::Refused { why, help: Help::Less };
            }
            Code::Unimplemented => Help::PlainOrNothing,
            _ => Help::None,
        };
        if is_retryable { Self::Later { why, after } } else { Self::Refused { why, help } }
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

/// Where else it is, without what may be a secret in that (RFC 9110, section 10.2.2).
fn moved(headers: &HeaderMap) -> String {
    let place = headers.get(LOCATION).and_then(|value| value.to_str().ok()?.parse::<Uri>().ok());
    let there = place.map(|place| {
        let host = place.host().unwrap_or_default();
        let port = place.port_u16().map(|port| format!(":{port}")).unwrap_or_default();
        let scheme = place.scheme_str().map(|scheme| format!("{scheme}://")).unwrap_or_default();
        plain(&format!(", to {scheme}{host}{port}{}", place.path()))
    });
    format!("{}; no redirect is followed: push to where it leads", there.unwrap_or_default())
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
        for (status, will) in [
            (301, Help::None),
            (400, Help::None),
            (401, Help::None),
            (404, Help::Nothing),
            (413, Help::Less),
            (415, Help::Plain),
            (500, Help::None),
            (501, Help::Nothing),
            (505, Help::None),
        ] {
            assert!(matches!(of(status, None), Answer::Refused { help, .. } if help == will), "{status}");
        }
    }

    #[test]
    fn where_a_redirect_leads_is_told_without_secrets() {
        let mut headers = HeaderMap::new();
        headers.insert(LOCATION, "https://me:hunter2@new.example:4318/a?token=hunter2".parse().unwrap());
        let said = Answer::of_status(StatusCode::PERMANENT_REDIRECT, &headers, SystemTime::UNIX_EPOCH);
        let Answer::Refused { why, .. } = said else { panic!("{said:?}") };
        assert!(why.contains("to https://new.example:4318/a;") && !why.contains("hunter2"), "{why}");
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
                matches!(Answer::of_code(code, "no\nway", None), Answer::Refused { why, .. } if why.ends_with("no way"))
            );
        }
    }

    #[test]
    fn what_is_too_large_for_grpc_is_told_by_its_words() {
        for (code, message) in [
            (
                Code::OutOfRange,
                "Error, decoded message length too large: found 5 bytes, the limit is: 4 bytes",
            ),
            (Code::ResourceExhausted, "grpc: received message larger than max (5 vs. 4)"),
        ] {
            assert!(matches!(Answer::of_code(code, message, None), Answer::Refused { help: Help::Less, .. }));
        }
        let none = Answer::of_code(Code::Unimplemented, "unknown service", None);
        assert!(matches!(none, Answer::Refused { help: Help::PlainOrNothing, .. }));
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
