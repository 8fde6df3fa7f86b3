//! What a message says of itself: where it goes, its properties, and by which of them it can be known again where it comes out.

use super::frame::Fields;
use crate::exchange::{Attribute, Extra, Handing, Handover, Protocol, RequestHead};
use crate::protocol::Context;
use crate::protocol::context::Found;
use crate::protocol::tokens::Tokens;

/// Longest id that is shown, and destination.
const MAX_SHOWN: usize = 128;
/// Entries of a message's headers that are looked at.
const MAX_ENTRIES: usize = 128;

/// The properties that matter here (specification, section 4.2.6.1 and the class `basic`).
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Properties<'a> {
    /// Bytes of the content.
    pub size: u64,
    headers: &'a [u8],
    correlation_id: &'a [u8],
    reply_to: &'a [u8],
    message_id: &'a [u8],
}

/// Reads the payload of a header frame, as much of it as there is. `None`: not even the size.
pub(super) fn properties(payload: &[u8]) -> Option<Properties<'_>> {
    let mut fields = Fields(payload);
    fields.long()?;
    let mut found = Properties { size: fields.longlong()?, ..Properties::default() };
    // What stands behind the part that was captured is as if absent.
    let _ = rest(&mut found, fields);
    Some(found)
}

fn rest<'a>(found: &mut Properties<'a>, mut fields: Fields<'a>) -> Option<()> {
    let flags = fields.short()?;
    let has = |bit: u16| flags >> bit & 1 == 1;
    if has(15) {
        fields.text()?;
    }
    if has(14) {
        fields.text()?;
    }
    if has(13) {
        found.headers = fields.long_text()?;
    }
    for bit in [12, 11] {
        if has(bit) {
            fields.octet()?;
        }
    }
    if has(10) {
        found.correlation_id = fields.text()?;
    }
    if has(9) {
        found.reply_to = fields.text()?;
    }
    if has(8) {
        fields.text()?;
    }
    if has(7) {
        found.message_id = fields.text()?;
    }
    Some(())
}

/// Where a message goes, or came from.
#[derive(Debug, Default)]
pub(super) struct Destination {
    /// `exchange/routing key`, or what of it there is. Names that were drawn at random (reply queues) are shown as `?`: there are as
    /// many of them as callers.
    shown: Box<str>,
    /// A hash of both, by which it is known again.
    hash: u64,
}

impl Destination {
    /// Of a message's exchange and routing key.
    pub(super) fn new(cx: &Context<'_>, exchange: &[u8], key: &[u8]) -> Destination {
        let hash = cx.limits.hash_key.hash(&[b"amqp", exchange, key]);
        Destination { shown: shown(cx, exchange, key), hash }
    }
}

fn shown(cx: &Context<'_>, exchange: &[u8], key: &[u8]) -> Box<str> {
    // Exactly as long as it gets at the most: it need not be moved.
    let most = |part: &[u8]| part.len().min(MAX_SHOWN);
    let is_both = !exchange.is_empty() && !key.is_empty();
    let mut text = String::with_capacity(most(exchange) + usize::from(is_both) + most(key));
    for (part, before) in [(exchange, ""), (key, if is_both { "/" } else { "" })] {
        text.push_str(before);
        match is_random(cx, part) {
            true => text.push('?'),
            false => text.extend(printable(part)),
        }
    }
    text.into_boxed_str()
}

/// A name, as far as it can be shown.
pub(super) fn printable(bytes: &[u8]) -> impl Iterator<Item = char> {
    let shown = bytes.iter().take(MAX_SHOWN);
    shown.map(|byte| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '?' })
}

/// What is told of a message. `keyed`: it may be known again by what is said here.
pub(super) fn head(
    cx: &mut Context<'_>,
    handing: Handing,
    destination: Destination,
    properties: &Properties<'_>,
    keyed: bool,
) -> RequestHead {
    let (mut found, mut task, mut task_id) = (Found::default(), None, None);
    let mut entries = Fields(properties.headers);
    for _ in 0..MAX_ENTRIES {
        let Some((name, value)) = entries.entry() else { break };
        let Some(value) = value else { continue };
        match name {
            // Celery's message protocol, version 2.
            b"task" => task = Some(value),
            b"id" => task_id = Some(value),
            _ => _ = found.field(name, value),
        }
    }
    let mut attributes = Vec::new();
    let mut show = |key: &'static str, value: &[u8]| {
        if !value.is_empty() && value.len() <= MAX_SHOWN && value.iter().all(u8::is_ascii_graphic) {
            attributes.push(Attribute::text(key, &*String::from_utf8_lossy(value)));
        }
    };
    show("messaging.message_id", properties.message_id);
    show("messaging.conversation_id", properties.correlation_id);
    if let (Some(task), Some(id)) = (task, task_id) {
        show("celery.task_name", task);
        show("celery.task_id", id);
    }
    if !properties.reply_to.is_empty() {
        attributes.push(Attribute::text("messaging.reply_to", "true"));
    }
    // An answer has the correlation id of what it answers, but another destination.
    let name = [properties.message_id, task_id.unwrap_or_default(), properties.correlation_id]
        .into_iter()
        .find(|name| !name.is_empty() && is_random(cx, name));
    let hash_key = cx.limits.hash_key;
    let hash = |name: &[u8]| hash_key.hash(&[b"amqp", &destination.hash.to_be_bytes(), name]);
    let keys: Box<[u64]> = name.filter(|_| keyed).map(hash).into_iter().collect();
    let handover = Some(Box::new(Handover { handing, count: 1, keys }));
    let word: &[u8] = if handing == Handing::Given { b"publish" } else { b"receive" };
    RequestHead {
        protocol: Protocol::Amqp,
        method: cx.names.method(word),
        target: destination.shown,
        host: None,
        minor_version: 0,
        is_message: true,
        truncated: false,
        extra: Some(Box::new(Extra {
            contexts: found.contexts(hash_key),
            attributes,
            handover,
            ..Extra::default()
        })),
    }
}

/// The head of a call.
pub(super) fn call(cx: &mut Context<'_>, name: &'static str, object: Option<&[u8]>) -> RequestHead {
    let target = object.map_or_else(Box::default, |object| shown(cx, b"", object));
    RequestHead {
        protocol: Protocol::Amqp,
        method: cx.names.method(name.as_bytes()),
        target,
        ..RequestHead::default()
    }
}

fn is_random(cx: &Context<'_>, name: &[u8]) -> bool {
    let mut tokens = Tokens::new(cx.limits.hash_key);
    tokens.target(name);
    !tokens.found().is_empty()
}
