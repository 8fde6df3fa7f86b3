//! What the fields of a header block say (RFC 9113 section 8.3; gRPC over HTTP/2 for `grpc-status`).

use super::hpack::Fields;

/// A field's value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Slot<'a> {
    /// The field is not there, as far as is known.
    #[default]
    Absent,
    /// It is there, and its value is not known.
    Unknown,
    /// Its value.
    Known(&'a [u8]),
}

impl<'a> Slot<'a> {
    /// The value, if it is known.
    pub fn known(self) -> Option<&'a [u8]> {
        if let Slot::Known(value) = self { Some(value) } else { None }
    }
}

/// What kind of message part a block is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Request,
    Response,
    /// No pseudo-header stands in it.
    Trailers,
    /// What stands first, where pseudo-headers do, is not known.
    Unknown,
}

/// The fields that are looked at.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Head<'a> {
    pub method: Slot<'a>,
    pub path: Slot<'a>,
    pub authority: Slot<'a>,
    pub host: Slot<'a>,
    pub status: Slot<'a>,
    pub content_type: Slot<'a>,
    pub grpc_status: Slot<'a>,
    /// `:scheme` or `:protocol`: a request.
    is_request: bool,
    /// The first field's name is known.
    begins_known: bool,
    /// Of some field the name or the value is not known, or fields are missing at the end.
    pub partly: bool,
}

impl<'a> Head<'a> {
    /// Reads the fields of a block.
    pub fn read(fields: &'a Fields) -> Head<'a> {
        let mut head = Head { partly: fields.cut, begins_known: !fields.cut, ..Head::default() };
        for (at, (name, value)) in fields.iter().enumerate() {
            head.partly |= name.is_none() || value.is_none();
            if at == 0 {
                head.begins_known = name.is_some();
            }
            let Some(name) = name else { continue };
            let slot = match name {
                b":method" => &mut head.method,
                b":path" => &mut head.path,
                b":authority" => &mut head.authority,
                b"host" => &mut head.host,
                b":status" => &mut head.status,
                b"content-type" => &mut head.content_type,
                b"grpc-status" => &mut head.grpc_status,
                b":scheme" | b":protocol" => {
                    head.is_request = true;
                    continue;
                }
                _ => continue,
            };
            *slot = value.map_or(Slot::Unknown, Slot::Known);
        }
        head
    }

    pub fn kind(&self) -> Kind {
        let asks = self.is_request
            || [self.method, self.path, self.authority].iter().any(|slot| *slot != Slot::Absent);
        match (asks, self.status) {
            (true, _) => Kind::Request,
            (false, Slot::Known(_) | Slot::Unknown) => Kind::Response,
            (false, Slot::Absent) if self.begins_known => Kind::Trailers,
            (false, Slot::Absent) => Kind::Unknown,
        }
    }

    /// `:status`; `None` if it is not there or not known.
    pub fn http_status(&self) -> Option<u16> {
        match self.status.known()? {
            [a @ b'1'..=b'9', b @ b'0'..=b'9', c @ b'0'..=b'9'] => {
                Some(u16::from(a - b'0') * 100 + u16::from(b - b'0') * 10 + u16::from(c - b'0'))
            }
            _ => None,
        }
    }

    /// `grpc-status`: a number in ASCII digits; `None` if it is not there or not known.
    pub fn grpc_code(&self) -> Option<u16> {
        let digits = self.grpc_status.known().filter(|digits| (1..=4).contains(&digits.len()))?;
        digits
            .iter()
            .try_fold(0u16, |code, digit| digit.is_ascii_digit().then(|| code * 10 + u16::from(digit - b'0')))
    }

    /// Whether the content is gRPC's: `application/grpc`, which a `+` and the message format, or parameters, may follow.
    pub fn is_grpc(&self) -> bool {
        let rest = self.content_type.known().and_then(|value| value.strip_prefix(b"application/grpc"));
        matches!(rest, Some([] | [b'+' | b';' | b' ', ..]))
    }
}

/// The name of a gRPC status (`code.proto`), for where only the name of an error is told; `None`: OK.
pub(super) fn grpc_error(code: u16) -> Option<&'static str> {
    const NAMES: [&str; 16] = [
        "CANCELLED",
        "UNKNOWN",
        "INVALID_ARGUMENT",
        "DEADLINE_EXCEEDED",
        "NOT_FOUND",
        "ALREADY_EXISTS",
        "PERMISSION_DENIED",
        "RESOURCE_EXHAUSTED",
        "FAILED_PRECONDITION",
        "ABORTED",
        "OUT_OF_RANGE",
        "UNIMPLEMENTED",
        "INTERNAL",
        "UNAVAILABLE",
        "DATA_LOSS",
        "UNAUTHENTICATED",
    ];
    let before = code.checked_sub(1)?;
    // Codes that are not in the list are treated as UNKNOWN.
    Some(NAMES.get(usize::from(before)).copied().unwrap_or("UNKNOWN"))
}
