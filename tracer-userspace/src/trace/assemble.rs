//! A finished tree becomes the spans of a trace.

use super::forest::Leaf;
use super::id::{SpanId, TraceId};
use super::record::{Peer, Record};
use super::repeats::{MANY, Repeats};
use super::span::{self, NPlusOne, Span, Tags};
use crate::causality::{Evidence, EvidenceSet};
use crate::exchange::{Family, Format, Outcome, Protocol, Side, TraceContext};
use crate::time::{ClockAnchor, Nanos};

/// A record on its way to becoming a span.
struct Piece {
    record: Box<Record>,
    parent: Option<usize>,
    depth: u32,
    id: SpanId,
    parent_id: Option<SpanId>,
    start: Nanos,
    end: Nanos,
    repeated: Option<Box<NPlusOne>>,
}

impl Piece {
    fn new(Leaf { record, parent, depth }: Leaf) -> Piece {
        let last = record
            .end
            .as_ref()
            .map(|ended| ended.end)
            .or(record.response.as_ref().map(|response| response.at));
        let (start, end) = (record.first, last.unwrap_or(record.stamp.at).max(record.first));
        let id = SpanId::derive(record.id, record.first);
        Piece { record, parent, depth, id, parent_id: None, start, end, repeated: None }
    }

    /// Nobody sees when a client gives up waiting for a datagram. When the request was over for which it asked it had.
    fn stop_waiting(&mut self, parent: &Piece) {
        let is_unanswered =
            self.record.end.as_ref().is_some_and(|ended| ended.outcome == Outcome::Unanswered);
        if self.record.port.is_some()
            && self.record.side == Side::Client
            && parent.record.side == Side::Server
            && is_unanswered
            && parent.is_complete()
        {
            self.end = self.end.min(parent.end).max(self.start);
        }
    }

    fn is_complete(&self) -> bool {
        self.record.end.as_ref().is_some_and(|ended| ended.outcome == Outcome::Complete)
    }
}

/// Corrects start and end of each span of a tree.
///
/// The kernel's hooks stamp a call when it returns. On one host the receiver may return from its call while the
/// sender still is in its own, so the receiver's stamp can be the earlier one, by microseconds. Within a joined pair
/// the true order is known: no byte of the request is read before it was sent, and the last byte of the response is
/// not read before it was sent. Each stamp is no earlier than what it stands for, so where two stamps contradict
/// that order, the earlier one is the better bound for both: the client's start becomes the smaller of the two
/// starts, and the server's end the smaller of the two ends. The latter only if both sides saw the response to its
/// last byte; else the ends are of different things.
fn correct_times(pieces: &mut [Piece]) {
    for at in 0..pieces.len() {
        // Parents stand before their children.
        let Some((before, [server, ..])) = pieces.split_at_mut_checked(at) else { continue };
        // Who takes a message from a broker does not answer who sent it.
        if let Some(parent) = server.parent.and_then(|parent| before.get(parent)) {
            server.stop_waiting(parent);
        }
        let is_joined = server.record.side == Side::Server && !server.record.head.is_taken();
        let parent = server.parent.filter(|_| is_joined);
        let Some(client) = parent.and_then(|parent| before.get_mut(parent)) else { continue };
        if client.is_complete() && server.is_complete() {
            server.end = server.end.min(client.end).max(server.start);
        }
        client.start = client.start.min(server.start);
    }
}

/// Gives out the spans of a tree, by start, then depth, then id.
pub(super) fn spans(leaves: Vec<Leaf>, clock: &ClockAnchor, out: &mut impl FnMut(Span)) {
    let mut pieces: Vec<Piece> = leaves.into_iter().map(Piece::new).collect();
    correct_times(&mut pieces);
    let Some(root) = pieces.first() else { return };
    // The header nearest to the root names the trace: whoever began it knows its name.
    let header = pieces
        .iter()
        .filter_map(|piece| Some((piece, piece.record.head.context()?)))
        .min_by_key(|(piece, _)| (piece.depth, piece.record.first, piece.record.id))
        .map(|(_, header)| header.trace_id);
    let sender = root.record.sender;
    let trace_id = match (sender, header) {
        (Some((trace, _)), _) => trace,
        (None, Some(header)) => TraceId(header),
        (None, None) => TraceId::derive(root.record.id, root.record.first),
    };
    // A server request without its client in the capture has its caller's span id in the header, if anywhere.
    let header = root.record.head.context().filter(|_| root.record.side == Side::Server);
    let outside = header.map(|header| SpanId(header.span_id)).filter(|span| span.0 != 0);
    let outside = sender.map(|(_, span)| span).or(outside);
    for at in 0..pieces.len() {
        let Some((before, [piece, ..])) = pieces.split_at_mut_checked(at) else { continue };
        // Which database a connection leads to is said at its beginning, and its two ends may know it from different places.
        if let Some(client) = piece.parent.and_then(|parent| before.get_mut(parent))
            && piece.record.side == Side::Server
            && client.record.side == Side::Client
            && client.record.head.protocol.family() == Family::Database
            && client.record.head.host.is_none()
        {
            client.record.head.host = piece.record.head.host.clone();
        }
        piece.parent_id = match piece.parent {
            Some(parent) => before.get(parent).map(|parent| parent.id),
            None => outside,
        };
    }
    tell_repeats(&mut pieces);
    pieces.sort_by_key(|piece| (piece.start, piece.depth, piece.id));
    for piece in pieces {
        out(one(piece, trace_id, clock));
    }
}

