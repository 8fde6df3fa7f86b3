//! What an answer says: whether it is an error, and which.

use std::sync::Arc;

use super::bson::{Elements, Ended, Value};
use super::shape;
use super::wire::Body;
use crate::exchange::ResponseHead;
use crate::protocol::Context;

/// A code, and its name.
#[derive(Clone, Copy, Default)]
struct Code<'a> {
    number: Option<i64>,
    name: Option<&'a [u8]>,
}

impl Code<'_> {
    /// Of the document of an error.
    fn of(document: Elements<'_>) -> Code<'_> {
        let mut code = Code::default();
        for element in document {
            match (element.name, element.value) {
                (b"code", Value::Number(number)) => code.number = Some(number),
                (b"codeName", Value::Text(name)) => code.name = Some(name),
                _ => {}
            }
        }
        code
    }

    /// The name is what people know; some errors have none. `is_cut`: it may stand in what was not captured.
    fn shown(self, cx: &mut Context<'_>, is_cut: bool) -> Arc<str> {
        match (self.name.filter(|name| shape::is_name(name)), self.number) {
            (Some(name), _) => cx.names.method(name),
            (None, Some(number)) => cx.names.method(number.to_string().as_bytes()),
            (None, None) if is_cut => cx.names.method(b"unknown"),
            (None, None) => cx.names.method(b"error"),
        }
    }
}

/// Reads an answer. An error of the command comes before those of single writes, and these before that of the write concern.
pub(super) fn read(cx: &mut Context<'_>, body: &Body<'_>) -> ResponseHead {
    let mut elements = body.document;
    let (mut ok, mut whole, mut write, mut concern) = (None, Code::default(), None, None);
    let mut is_cursor = false;
    for element in elements.by_ref() {
        match (element.name, element.value) {
            (b"ok", Value::Number(number)) => ok = Some(number != 0),
            (b"code", Value::Number(number)) => whole.number = Some(number),
            (b"codeName", Value::Text(name)) => whole.name = Some(name),
            (b"$err", _) => ok = Some(false),
            (b"writeErrors", Value::Array(errors)) => write = first(errors).or(write),
            (b"writeConcernError", Value::Document(error)) => concern = Some(Code::of(error)),
            // What failed has none.
            (b"cursor", _) => is_cursor = true,
            _ => {}
        }
    }
    let failed = body.failed || ok == Some(false);
    let error = if failed { Some(whole) } else { write.or(concern) };
    let is_cut = elements.ended() == Ended::Cut;
    // An error of the command stands at the beginning of an answer; behind documents of a cursor there is none.
    let truncated = is_cut && error.is_none() && ok.is_none() && !is_cursor;
    ResponseHead { status: 0, error: error.map(|code| code.shown(cx, is_cut)), truncated }
}

fn first(mut errors: Elements<'_>) -> Option<Code<'_>> {
    match errors.next()?.value {
        Value::Document(error) => Some(Code::of(error)),
        _ => None,
    }
}
