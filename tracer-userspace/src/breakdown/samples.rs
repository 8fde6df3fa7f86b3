//! Traces made by hand.

use super::statement::{Kind, Named};
use super::{Node, Segment};

/// Times in the samples are in milliseconds after this.
pub const ZERO: i64 = 1_698_400_800_000_000_000;
pub const MS: i64 = 1_000_000;

/// A span from one millisecond to another.
pub fn node(parent: Option<usize>, from: i64, to: i64) -> Node {
    Node { parent, start: ZERO + from * MS, duration: ((to - from) * MS) as u64, detached: false }
}

pub fn detached(parent: Option<usize>, from: i64, to: i64) -> Node {
    Node { detached: true, ..node(parent, from, to) }
}

/// Span, from, to, in milliseconds.
pub fn in_ms(segments: &[Segment]) -> Vec<(usize, i64, i64)> {
    let ms = |at: i64| (at - ZERO) / MS;
    segments.iter().map(|segment| (segment.span, ms(segment.start), ms(segment.end))).collect()
}

fn named<'a>(
    kind: Kind,
    node: Node,
    service: &'a str,
    operation: &'a str,
    peer: Option<&'a str>,
) -> Named<'a> {
    Named { node, service, operation, peer, kind, incomplete: false, confidence: None, error: false }
}

/// A request that `service` answered.
pub fn server<'a>(node: Node, service: &'a str, operation: &'a str) -> Named<'a> {
    named(Kind::Server, node, service, operation, None)
}

/// A call that `service` made.
pub fn client<'a>(node: Node, service: &'a str, operation: &'a str, peer: &'a str) -> Named<'a> {
    named(Kind::Client, node, service, operation, Some(peer).filter(|peer| !peer.is_empty()))
}

/// Work within `service`.
pub fn inner<'a>(node: Node, service: &'a str, operation: &'a str) -> Named<'a> {
    named(Kind::Other, node, service, operation, None)
}
