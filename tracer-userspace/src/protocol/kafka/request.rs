//! Requests: their header, and what they ask for.

use super::api::{self, Api};
use super::read::Reader;
use super::records;
use super::topics::{self, Known, Naming, Topics};
use crate::exchange::{Attribute, Extra, Handing, Handover, Protocol, RequestHead};
use crate::protocol::Context;
use crate::protocol::frames::Framing;

/// Length, kind, version, number, length of the client's name.
pub(super) const HEADER: usize = 14;
/// Length, kind, version, number: librdkafka's broker reads so many bytes first.
const SHORT: usize = 12;
/// Bytes of a length.
pub(super) const LENGTH: usize = 4;
/// Longest request, and answer, that is believed: brokers take 100 MiB unless they are told otherwise.
pub(super) const MAX_MESSAGE: u64 = 1 << 30;
/// More topics than that are in no request by which a connection is recognised.
const MAX_TOPICS: usize = 1000;
/// Longest name of a client or consumer group.
const MAX_NAME: usize = 255;

/// A request's header.
#[derive(Clone, Copy, Debug)]
pub(super) struct Head {
    pub api: &'static Api,
    pub version: i16,
    /// The number by which its answer is known.
    pub number: i32,
    /// Bytes of the client's name; -1: it has none.
    name_len: i16,
}

/// The header after the length.
fn head(bytes: &[u8]) -> Option<Head> {
    let mut reader = Reader::new(bytes, false);
    let (key, version) = (reader.int16()?, reader.int16()?);
    let head =
        Head { api: api::find(key, version)?, version, number: reader.int32()?, name_len: reader.int16()? };
    let fits = head.name_len >= -1 && usize::try_from(head.name_len).unwrap_or(0) <= MAX_NAME;
    (fits && head.number >= 0).then_some(head)
}

/// How requests begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape;

impl Framing for Shape {
    fn header(&self) -> usize {
        HEADER
    }

    fn length(&self, header: &[u8]) -> Option<u64> {
        let len = u64::try_from(Reader::new(header, false).int32()?).ok()?;
        let head = head(header.get(LENGTH..)?)?;
        let least = (HEADER - LENGTH) as u64 + u64::try_from(head.name_len).unwrap_or(0);
        (least..=MAX_MESSAGE).contains(&len).then_some(len + LENGTH as u64)
    }
}

/// What begins here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Begins {
    /// A request.
    Request,
    /// A request without its length, which was read in a call before.
    Rest,
}

/// Whether a call begins with a request whose client says its name (or has none).
pub(super) fn begins(bytes: &[u8], call_len: u64) -> Option<Begins> {
    if call_len == SHORT as u64 && bytes.len() == SHORT {
        let mut reader = Reader::new(bytes, false);
        let len = u64::try_from(reader.int32()?).ok()?;
        api::find(reader.int16()?, reader.int16()?)?;
        // The rest of it comes with the next call.
        let fits = reader.int32()? >= 0 && len > (SHORT - LENGTH) as u64 && len < MAX_MESSAGE / 64;
        return fits.then_some(Begins::Request);
    }
    let named = |bytes: &[u8], len: u64| {
        let head = head(bytes)?;
        if head.api.key == api::PRODUCE && !may_be_produce(&head, bytes) {
            return None;
        }
        let rest = bytes.get(HEADER - LENGTH..)?;
        let Ok(name_len) = usize::try_from(head.name_len) else { return Some(()) };
        let name = rest.get(..name_len.min(rest.len()))?;
        let fits = (1..=len.saturating_sub((HEADER - LENGTH) as u64)).contains(&(name_len as u64));
        // Of short calls there is at least that.
        let is_seen =
            name.len() == name_len && name.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
        (fits && is_seen).then_some(())
    };
    if let Some(len) = Shape.length(bytes.get(..HEADER).unwrap_or_default()) {
        // All of it, or its beginning, or it is the first of several.
        return named(bytes.get(LENGTH..)?, len - LENGTH as u64).map(|()| Begins::Request);
    }
    named(bytes, call_len).map(|()| Begins::Rest)
}

/// Whether what follows the header may be a Produce. Its answers look alike but for that: the numbers of a connection's first requests stand
/// where the kind and version of a request do, and the topic where the client's name.
fn may_be_produce(head: &Head, bytes: &[u8]) -> bool {
    let name_len = usize::try_from(head.name_len).unwrap_or(0);
    let rest = bytes.get(HEADER - LENGTH + name_len..).unwrap_or_default();
    let mut reader = Reader::new(rest, head.api.is_flexible(head.version));
    let mut read = || {
        reader.tags()?;
        if head.version >= 3 {
            reader.text()?;
        }
        let (acks, timeout, topics) = (reader.int16()?, reader.int32()?, reader.array()?);
        let fits = (-1..=1).contains(&acks) && timeout >= 0 && (1..=MAX_TOPICS).contains(&topics);
        let is_named = head.version >= 13 || topics::name(reader.text()?).is_some();
        Some(fits && is_named)
    };
    read() == Some(true)
}

/// A request.
#[derive(Debug)]
pub(super) struct Request {
    pub head: Head,
    pub told: RequestHead,
    /// Nobody answers it (`acks=0`).
    pub is_unanswered: bool,
}

