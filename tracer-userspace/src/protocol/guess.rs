//! Names the protocol of a connection that is not parsed, from its first bytes alone. It says "looks like", and says
//! nothing when it is not sure: ports are not looked at, since a port proves nothing.
//!
//! The bytes may be those of either end: whichever called first after the tracer saw the connection.

use std::fmt;

use tracer_common::classify::{Class, classify_bytes};

/// What the first bytes look like.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Guess {
    /// PostgreSQL frontend/backend protocol 3 ("Message Formats" in its manual).
    PostgreSql,
    /// MySQL or MariaDB client/server protocol, initial handshake (protocol version 10).
    MySql,
    /// Redis serialization protocol.
    Redis,
    /// HTTP/2 connection preface (RFC 9113 section 3.4).
    Http2,
    /// TLS record layer (RFC 8446 section 5.1).
    Tls,
    /// SSH identification string (RFC 4253 section 4.2).
    Ssh,
    /// SMTP greeting or command (RFC 5321).
    Smtp,
    /// AMQP protocol header.
    Amqp,
    /// MongoDB wire protocol.
    MongoDb,
    /// memcached text protocol.
    Memcached,
    /// HTTP/1.x (RFC 9112), of which nothing could be parsed.
    Http1,
}

impl fmt::Display for Guess {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Guess::PostgreSql => "PostgreSQL",
            Guess::MySql => "MySQL",
            Guess::Redis => "Redis",
            Guess::Http2 => "HTTP/2",
            Guess::Tls => "TLS",
            Guess::Ssh => "SSH",
            Guess::Smtp => "SMTP",
            Guess::Amqp => "AMQP",
            Guess::MongoDb => "MongoDB",
            Guess::Memcached => "memcached",
            Guess::Http1 => "HTTP/1.x",
        })
    }
}

/// What `first`, the first bytes of a call (sixteen are enough), look like; `None` when unsure.
pub fn guess(first: &[u8]) -> Option<Guess> {
    match classify_bytes(first) {
        Class::Http1Request | Class::Http1Response => return Some(Guess::Http1),
        Class::Http2 => return Some(Guess::Http2),
        Class::Tls => return Some(Guess::Tls),
        Class::Unknown | Class::Prefix => {}
    }
    if first.starts_with(b"SSH-2.0-") || first.starts_with(b"SSH-1.") {
        return Some(Guess::Ssh);
    }
    if first.starts_with(b"AMQP") && first.len() >= 8 {
        return Some(Guess::Amqp);
    }
    if is_smtp(first) {
        return Some(Guess::Smtp);
    }
    if is_memcached(first) {
        return Some(Guess::Memcached);
    }
    if is_redis(first) {
        return Some(Guess::Redis);
    }
    if is_postgresql(first) {
        return Some(Guess::PostgreSql);
    }
    if is_mysql(first) {
        return Some(Guess::MySql);
    }
    is_mongodb(first).then_some(Guess::MongoDb)
}

fn is_smtp(first: &[u8]) -> bool {
    // "220 " alone is also an FTP greeting, so the greeting is not enough.
    [&b"EHLO "[..], b"HELO ", b"LHLO ", b"MAIL FROM:", b"RCPT TO:"].iter().any(|text| first.starts_with(text))
}

fn is_memcached(first: &[u8]) -> bool {
    [&b"gets "[..], b"VALUE ", b"STORED\r\n"].iter().any(|text| first.starts_with(text))
        || (first.starts_with(b"get ") && first.get(4).is_some_and(u8::is_ascii_graphic))
}

/// An array of bulk strings (`*2\r\n$3\r\n`): how every client library sends commands. Answers (`+OK`, `:1`) are
/// too short to be told from other line protocols.
fn is_redis(first: &[u8]) -> bool {
    let Some(rest) = first.strip_prefix(b"*") else {
        return first.starts_with(b"+PONG\r\n") || first.starts_with(b"-NOAUTH ");
    };
    let digits = rest.iter().take_while(|byte| byte.is_ascii_digit()).count();
    (1..=6).contains(&digits) && rest.get(digits..digits + 3) == Some(b"\r\n$")
}

/// A big-endian 32-bit integer at an offset.
fn be32(bytes: &[u8], at: usize) -> Option<u32> {
    let four = bytes.get(at..at.checked_add(4)?)?;
    Some(u32::from_be_bytes(four.try_into().ok()?))
}

/// A little-endian 32-bit integer at an offset.
fn le32(bytes: &[u8], at: usize) -> Option<u32> {
    be32(bytes, at).map(u32::swap_bytes)
}

