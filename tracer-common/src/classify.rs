//! Which protocol do these first bytes belong to?
//!
//! Runs in the probes on the first bytes of a call and decides whether they travel to userspace, and in userspace to
//! name connections that are not understood. It works on eight bytes in one integer, because a byte loop costs the
//! traced process more than everything else the probe does.

/// What the first bytes of a call look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Class {
    /// None of the known ones.
    Unknown = 0,
    /// An HTTP/1.x request line begins here (RFC 9112 section 3).
    Http1Request = 1,
    /// An HTTP/1.x status line begins here (RFC 9112 section 4).
    Http1Response = 2,
    /// The HTTP/2 connection preface (RFC 9113 section 3.4).
    Http2 = 3,
    /// A TLS handshake, alert or application data record (RFC 8446 section 5.1).
    Tls = 4,
    /// Too few bytes to tell, but they may be the beginning of an HTTP/1.x message.
    Prefix = 5,
}

/// `text` as the low bytes of a little-endian integer.
#[expect(clippy::indexing_slicing, reason = "evaluated by the compiler only, and `at` is below the length")]
const fn word(text: &[u8]) -> u64 {
    let mut value = 0u64;
    let mut at = text.len();
    while at > 0 {
        at -= 1;
        value = value << 8 | text[at] as u64;
    }
    value
}

/// Mask that keeps the first `bytes` bytes of a word.
const fn keep(bytes: usize) -> u64 {
    if bytes >= 8 { u64::MAX } else { (1 << (bytes * 8)) - 1 }
}

/// Whether the `have` bytes in `first` begin with `text`, or are the beginning of it.
#[inline(always)]
const fn begins(first: u64, text: &[u8]) -> bool {
    first & keep(text.len()) == word(text)
}

#[inline(always)]
const fn may_begin(first: u64, have: usize, text: &[u8]) -> bool {
    have < text.len() && first & keep(have) == word(text) & keep(have)
}

/// Classifies the first bytes of a call. `first` holds them in memory order, the first byte lowest; `len` is how many
/// bytes the call moved (bytes of `first` past `len` must be zero).
#[inline(always)]
pub const fn classify(first: u64, len: u32) -> Class {
    // Methods of RFC 9110 and PATCH (RFC 5789), then those of WebDAV (RFC 4918) that are in use. Each ends with
    // its space, so that a word of another protocol that begins alike does not pass.
    if begins(first, b"HTTP/1.") {
        return Class::Http1Response;
    }
    if begins(first, b"GET ") || begins(first, b"POST ") || begins(first, b"PUT ") || begins(first, b"HEAD ")
    {
        return Class::Http1Request;
    }
    if begins(first, b"DELETE ") || begins(first, b"PATCH ") || begins(first, b"OPTIONS ") {
        return Class::Http1Request;
    }
    if begins(first, b"CONNECT ") || begins(first, b"TRACE ") || begins(first, b"PROPFIND") {
        return Class::Http1Request;
    }
    if begins(first, b"REPORT ")
        || begins(first, b"MKCOL ")
        || begins(first, b"PURGE ")
        || begins(first, b"LOCK ")
    {
        return Class::Http1Request;
    }
    if begins(first, b"PRI * HT") {
        return Class::Http2;
    }
    // Content type 20 to 23, then version 3.0 to 3.4, then a length below 2^14 + 2048.
    let (kind, major, minor, length) =
        (first & 0xff, first >> 8 & 0xff, first >> 16 & 0xff, first >> 24 & 0xff);
    if len >= 5 && kind >= 20 && kind <= 23 && major == 3 && minor <= 4 && length <= 0x48 {
        return Class::Tls;
    }
    // A Go server reads one byte first; a head may come in any split.
    let have = len as usize;
    if len > 0
        && len < 8
        && (may_begin(first, have, b"HTTP/1.")
            || may_begin(first, have, b"GET ")
            || may_begin(first, have, b"POST ")
            || may_begin(first, have, b"PUT ")
            || may_begin(first, have, b"HEAD ")
            || may_begin(first, have, b"DELETE ")
            || may_begin(first, have, b"PATCH ")
            || may_begin(first, have, b"OPTIONS ")
            || may_begin(first, have, b"CONNECT ")
            || may_begin(first, have, b"TRACE ")
            || may_begin(first, have, b"PROPFIND")
            || may_begin(first, have, b"REPORT ")
            || may_begin(first, have, b"MKCOL ")
            || may_begin(first, have, b"PURGE ")
            || may_begin(first, have, b"LOCK "))
    {
        return Class::Prefix;
    }
    Class::Unknown
}