/// Reads a request; `None`: it is none.
pub(super) fn read(cx: &mut Context<'_>, bytes: &[u8], is_cut: bool, known: &Known) -> Option<Request> {
    let head = head(bytes.get(LENGTH..)?)?;
    let name_len = usize::try_from(head.name_len).unwrap_or(0);
    let (api, version) = (head.api, head.version);
    let mut reader =
        Reader::new(bytes.get(HEADER + name_len..).unwrap_or_default(), api.is_flexible(version));
    // The header of ControlledShutdown was another one in its first version, which nobody sends any more.
    if reader.tags().is_none() && !is_cut {
        return None;
    }
    let mut told = RequestHead { protocol: Protocol::Kafka, truncated: false, ..RequestHead::default() };
    let mut attributes = Vec::new();
    let mut is_unanswered = false;
    let name: &[u8] = match api.key {
        api::PRODUCE => {
            let mut topics = Topics::new();
            let naming = &mut Naming { known, names: cx.names };
            let (acks, read) = produce(&mut reader, version, &mut topics, naming);
            if read.is_none() {
                if !is_cut {
                    return None;
                }
                topics.cut();
            }
            is_unanswered = acks == Some(0);
            told.is_message = true;
            told.truncated = is_cut && topics.is_cut();
            tell(&topics, &mut attributes);
            told.target = topics.shown();
            let count = topics.messages.unwrap_or(0);
            let handover = Handover { handing: Handing::Given, count, keys: Box::default() };
            told.extra = Some(Box::new(Extra { handover: Some(Box::new(handover)), ..Extra::default() }));
            b"publish"
        }
        api::FETCH => {
            let mut topics = Topics::new();
            let naming = &mut Naming { known, names: cx.names };
            let mut wait = 0;
            if fetch(&mut reader, version, &mut topics, &mut wait, naming).is_none() {
                if !is_cut {
                    return None;
                }
                topics.cut();
            }
            told.truncated = is_cut && topics.is_cut();
            told.target = topics.shown();
            if wait > 0 {
                // It is answered when there is something, or after that time.
                attributes.push(Attribute::text("messaging.kafka.blocking", "true"));
            }
            b"fetch"
        }
        _ => {
            let group = if version <= api.group { reader.text() } else { None };
            if let Some(group) = group.and_then(shown) {
                attributes.push(Attribute::text("messaging.consumer.group.name", group));
            }
            api.name.as_bytes()
        }
    };
    told.method = cx.names.method(name);
    if !attributes.is_empty() {
        told.extra.get_or_insert_default().attributes = attributes;
    }
    Some(Request { head, told, is_unanswered })
}

/// The head of what was taken: messages in the answer to a Fetch.
pub(super) fn taken(cx: &mut Context<'_>, topics: &Topics) -> RequestHead {
    let mut attributes = Vec::new();
    tell(topics, &mut attributes);
    let count = topics.messages.unwrap_or(0);
    let handover = Some(Box::new(Handover { handing: Handing::Taken, count, keys: Box::default() }));
    RequestHead {
        protocol: Protocol::Kafka,
        method: cx.names.method(b"receive"),
        target: topics.shown(),
        is_message: true,
        extra: Some(Box::new(Extra { attributes, handover, ..Extra::default() })),
        ..RequestHead::default()
    }
}

/// What is handed over.
fn tell(topics: &Topics, attributes: &mut Vec<Attribute>) {
    if let Some(partition) = topics.only_partition() {
        attributes.push(Attribute::number("messaging.destination.partition.id", partition.into()));
    }
    if let Some(count) = topics.messages.filter(|count| *count > 1) {
        attributes.push(Attribute::number("messaging.batch.message_count", count.into()));
    }
}

/// A name that can be shown.
fn shown(name: &[u8]) -> Option<&str> {
    let fits = (1..=MAX_NAME).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(name).ok().filter(|_| fits)
}

fn produce(
    reader: &mut Reader<'_>,
    version: i16,
    topics: &mut Topics,
    naming: &mut Naming<'_>,
) -> (Option<i16>, Option<()>) {
    if version >= 3 && reader.text().is_none() {
        return (None, None);
    }
    let acks = reader.int16();
    (acks, produced(reader, version, topics, naming))
}

fn produced(
    reader: &mut Reader<'_>,
    version: i16,
    topics: &mut Topics,
    naming: &mut Naming<'_>,
) -> Option<()> {
    reader.int32()?;
    for _ in 0..topics.announce(reader.array()?) {
        let topic = topics.topic(reader, version >= 13, naming)?;
        let partitions = topics.announce(reader.array()?);
        topics.done();
        for _ in 0..partitions {
            topics.partition(topic.as_ref(), reader.int32()?);
            let (len, bytes) = reader.bytes()?;
            topics.messages(len, records::count(len, bytes));
            topics.done();
            reader.tags()?;
        }
        reader.tags()?;
    }
    Some(())
}

fn fetch(
    reader: &mut Reader<'_>,
    version: i16,
    topics: &mut Topics,
    wait: &mut i32,
    naming: &mut Naming<'_>,
) -> Option<()> {
    if version <= 14 {
        reader.int32()?;
    }
    *wait = reader.int32()?;
    reader.int32()?;
    if version >= 3 {
        reader.int32()?;
    }
    if version >= 4 {
        reader.int8()?;
    }
    if version >= 7 {
        reader.int64()?;
    }
    // A partition's fields after its number.
    let rest = 12
        + if version >= 9 { 4 } else { 0 }
        + if version >= 12 { 4 } else { 0 }
        + if version >= 5 { 8 } else { 0 };
    for _ in 0..topics.announce(reader.array()?) {
        let topic = topics.topic(reader, version >= 13, naming)?;
        let partitions = topics.announce(reader.array()?);
        topics.done();
        for _ in 0..partitions {
            topics.partition(topic.as_ref(), reader.int32()?);
            topics.done();
            reader.take(rest)?;
            reader.tags()?;
        }
        reader.tags()?;
    }
    Some(())
}
