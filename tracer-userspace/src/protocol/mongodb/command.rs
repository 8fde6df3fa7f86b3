//! What a request asks for.

use super::bson::{Ended, Value};
use super::shape::{self, Shape};
use super::wire::Body;
use crate::exchange::{Attribute, Extra, Protocol, RequestHead};
use crate::protocol::Context;

/// Longest name of a command or collection.
const MAX_NAME: usize = 120;

/// Commands whose first value is the name of a collection ("Database Commands" in MongoDB's manual). Of others it may be anything: a
/// user's name, a setting.
const OF_COLLECTIONS: [&[u8]; 26] = [
    b"find",
    b"insert",
    b"update",
    b"delete",
    b"aggregate",
    b"count",
    b"distinct",
    b"findAndModify",
    b"findandmodify",
    b"mapReduce",
    b"create",
    b"drop",
    b"collMod",
    b"collStats",
    b"createIndexes",
    b"dropIndexes",
    b"deleteIndexes",
    b"listIndexes",
    b"killCursors",
    b"validate",
    b"compact",
    b"reIndex",
    b"convertToCapped",
    b"parallelCollectionScan",
    b"geoNear",
    b"group",
];

/// What is said of a request, put together in a text that is there for it; `None`: no command begins so.
pub(super) fn head(cx: &mut Context<'_>, body: &Body<'_>, text: &mut String) -> Option<RequestHead> {
    let mut elements = body.document;
    let (database, queried) = match body.collection.map(split) {
        Some((database, collection)) => (Some(database), Some(collection)),
        None => (None, None),
    };
    // OP_QUERY asks for documents of a collection, unless that is `$cmd`.
    let is_find = queried.is_some_and(|collection| collection != b"$cmd");
    let first = elements.next();
    let mut attributes = Vec::new();
    let method = match first {
        _ if is_find => cx.names.method(b"find"),
        Some(element) if is_command(element.name) => cx.names.method(element.name),
        _ => return None,
    };
    let mut collection = match first.map(|element| element.value) {
        _ if is_find => queried.and_then(shown),
        Some(Value::Text(name)) if OF_COLLECTIONS.contains(&method.as_bytes()) => shown(name),
        _ => None,
    };
    let named_first = collection.filter(|_| !is_find);
    let (mut database, mut waits) = (database, false);
    let mut count = body.beside.and_then(|(_, count)| count).map(i64::from);
    for element in elements.by_ref() {
        match (element.name, element.value) {
            (b"$db", Value::Text(name)) => database = Some(name),
            (b"collection", Value::Text(name)) if &*method == "getMore" => collection = shown(name),
            // An answer is given when there is news, or after that time.
            (b"maxAwaitTimeMS", _) => waits = true,
            (b"maxTimeMS", _) if &*method == "getMore" => waits = true,
            (b"documents" | b"updates" | b"deletes", Value::Array(mut all)) => {
                let found = all.by_ref().count();
                count = i64::try_from(found).ok().filter(|_| all.ended() == Ended::Well);
            }
            _ => {}
        }
    }
    if elements.ended() == Ended::Wrong {
        return None;
    }
    if let Some(collection) = collection {
        attributes.push(Attribute::text("db.collection.name", collection));
    }
    if let Some(count) = count.filter(|count| *count > 1) {
        attributes.push(Attribute::number("db.operation.batch.size", count));
    }
    if waits {
        attributes.push(Attribute::text("db.mongodb.blocking", "true"));
    }
    let mut shape = Shape::new(text, cx.limits.target);
    shape.command(body.document, named_first);
    let extra = (!attributes.is_empty()).then(|| Box::new(Extra { attributes, ..Extra::default() }));
    Some(RequestHead {
        protocol: Protocol::MongoDb,
        method,
        target: shape.text(),
        host: database.and_then(|name| cx.names.host(name)),
        minor_version: 0,
        is_message: body.more,
        truncated: elements.ended() == Ended::Cut,
        extra,
    })
}

fn is_command(name: &[u8]) -> bool {
    shape::is_name(name) && name.first().is_some_and(|byte| byte.is_ascii_alphabetic() || *byte == b'_')
}

/// A collection's name, if it can be shown.
fn shown(name: &[u8]) -> Option<&str> {
    let fine = (1..=MAX_NAME).contains(&name.len()) && name.iter().all(u8::is_ascii_graphic);
    std::str::from_utf8(name).ok().filter(|_| fine)
}

/// Database and collection.
fn split(name: &[u8]) -> (&[u8], &[u8]) {
    match memchr::memchr(b'.', name) {
        Some(at) => (name.get(..at).unwrap_or_default(), name.get(at + 1..).unwrap_or_default()),
        None => (name, b""),
    }
}