fn is_postgresql(first: &[u8]) -> bool {
    // Untyped first messages: length, then a code (StartupMessage 3.0, SSLRequest, GSSENCRequest, CancelRequest).
    if let (Some(length), Some(code)) = (be32(first, 0), be32(first, 4)) {
        let fixed = matches!((length, code), (8, 80_877_103 | 80_877_104) | (16, 80_877_102));
        let startup = matches!(code, 0x0003_0000 | 0x0003_0002) && (9..=10_000).contains(&length);
        if fixed || startup {
            return true;
        }
    }
    // Typed messages: a letter, then a length that includes itself.
    let (Some(kind), Some(length)) = (first.first(), be32(first, 1)) else { return false };
    match kind {
        // Query: text follows.
        b'Q' => {
            (6..=0x00ff_ffff).contains(&length) && first.get(5..).is_some_and(|text| is_statement(text, 4))
        }
        // Authentication: a code of 0 to 12.
        b'R' => (8..=1_000).contains(&length) && be32(first, 5).is_some_and(|code| code <= 12),
        // ReadyForQuery and Sync have a fixed length.
        b'Z' => length == 5 && first.get(5).is_some_and(|state| b"ITE".contains(state)),
        b'S' => length == 4 && first.len() == 5,
        // Parse: a statement's name, often empty, then its text.
        b'P' => {
            (8..=0x00ff_ffff).contains(&length)
                && first.get(5) == Some(&0)
                && first.get(6..).is_some_and(|text| is_statement(text, 6))
        }
        _ => false,
    }
}

/// Text of at least `least` bytes, perhaps with the NUL that ends it.
fn is_statement(text: &[u8], least: usize) -> bool {
    let text = text.strip_suffix(b"\0").unwrap_or(text);
    text.len() >= least && text.iter().all(|byte| (0x20..0x7f).contains(byte) || *byte == b'\n')
}

/// The server's greeting: 3 bytes length, sequence 0, protocol version 10, then a version such as `8.0.36`.
fn is_mysql(first: &[u8]) -> bool {
    let [l0, l1, 0, 0, 10, major, rest @ ..] = first else { return false };
    let length = u16::from(*l1) << 8 | u16::from(*l0);
    (30..=512).contains(&length) && major.is_ascii_digit() && rest.iter().take(2).any(|byte| *byte == b'.')
}

/// Length, request id, response id, then OP_MSG (2013), OP_QUERY (2004) or OP_COMPRESSED (2012), little-endian.
fn is_mongodb(first: &[u8]) -> bool {
    let (Some(length), Some(op)) = (le32(first, 0), le32(first, 12)) else { return false };
    (16..=48_000_000).contains(&length) && matches!(op, 2004 | 2012 | 2013)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    #[test]
    fn real_first_bytes_are_named() {
        let cases: &[(&[u8], Guess)] = &[
            (b"\0\0\0\x08\x04\xd2\x16\x2f", Guess::PostgreSql),
            (b"\0\0\0\x29\0\x03\0\0user\0pos", Guess::PostgreSql),
            (b"Q\0\0\0\x0dSELECT 1\0", Guess::PostgreSql),
            (b"R\0\0\0\x08\0\0\0\0S\0\0\0\x1a", Guess::PostgreSql),
            (b"P\0\0\0\x2e\0INSERT INT", Guess::PostgreSql),
            (b"\x4a\0\0\0\x0a8.0.36\0\x08\0\0", Guess::MySql),
            (b"\x6e\0\0\0\x0a10.11.6-M", Guess::MySql),
            (b"*1\r\n$4\r\nPING\r\n", Guess::Redis),
            (b"*12\r\n$3\r\nSET", Guess::Redis),
            (b"PRI * HTTP/2.0\r\n", Guess::Http2),
            (b"\x16\x03\x01\x02\0\x01\0\x01\xfc\x03\x03", Guess::Tls),
            (b"SSH-2.0-OpenSSH_", Guess::Ssh),
            (b"EHLO mail.exampl", Guess::Smtp),
            (b"AMQP\0\0\x09\x01", Guess::Amqp),
            (b"\x3f\0\0\0\x01\0\0\0\0\0\0\0\xdd\x07\0\0", Guess::MongoDb),
            (b"get user:1\r\n", Guess::Memcached),
        ];
        for (bytes, expected) in cases {
            assert_eq!(guess(bytes.get(..16).unwrap_or(bytes)), Some(*expected), "{bytes:?}");
        }
    }

    #[test]
    fn unsure_is_none() {
        let cases: &[&[u8]] =
            &[b"", b"G", b"220 ready\r\n", b"+OK\r\n", b"hello world", b"Q", b"*", b"\0\0\0\0", b"*1"];
        for bytes in cases {
            assert_eq!(guess(bytes), None, "{bytes:?}");
        }
    }

    #[test]
    fn random_bytes_are_seldom_named() {
        let mut random = Random::new(1);
        let mut named = 0;
        for _ in 0..200_000 {
            let mut bytes = [0u8; 16];
            random.fill(&mut bytes);
            named += u32::from(guess(&bytes).is_some_and(|guess| guess != Guess::Tls));
        }
        assert!(named <= 2, "{named}");
    }
}
