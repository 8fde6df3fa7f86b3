//! How requests of one operation ended, and to whom they went: what OpenTelemetry's conventions want durations told apart by, beyond the
//! operation. Of few values most of the time; in bounded memory however many they are.

use std::net::IpAddr;
use std::sync::Arc;

use super::histogram::Histogram;
use crate::exchange::Side;
use crate::trace::Tags;

/// Of one series, so many are told apart.
const MAX: usize = 32;

/// How requests ended, and to whom they went.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Ending {
    /// They failed.
    pub is_error: bool,
    /// Status code ([`Tags::status`]).
    pub status: Option<u16>,
    /// The error's code ([`Tags::error_code`]).
    pub code: Option<Arc<str>>,
    /// Of calls: whom was asked for, as the request says; of databases which one ([`Tags::host`]).
    pub host: Option<Arc<str>>,
    /// Of calls that do not say it: who was asked.
    pub peer: Option<(IpAddr, u16)>,
}

impl Ending {
    fn of(tags: &Tags) -> Self {
        // Whom others believe to ask is theirs to choose, and tells a service nothing about itself.
        let is_call = tags.kind == Side::Client;
        let host = tags.host.as_ref().filter(|_| is_call);
        Self {
            is_error: tags.error,
            status: tags.status,
            code: tags.error_code.clone(),
            host: host.cloned(),
            peer: tags.peer_ip.zip(tags.peer_port).filter(|_| is_call && host.is_none()),
        }
    }

    /// What is not told apart any further.
    fn other(tags: &Tags) -> Self {
        Self { is_error: tags.error, ..Self::default() }
    }
}

/// Durations by [`Ending`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Endings(Vec<(Ending, Histogram)>);

impl Endings {
    /// Those of requests that ended as this one did, and whether that is seen for the first time. Where there is no `room` for more, or too
    /// many are told apart here already, it is only told whether they failed.
    pub(super) fn of(&mut self, tags: &Tags, room: bool) -> (&mut Histogram, bool) {
        let ending = Ending::of(tags);
        let known = self.0.iter().position(|(known, _)| *known == ending);
        let (at, is_new) = match known {
            Some(at) => (at, false),
            None if room && self.0.len() < MAX => (self.push(ending), true),
            None => {
                let other = Ending::other(tags);
                let known = self.0.iter().position(|(known, _)| *known == other);
                (known.unwrap_or_else(|| self.push(other)), false)
            }
        };
        #[expect(clippy::indexing_slicing, reason = "it was found there, or was just put there")]
        let (_, durations) = &mut self.0[at];
        (durations, is_new)
    }

    fn push(&mut self, ending: Ending) -> usize {
        self.0.push((ending, Histogram::default()));
        self.0.len() - 1
    }

    /// All of them, in the order in which they were first seen.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = &(Ending, Histogram)> {
        self.0.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::super::samples::span;
    use super::*;

    fn tags(kind: Side, status: u16, host: Option<&str>) -> Tags {
        Tags {
            status: Some(status),
            error: status >= 500,
            host: host.map(Into::into),
            peer_ip: Some([10, 0, 0, 1].into()),
            peer_port: Some(80),
            ..span("shop", kind, "GET", "/", 1).tags
        }
    }

    #[test]
    fn they_are_told_apart_by_status_and_calls_by_whom_they_went_to() {
        let mut endings = Endings::default();
        for (tags, is_new) in [
            (tags(Side::Client, 200, Some("a")), true),
            (tags(Side::Client, 200, Some("a")), false),
            (tags(Side::Client, 200, Some("b")), true),
            (tags(Side::Client, 500, Some("b")), true),
            (tags(Side::Client, 200, None), true),
            (tags(Side::Server, 200, Some("a")), true),
            (tags(Side::Server, 200, Some("whatever somebody sends")), false),
        ] {
            assert_eq!(endings.of(&tags, true).1, is_new, "{tags:?}");
        }
        let peers: Vec<_> = endings.iter().filter_map(|(ending, _)| ending.peer).collect();
        assert_eq!(peers, [([10, 0, 0, 1].into(), 80)]);
    }

    #[test]
    fn of_many_it_is_only_told_whether_they_failed() {
        let mut endings = Endings::default();
        let mut new = 0;
        for status in 0..1_000 {
            let (durations, is_new) = endings.of(&tags(Side::Server, status, None), true);
            durations.add(1);
            new += usize::from(is_new);
        }
        assert_eq!((new, endings.iter().len()), (MAX, MAX + 2));
        let counts: Vec<u64> = endings.iter().skip(MAX).map(|(_, durations)| durations.count()).collect();
        assert_eq!(counts, [500 - MAX as u64, 500]);
        assert!(endings.iter().skip(MAX).all(|(ending, _)| ending.status.is_none()));
        let mut none = Endings::default();
        assert!(!none.of(&tags(Side::Server, 200, None), false).1);
        assert_eq!(none.iter().len(), 1);
    }
}