/// Whether the first bytes of a call of `len` bytes may begin a message of a protocol other than HTTP/1: one that says its own
/// length where such protocols say it, or begins with their words. It only decides how much of a connection whose
/// protocol is not known yet is looked at, so it is broad and cheap. `first` as in [`classify`].
#[inline(always)]
pub const fn may_be_message(first: u64, len: u32) -> bool {
    if len <= HEADER {
        return true;
    }
    let byte = first & 0xff;
    let from_0 = (first as u32).swap_bytes();
    let from_1 = ((first >> 8) as u32).swap_bytes();
    let little = first as u32;
    // PostgreSQL: a letter, then a length that counts itself.
    if byte > 0x20 && byte < 0x7f && from_1 >= 4 && from_1 < 1 << 24 {
        return true;
    }
    // PostgreSQL's first message; Kafka, also where it is longer than the call.
    if from_0 >= len - 4 && from_0 < 1 << 24 {
        return true;
    }
    // MongoDB; MySQL and MariaDB: three bytes of length and a sequence number.
    if little == len || (little & 0x00ff_ffff) <= len - 4 && little >> 24 < 8 && little & 0x00ff_ffff > 0 {
        return true;
    }
    // HTTP/2: three bytes of length, a type, flags, a stream.
    if from_0 >> 8 <= len - 9 && (first >> 24) & 0xff <= 9 {
        return true;
    }
    // FastCGI and AMQP: version or type, type or channel, then a channel or request below 256.
    if byte >= 1 && byte <= 8 && (first >> 8) & 0xff <= 11 && (first >> 16) & 0xff == 0 {
        return true;
    }
    // Redis: all that a message of RESP2 begins with, and most of RESP3. Answers to a pipeline stand many in one call.
    if byte < 64 && RESP >> byte & 1 != 0 {
        return true;
    }
    // memcached's binary form; AMQP's greeting.
    byte == 0x80 || byte == 0x81 || begins(first, b"AMQP")
}

/// Lengths and headers are read on their own by many clients (Kafka's 4 bytes, MySQL's 4, AMQP's 7, MongoDB's 16). What the next call
/// moves in the same direction belongs to the same message.
pub const HEADER: u32 = 16;

/// `*`, `$`, `+`, `-`, `:`, and of RESP3 `%` and `>`, as bits: one test, because the kernel's verifier walks each comparison.
const RESP: u64 = 1 << b'*' | 1 << b'$' | 1 << b'+' | 1 << b'-' | 1 << b':' | 1 << b'%' | 1 << b'>';

/// [`classify`] for a slice.
pub fn classify_bytes(bytes: &[u8]) -> Class {
    let mut first = [0u8; 8];
    for (to, from) in first.iter_mut().zip(bytes) {
        *to = *from;
    }
    classify(u64::from_le_bytes(first), u32::try_from(bytes.len()).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn answers_to_a_pipeline_may_be_messages() {
        let may = |text: &str| {
            let first = text.as_bytes().first_chunk().copied().unwrap();
            may_be_message(u64::from_le_bytes(first), text.len() as u32)
        };
        for answers in
            ["+OK\r\n+OK\r\n+OK\r\n+OK\r\n", ":1\r\n:2\r\n:3\r\n:4\r\n:5\r\n", "-ERR one\r\n-ERR two\r\n"]
        {
            assert!(may(answers), "{answers:?}");
        }
        for other in
            ["some words, and more of them", "EHLO mail.example\r\n", "{\"level\": \"info\", \"at\": 1}"]
        {
            assert!(!may(other), "{other:?}");
        }
    }

    const METHODS: &[&str] = &[
        "GET", "POST", "PUT", "HEAD", "DELETE", "PATCH", "OPTIONS", "CONNECT", "TRACE", "PROPFIND", "REPORT",
        "MKCOL", "PURGE", "LOCK",
    ];

    #[test]
    fn requests_and_responses_are_recognised() {
        for method in METHODS {
            let head = format!("{method} /x HTTP/1.1\r\n");
            assert_eq!(classify_bytes(head.as_bytes()), Class::Http1Request, "{method}");
        }
        assert_eq!(classify_bytes(b"HTTP/1.1 200 OK\r\n"), Class::Http1Response);
        assert_eq!(classify_bytes(b"HTTP/1.0 404 Not Found\r\n"), Class::Http1Response);
        assert_eq!(classify_bytes(b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"), Class::Http2);
    }

    #[test]
    fn every_split_of_a_request_line_is_at_least_possible() {
        for method in METHODS {
            let head = format!("{method} /x HTTP/1.1\r\n");
            for cut in 1..head.len() {
                let class = classify_bytes(&head.as_bytes()[..cut]);
                assert!(
                    matches!(class, Class::Prefix | Class::Http1Request),
                    "{method} cut at {cut}: {class:?}"
                );
            }
        }
    }

    #[test]
    fn other_protocols_are_not_taken_for_http() {
        let others: &[&[u8]] = &[
            b"*1\r\n$4\r\nPING\r\n",
            b"SSH-2.0-OpenSSH_9.2\r\n",
            b"\x00\x00\x00\x08\x04\xd2\x16\x2f",
            b"GETS key and more\r\n",
            b"GET",
            b"HTTP",
            b"220 mail.example ESMTP\r\n",
        ];
        for bytes in others {
            let class = classify_bytes(bytes);
            assert!(!matches!(class, Class::Http1Request | Class::Http1Response), "{bytes:?}: {class:?}");
        }
    }

    #[test]
    fn tls_records_are_recognised() {
        assert_eq!(classify_bytes(&[0x16, 3, 1, 2, 0, 1, 0, 1, 0xfc]), Class::Tls);
        assert_eq!(classify_bytes(&[0x17, 3, 3, 0, 0x20, 1, 2, 3, 4]), Class::Tls);
        assert_eq!(classify_bytes(&[0x16, 3, 9, 2, 0, 1, 0, 1]), Class::Unknown);
    }

    #[test]
    fn random_bytes_are_seldom_taken_for_anything() {
        // A request needs four exact bytes: of a million random words not one in expectation.
        let mut state = 0x9e37_79b9_7f4a_7c15u64;
        let mut taken = 0;
        for _ in 0..1_000_000 {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            let class = classify(state, 64);
            taken += u32::from(matches!(class, Class::Http1Request | Class::Http1Response | Class::Http2));
        }
        assert!(taken <= 1, "{taken}");
    }
}
