//! What an operation is called where it must have few values.

use crate::exchange::route::{path, push};
use crate::exchange::{Family, Operation};
use crate::trace::Span;

/// Longer names are cut, bytes.
const MAX_NAME: usize = 200;

/// Appends the operation's name: as in the trace, but with `*` for those segments of a path that look like identifiers. What
/// could break a line is `?`. Returns how many bytes of it are the verb.
pub(super) fn operation(span: &Span, out: &mut String) -> usize {
    let begin = out.len();
    let Operation { verb, object } = span.operation();
    push(out, verb);
    let end = out.len();
    if let Some(object) = object {
        if !verb.is_empty() {
            out.push(' ');
        }
        match span.tags.protocol.family() {
            Family::Http => path(out, object),
            Family::Rpc | Family::Database | Family::Messaging | Family::Dns => push(out, object),
        }
    }
    if out.len() - begin > MAX_NAME {
        out.truncate(out.floor_char_boundary(begin + MAX_NAME));
    }
    end.min(out.len()) - begin
}