/// Says of each span which of its calls it made over and over. Most trees are too small for that.
fn tell_repeats(pieces: &mut [Piece]) {
    if pieces.len() <= MANY as usize {
        return;
    }
    let mut repeats = Repeats::default();
    for (at, piece) in pieces.iter().enumerate() {
        if let Some(parent) = piece.parent {
            repeats.add(parent, at, &piece.record, piece.end.since(piece.start));
        }
    }
    for at in 0..pieces.len() {
        let Some(repeated) = repeats.of(at) else { continue };
        let operation = pieces.get(repeated.first).map(|call| call.record.head.operation());
        if let (Some(operation), Some(piece)) = (operation, pieces.get_mut(at)) {
            piece.repeated =
                Some(Box::new(NPlusOne { count: repeated.count, total: repeated.total, operation }));
        }
    }
}

fn one(piece: Piece, trace_id: TraceId, clock: &ClockAnchor) -> Span {
    let (start, end) = (clock.unix_nanos(piece.start), clock.unix_nanos(piece.end));
    let Piece { record, id: span_id, parent_id: parent, repeated, .. } = piece;
    let record = *record;
    let Record { head, side, response, end: ended, .. } = record;

    let (answered, ended) = (response.as_ref(), ended.as_ref());
    let trailer = ended.map(|ended| &ended.trailer);
    let begun = answered.map(|response| response.status).filter(|status| *status != 0);
    let status = trailer.and_then(|trailer| trailer.status).or(begun);
    let error_code = trailer.and_then(|trailer| trailer.error.clone()).or_else(|| answered?.error.clone());
    let (outcome, incomplete) = span::outcome(ended.map(|ended| ended.outcome));
    let failed = match ended.map(|ended| ended.outcome) {
        Some(Outcome::Aborted | Outcome::Unanswered) => true,
        _ if error_code.is_some() => true,
        _ => status.is_some_and(|status| is_failure(head.protocol, side, status)),
    };
    // The request itself says who called.
    let is_told = record.node.parent().is_none() && parent.is_some();
    let evidence = if is_told {
        EvidenceSet::from(match head.context() {
            _ if record.sender.is_some() => Evidence::Message,
            Some(TraceContext { format: Format::W3c, .. }) => Evidence::TraceParent,
            _ => Evidence::Context,
        })
    } else {
        record.evidence
    };
    let other_trace =
        head.context().map(|header| TraceId(header.trace_id)).filter(|other| *other != trace_id);
    // Of what was observed elsewhere neither addresses nor bytes are known.
    let is_foreign = head.extra.as_ref().is_some_and(|extra| extra.id.is_some());
    let (peer_ip, peer_port, transport) = match record.peer {
        _ if is_foreign => (None, None, None),
        Peer::Inet(ip, port) => (Some(ip), Some(port), None),
        Peer::Datagram(known) => (known.map(|(ip, _)| ip), known.map(|(_, port)| port), Some("udp")),
        Peer::Unix => (None, None, Some("unix")),
        Peer::Unknown => (None, None, None),
    };
    Span {
        trace_id,
        span_id,
        parent_span_id: parent,
        service_name: record.service,
        start_time: start,
        // Between whole microseconds, so that it agrees with the start as written.
        duration: (end / 1_000).saturating_sub(start / 1_000) * 1_000,
        tags: Tags {
            protocol: head.protocol,
            method: head.method,
            url: head.target,
            host: head.host,
            status,
            n_plus_one: repeated,
            error_code,
            kind: side,
            is_message: head.is_message,
            error: failed,
            pid: record.stamp.tgid,
            tid: record.stamp.tid,
            peer_ip,
            peer_port,
            transport,
            request_bytes: ended.filter(|_| !is_foreign).map(|ended| ended.request_bytes),
            response_bytes: ended.filter(|_| !is_foreign).map(|ended| ended.response_bytes),
            first_byte: answered.filter(|_| !is_foreign).map(|response| response.at.since(record.first)),
            outcome,
            incomplete,
            truncated: head.truncated || answered.is_some_and(|response| response.truncated),
            evidence,
            reason: record.reason,
            confidence: parent.map(|_| if is_told { evidence.confidence() } else { record.confidence }),
            candidates: if parent.is_some() { Box::default() } else { record.candidates },
            other_trace,
            extra: head.extra,
        },
    }
}

/// Whether a status means that the request failed. HTTP: for the server 4xx is the caller's fault (OpenTelemetry's
/// conventions); gRPC: anything but OK, for the server those that are its own fault. DNS says it with an error code.
fn is_failure(protocol: Protocol, side: Side, status: u16) -> bool {
    match protocol {
        // UNKNOWN, DEADLINE_EXCEEDED, UNIMPLEMENTED, INTERNAL, UNAVAILABLE, DATA_LOSS.
        Protocol::Grpc if side == Side::Server => matches!(status, 2 | 4 | 12 | 13 | 14 | 15),
        Protocol::Grpc => status != 0,
        Protocol::Dns => false,
        _ => status >= if side == Side::Server { 500 } else { 400 },
    }
}
