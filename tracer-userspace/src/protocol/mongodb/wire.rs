//! The messages of MongoDB's wire protocol: header, operations, sections ("MongoDB Wire Protocol" in its manual).

use super::bson::{self, Elements};
use crate::protocol::frames::Framing;

/// Length, request id, id of what is answered, operation.
pub(super) const HEADER: usize = 16;
/// Longest message that servers take (`maxMessageSizeBytes`), and what OP_MSG adds.
const MAX_MESSAGE: u64 = 48_000_000 + 16 * 1024;

/// Bits of OP_MSG.
mod flag {
    /// A CRC-32C stands at the end.
    pub const CHECKSUM: u32 = 1;
    /// Another message follows, and none is awaited.
    pub const MORE: u32 = 1 << 1;
    /// The client takes several answers.
    pub const EXHAUST: u32 = 1 << 16;
}

/// What a message is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Op {
    /// OP_REPLY.
    Reply,
    /// OP_QUERY.
    Query,
    /// OP_MSG.
    Msg,
    /// OP_COMPRESSED.
    Compressed,
    /// OP_UPDATE, OP_INSERT, OP_DELETE, OP_KILL_CURSORS: nobody answers them.
    Told,
    /// OP_GET_MORE, OP_COMMAND and its reply: before version 3.6.
    Old,
}

/// A header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Head {
    pub len: u64,
    pub id: i32,
    /// Which message it answers; 0: it is a request.
    pub to: i32,
    pub op: Op,
}

/// The header at the beginning of `bytes`.
pub(super) fn head(bytes: &[u8]) -> Option<Head> {
    let op = match bson::int(bytes.get(12..)?)? {
        1 => Op::Reply,
        2001 | 2002 | 2006 | 2007 => Op::Told,
        2004 => Op::Query,
        2005 | 2010 | 2011 => Op::Old,
        2012 => Op::Compressed,
        2013 => Op::Msg,
        _ => return None,
    };
    let len = u64::try_from(bson::int(bytes)?).ok()?;
    let least = match op {
        Op::Reply => 36,
        Op::Compressed => 25,
        Op::Msg | Op::Query => 26,
        Op::Told | Op::Old => 20,
    };
    let (id, to) = (bson::int(bytes.get(4..)?)?, bson::int(bytes.get(8..)?)?);
    // What asks answers nothing.
    let fits = (least..=MAX_MESSAGE).contains(&len) && (!matches!(op, Op::Query | Op::Told) || to == 0);
    fits.then_some(Head { len, id, to, op })
}

/// How messages begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape;

impl Framing for Shape {
    fn header(&self) -> usize {
        HEADER
    }

    fn length(&self, header: &[u8]) -> Option<u64> {
        head(header).map(|head| head.len)
    }
}

/// What OP_MSG, OP_QUERY or OP_REPLY says.
#[derive(Clone, Copy, Debug)]
pub(super) struct Body<'a> {
    /// The command, or the answer.
    pub document: Elements<'a>,
    /// OP_QUERY: `database.collection`.
    pub collection: Option<&'a [u8]>,
    /// Nobody answers it; of an answer: another one follows.
    pub more: bool,
    /// The first of the documents that stand beside the command: what they are called, how many there are if all are in sight.
    pub beside: Option<(&'a [u8], Option<u32>)>,
    /// OP_REPLY: the query failed.
    pub failed: bool,
}

/// Reads what follows the header; `bytes` is the message as far as it was captured. `None`: that is none, or not enough of it.
pub(super) fn body<'a>(head: &Head, bytes: &'a [u8]) -> Option<Body<'a>> {
    let is_cut = (bytes.len() as u64) < head.len;
    let rest = bytes.get(HEADER..)?;
    match head.op {
        Op::Msg => sections(rest, is_cut),
        Op::Query => {
            let (collection, after) = bson::name(rest.get(4..)?)?;
            let document = bson::document(after.get(8..)?)?;
            Some(Body { document, collection: Some(collection), more: false, beside: None, failed: false })
        }
        Op::Reply => {
            let failed = bson::int(rest)? & 0b11 != 0;
            let document = bson::document(rest.get(20..)?)?;
            Some(Body { document, collection: None, more: false, beside: None, failed })
        }
        _ => None,
    }
}

fn sections(bytes: &[u8], is_cut: bool) -> Option<Body<'_>> {
    let flags = bson::int(bytes)? as u32;
    if flags & !(flag::CHECKSUM | flag::MORE | flag::EXHAUST) != 0 {
        return None;
    }
    let mut rest = bytes.get(4..)?;
    if flags & flag::CHECKSUM != 0 && !is_cut {
        rest = rest.get(..rest.len().checked_sub(4)?)?;
    }
    let (mut document, mut beside) = (None, None);
    while let Some((kind, section)) = rest.split_first() {
        // Each says its length, and it counts itself.
        let Some(len) = bson::length(section) else { break };
        if len > section.len() && !is_cut {
            return None;
        }
        let own = section.get(..len).unwrap_or(section);
        match kind {
            0 if document.is_none() => document = bson::document(section),
            1 => {
                if let Some((name, documents)) = bson::name(own.get(4..).unwrap_or_default()) {
                    beside = beside.or(Some((name, count(documents).filter(|_| len <= section.len()))));
                }
            }
            _ => return None,
        }
        rest = section.get(len..).unwrap_or_default();
    }
    let more = flags & flag::MORE != 0;
    Some(Body { document: document?, collection: None, more, beside, failed: false })
}

/// How many documents follow one another.
fn count(mut documents: &[u8]) -> Option<u32> {
    let mut count = 0;
    while !documents.is_empty() {
        documents = documents.get(bson::length(documents)?..)?;
        count += 1;
    }
    Some(count)
}

/// Whether a call begins with a message.
pub(super) fn begins(bytes: &[u8], call_len: u64) -> bool {
    let Some(head) = head(bytes) else { return false };
    if bytes.len() == HEADER && call_len == HEADER as u64 {
        // A header that is read in a call of its own.
        return matches!(head.op, Op::Msg | Op::Query | Op::Reply | Op::Compressed);
    }
    let within = |at: usize| {
        let len = bytes.get(at..).and_then(bson::length);
        len.is_some_and(|len| len as u64 <= head.len.saturating_sub(at as u64))
    };
    match (head.op, bytes.get(HEADER..).and_then(bson::int)) {
        (Op::Msg, Some(flags)) => {
            flags as u32 & !(flag::CHECKSUM | flag::MORE | flag::EXHAUST) == 0
                && matches!(bytes.get(20), Some(0 | 1))
                && within(21)
        }
        (Op::Reply, Some(_)) => within(36) || head.len == 36,
        (Op::Query, Some(_)) => {
            let name = bytes.get(20..).and_then(bson::name);
            name.is_some_and(|(name, _)| name.contains(&b'.') && name.iter().all(u8::is_ascii_graphic))
        }
        // What is compressed, and with what.
        (Op::Compressed, Some(op)) => {
            matches!(op, 1 | 2004 | 2013) && bytes.get(24).is_some_and(|compressor| *compressor <= 3)
        }
        _ => false,
    }
}
