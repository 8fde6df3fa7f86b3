//! A finished tree becomes the spans of a trace.

use super::forest::Leaf;
use super::id::{SpanId, TraceId};
use super::record::{Peer, Record};
use super::span::{self, Span, Tags};
use crate::causality::{Evidence, EvidenceSet, Reason};
use crate::exchange::{Outcome, Side};
use crate::time::{ClockAnchor, Nanos};

/// Start and end of each span of a tree.
///
/// The kernel's hooks stamp a call when it returns. On one host the receiver may return from its call while the
/// sender still is in its own, so the receiver's stamp can be the earlier one, by microseconds. Within a joined pair
/// the true order is known: no byte of the request is read before it was sent, and the last byte of the response is
/// not read before it was sent. Each stamp is no earlier than what it stands for, so where two stamps contradict
/// that order, the earlier one is the better bound for both: the client's start becomes the smaller of the two
/// starts, and the server's end the smaller of the two ends. The latter only if both sides saw the response to its
/// last byte; else the ends are of different things.
fn times(leaves: &[Leaf]) -> Vec<(Nanos, Nanos)> {
    let mut times: Vec<(Nanos, Nanos)> = leaves
        .iter()
        .map(|Leaf { record, .. }| {
            let last = record.end.map(|ended| ended.end).or(record.response.map(|response| response.at));
            (record.first, last.unwrap_or(record.stamp.at).max(record.first))
        })
        .collect();
    let complete = |record: &Record| record.end.is_some_and(|ended| ended.outcome == Outcome::Complete);
    for (at, leaf) in leaves.iter().enumerate() {
        let Some(parent) = leaf.parent.filter(|_| leaf.record.side == Side::Server) else { continue };
        let both = leaves.get(parent).is_some_and(|p| complete(&p.record) && complete(&leaf.record));
        let (Some(&(start, end)), Some(&(client_start, client_end))) = (times.get(at), times.get(parent))
        else {
            continue;
        };
        if let Some(client) = times.get_mut(parent) {
            client.0 = client_start.min(start);
        }
        if both && let Some(server) = times.get_mut(at) {
            server.1 = end.min(client_end).max(start);
        }
    }
    times
}

/// Gives out the spans of a tree, by start, then depth, then id.
pub(super) fn spans(leaves: Vec<Leaf>, clock: &ClockAnchor, out: &mut impl FnMut(Span)) {
    let times = times(&leaves);
    let Some(root) = leaves.first() else { return };
    // The header nearest to the root names the trace: whoever began it knows its name.
    let header = leaves
        .iter()
        .filter(|leaf| leaf.record.head.traceparent.is_some())
        .min_by_key(|leaf| (leaf.depth, leaf.record.first, leaf.record.id))
        .and_then(|leaf| leaf.record.head.traceparent);
    let trace_id = match header {
        Some(header) => TraceId(header.trace_id),
        None => TraceId::derive(root.record.id, root.record.first),
    };
    // A server request without its client in the capture has its caller's span id in the header, if anywhere.
    let outside = root
        .record
        .head
        .traceparent
        .filter(|_| root.record.side == Side::Server)
        .map(|h| SpanId(h.parent_id));
    let ids: Vec<SpanId> =
        leaves.iter().map(|leaf| SpanId::derive(leaf.record.id, leaf.record.first)).collect();
    let mut order: Vec<(Nanos, u32, SpanId, usize)> = leaves
        .iter()
        .zip(times.iter().zip(&ids))
        .enumerate()
        .map(|(at, (leaf, ((start, _), id)))| (*start, leaf.depth, *id, at))
        .collect();
    order.sort_unstable();
    let mut leaves: Vec<Option<Leaf>> = leaves.into_iter().map(Some).collect();
    for (start, _, id, at) in order {
        let (Some(leaf), Some((_, end))) = (leaves.get_mut(at).and_then(Option::take), times.get(at)) else {
            continue;
        };
        let parent = match leaf.parent {
            Some(parent) => ids.get(parent).copied(),
            None => outside,
        };
        out(one(*leaf.record, trace_id, id, parent, (clock.unix_nanos(start), clock.unix_nanos(*end))));
    }
}

fn one(
    record: Record,
    trace_id: TraceId,
    span_id: SpanId,
    parent: Option<SpanId>,
    (start, end): (u64, u64),
) -> Span {
    let Record { head, side, response, end: ended, .. } = record;
    let status = response.map(|response| response.status);
    let (outcome, incomplete) = span::outcome(ended.map(|ended| ended.outcome));
    let failed = match ended.map(|ended| ended.outcome) {
        Some(Outcome::Aborted | Outcome::Unanswered) => true,
        _ => status.is_some_and(|status| status >= if side == Side::Server { 500 } else { 400 }),
    };
    let evidence = if record.node.parent().is_none() && parent.is_some() {
        EvidenceSet::from(Evidence::TraceParent)
    } else {
        record.evidence
    };
    let (peer_ip, peer_port, transport) = match record.peer {
        Peer::Inet(ip, port) => (Some(ip), Some(port), None),
        Peer::Unix => (None, None, Some("unix")),
        Peer::Unknown => (None, None, None),
    };
    Span {
        trace_id,
        span_id,
        parent_span_id: parent,
        service_name: record.service,
        operation_name: span::operation(&head.method, &head.target),
        start_time: start,
        // Between whole microseconds, so that it agrees with the start as written.
        duration: (end / 1_000).saturating_sub(start / 1_000) * 1_000,
        tags: Tags {
            method: head.method,
            url: head.target,
            host: head.host,
            status,
            kind: side,
            error: failed,
            pid: record.stamp.tgid,
            tid: record.stamp.tid,
            peer_ip,
            peer_port,
            transport,
            request_bytes: ended.map(|ended| ended.request_bytes),
            response_bytes: ended.map(|ended| ended.response_bytes),
            first_byte: response.map(|response| response.at.since(record.first)),
            outcome,
            incomplete,
            truncated: head.truncated || response.is_some_and(|response| response.truncated),
            evidence,
            reason: record.reason,
            candidates: match record.reason {
                Some(Reason::Several(count)) => Some(count),
                _ => None,
            },
            other_trace: head.traceparent.map(|h| TraceId(h.trace_id)).filter(|other| *other != trace_id),
        },
    }
}
