//! Requests by service, operation, kind and protocol, in bounded memory.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::ending::Endings;
use super::histogram::Histogram;
use super::name;
use crate::exchange::{Protocol, Side};
use crate::measure::Measured;
use crate::trace::{Span, Tags};

/// So many operations have series of their own; those that come later are counted under [`OTHER`].
pub const MAX_SERIES: usize = 2_000;
/// So many services (with kind and protocol) may have a series for their other operations.
const MAX_OTHERS: usize = 200;
/// So many ways in which requests ended ([`super::Ending`]) are told apart, over all series; besides, each series has two for all others.
const MAX_ENDINGS: usize = 6_000;
/// The operation, and if need be the service, of what has no series of its own.
pub const OTHER: &str = "other";

/// What tells one series from another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Labels {
    /// The service that answered or asked (`service.name`).
    pub service: Arc<str>,
    /// What was asked for: few values.
    pub operation: Box<str>,
    /// How many bytes of it are the verb: the method or command.
    verb: usize,
    /// `server`, `client`, `consumer` or `producer` (`span.kind`).
    pub kind: &'static str,
    /// In which protocol.
    pub protocol: Protocol,
}

impl Labels {
    /// The method or command; none where the object says all, or where nothing is known ([`OTHER`]).
    pub fn verb(&self) -> Option<&str> {
        self.operation.get(..self.verb).filter(|verb| !verb.is_empty())
    }

    /// What it was applied to, as far as it has few values; none where there is no such thing.
    pub fn object(&self) -> Option<&str> {
        let rest = self.operation.get(self.verb..).unwrap_or_default();
        let object = if self.verb == 0 { rest } else { rest.strip_prefix(' ')? };
        Some(object).filter(|object| !object.is_empty() && *self.operation != *OTHER)
    }
}

/// The requests of one operation.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Series {
    /// Whose.
    pub labels: Arc<Labels>,
    /// All of them.
    pub requests: u64,
    /// Those that failed.
    pub errors: u64,
    /// How long they took, by how they ended: only those that were seen to their end.
    pub endings: Endings,
}

impl Series {
    /// How long they took, however they ended.
    pub fn durations(&self) -> Histogram {
        let mut all = Histogram::default();
        for (_, durations) in self.endings.iter() {
            all.join(durations);
        }
        all
    }
}

/// All series.
#[derive(Clone, Debug, Default)]
pub struct Requests {
    series: Vec<Series>,
    /// Where in `series`, by what [`Key`] makes of the labels.
    index: BTreeMap<Box<[u8]>, usize>,
    key: Key,
    /// Requests counted under [`OTHER`].
    beyond: u64,
    /// Endings in all series that are told apart.
    endings: usize,
}

impl Requests {
    /// Counts a span.
    pub fn add(&mut self, span: &Span) {
        let tags = &span.tags;
        let at = self.place(&span.service_name, tags, |out| name::operation(span, out));
        let Self { series, endings, .. } = self;
        if let Some(series) = series.get_mut(at) {
            series.requests += 1;
            series.errors += u64::from(tags.error);
            if let Some(duration) = Measured::from(span).whole() {
                let (durations, is_new) = series.endings.of(tags, *endings < MAX_ENDINGS);
                durations.add(duration);
                *endings += usize::from(is_new);
            }
        }
    }

    /// All of them, in the order in which they were first seen.
    pub fn series(&self) -> &[Series] {
        &self.series
    }

    /// Requests that were counted under [`OTHER`], because there were too many operations.
    pub fn beyond(&self) -> u64 {
        self.beyond
    }

    /// Where the series of these labels is; of the next one that there is room for, if it has none.
    fn place(
        &mut self,
        service: &Arc<str>,
        tags: &Tags,
        operation: impl FnOnce(&mut String) -> usize,
    ) -> usize {
        self.key.begin(service, tags);
        self.key.verb = operation(&mut self.key.operation);
        if let Some(at) = self.find(MAX_SERIES, service, tags) {
            return at;
        }
        self.beyond += 1;
        self.key.other();
        if let Some(at) = self.find(MAX_SERIES + MAX_OTHERS, service, tags) {
            return at;
        }
        // One for each kind and protocol: there is always room.
        let nobody: Arc<str> = Arc::from(OTHER);
        self.key.begin(&nobody, tags);
        self.key.other();
        self.find(usize::MAX, &nobody, tags).unwrap_or(usize::MAX)
    }

    /// The series of the key; a new one while there are less than `limit`.
    fn find(&mut self, limit: usize, service: &Arc<str>, tags: &Tags) -> Option<usize> {
        let key = self.key.finished();
        if let Some(at) = self.index.get(key) {
            return Some(*at);
        }
        let at = self.series.len();
        if at >= limit {
            return None;
        }
        self.index.insert(key.into(), at);
        let labels = Labels {
            service: Arc::clone(service),
            operation: self.key.operation.as_str().into(),
            verb: self.key.verb,
            kind: kind(tags),
            protocol: tags.protocol,
        };
        self.series.push(Series {
            labels: Arc::new(labels),
            requests: 0,
            errors: 0,
            endings: Endings::default(),
        });
        Some(at)
    }
}

/// The labels as bytes, put together in the same place each time, so that the common case allocates nothing.
#[derive(Clone, Debug, Default)]
struct Key {
    bytes: Vec<u8>,
    /// Where in `bytes` the operation begins.
    prefix: usize,
    operation: String,
    /// As [`Labels`] has it.
    verb: usize,
}

impl Key {
    fn begin(&mut self, service: &str, tags: &Tags) {
        self.bytes.clear();
        self.bytes.extend_from_slice(&[
            u8::from(tags.kind == Side::Server),
            u8::from(tags.is_message),
            tags.protocol as u8,
        ]);
        self.bytes.extend_from_slice(service.as_bytes());
        // Is in no UTF-8.
        self.bytes.push(0xff);
        self.prefix = self.bytes.len();
        self.operation.clear();
    }

    fn other(&mut self) {
        self.operation.clear();
        self.operation.push_str(OTHER);
        self.verb = 0;
    }

    fn finished(&mut self) -> &[u8] {
        self.bytes.truncate(self.prefix);
        self.bytes.extend_from_slice(self.operation.as_bytes());
        &self.bytes
    }
}

/// OpenTelemetry's word.
fn kind(tags: &Tags) -> &'static str {
    match (tags.kind, tags.is_message) {
        (Side::Server, false) => "server",
        (Side::Client, false) => "client",
        (Side::Server, true) => "consumer",
        (Side::Client, true) => "producer",
    }
}

#[cfg(test)]
#[path = "requests_tests.rs"]
mod tests;
