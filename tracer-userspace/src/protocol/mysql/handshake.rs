//! How a connection begins: the server's greeting (protocol 10), and what the client answers.
//!
//! Of the answer only the schema and what was agreed on are read; users and passwords are passed over.

use super::packet::{HEADER, Reader};

/// What both sides may be capable of.
mod can {
    pub const CONNECT_WITH_DB: u32 = 1 << 3;
    pub const COMPRESS: u32 = 1 << 5;
    pub const PROTOCOL_41: u32 = 1 << 9;
    pub const SSL: u32 = 1 << 11;
    pub const SECURE_CONNECTION: u32 = 1 << 15;
    pub const PLUGIN_AUTH_LENENC: u32 = 1 << 21;
    pub const ZSTD: u32 = 1 << 26;
}

/// Shortest and longest payload of a greeting.
const GREETING: std::ops::RangeInclusive<usize> = 32..=512;

/// What a greeting says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Greeting {
    pub capabilities: u32,
    pub status: u16,
}

/// Whether a call of `call_len` bytes, of which these are the first, is a greeting and nothing else.
pub(super) fn is_greeting(data: &[u8], call_len: u64) -> bool {
    let Some((&[a, b, c, number], payload)) = data.split_first_chunk::<HEADER>() else { return false };
    let len = u32::from_le_bytes([a, b, c, 0]) as usize;
    number == 0 && GREETING.contains(&len) && call_len == (HEADER + len) as u64 && greeting(payload).is_some()
}

/// Reads a greeting; strict, because banners of other protocols come at the same moment.
pub(super) fn greeting(payload: &[u8]) -> Option<Greeting> {
    let mut reader = Reader(payload);
    let 10 = reader.byte()? else { return None };
    let version = reader.terminated()?;
    let fine = version.first()?.is_ascii_digit()
        && version.len() <= 128
        && version.iter().all(|byte| byte.is_ascii_graphic() || *byte == b' ');
    // Number of the connection, eight bytes to scramble the password with, zero.
    let [.., 0] = reader.take(13)? else { return None };
    let low = reader.u16()?;
    reader.byte()?;
    let (status, high) = (reader.u16()?, reader.u16()?);
    reader.byte()?;
    // MySQL leaves ten bytes zero, MariaDB six.
    let zeros = reader.take(6)?.iter().all(|byte| *byte == 0);
    let capabilities = u32::from(high) << 16 | u32::from(low);
    let modern = capabilities & can::PROTOCOL_41 != 0;
    (fine && zeros && modern).then_some(Greeting { capabilities, status })
}

/// What a client answers to the greeting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Reply<'a> {
    /// It goes on encrypted.
    Tls,
    /// Who it is. `schema`: what it wants to work with.
    Login { schema: Option<&'a [u8]>, compressed: bool },
}

/// Reads the client's answer. What is cut off is as if not said.
pub(super) fn reply(payload: &[u8], is_whole: bool, server: u32) -> Option<Reply<'_>> {
    let mut reader = Reader(payload);
    let capabilities = reader.u32()?;
    if capabilities & can::PROTOCOL_41 == 0 {
        return Some(Reply::Login { schema: None, compressed: capabilities & can::COMPRESS != 0 });
    }
    if capabilities & can::SSL != 0 && payload.len() == 32 && is_whole {
        return Some(Reply::Tls);
    }
    let compressed = capabilities & server & (can::COMPRESS | can::ZSTD) != 0;
    // The longest packet, the character set, reserved.
    reader.take(4 + 1 + 23)?;
    let schema = (capabilities & can::CONNECT_WITH_DB != 0).then(|| schema(reader, capabilities)).flatten();
    Some(Reply::Login { schema, compressed })
}

fn schema(mut reader: Reader<'_>, capabilities: u32) -> Option<&[u8]> {
    reader.terminated()?;
    if capabilities & can::PLUGIN_AUTH_LENENC != 0 {
        reader.string()?;
    } else if capabilities & can::SECURE_CONNECTION != 0 {
        let len = reader.byte()?;
        reader.take(usize::from(len))?;
    } else {
        reader.terminated()?;
    }
    reader.terminated().filter(|schema| !schema.is_empty())
}

/// The schema that COM_CHANGE_USER names, given what follows the command's byte.
pub(super) fn change_user(payload: &[u8]) -> Option<&[u8]> {
    schema(Reader(payload), can::SECURE_CONNECTION)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::protocol::mysql::tests::{GREETING, MARIADB_GREETING, login, packet};

    #[test]
    fn both_servers_are_recognised_and_nothing_cut_off_or_changed() {
        for greeting in [GREETING, MARIADB_GREETING] {
            let call = packet(0, greeting);
            assert!(is_greeting(&call, call.len() as u64));
            assert!(!is_greeting(&call, call.len() as u64 + 1));
            assert!(!is_greeting(&call[..30], call.len() as u64));
            for at in [0, 3, 4, 5] {
                let mut other = call.clone();
                other[at] ^= 0x81;
                assert!(!is_greeting(&other, call.len() as u64), "byte {at}");
            }
        }
        for banner in [
            "220 mail.example ESMTP\r\n",
            "SSH-2.0-OpenSSH_9.2\r\n",
            "* OK IMAP4 ready, and long enough to be one\r\n",
        ] {
            assert!(!is_greeting(banner.as_bytes(), banner.len() as u64));
        }
    }

    #[test]
    fn the_schema_is_read_and_what_was_agreed_on() {
        let all = u32::MAX;
        let read = |reply: Vec<u8>| match super::reply(&reply, true, all) {
            Some(Reply::Login { schema, compressed }) => {
                (schema.map(|schema| String::from_utf8(schema.to_vec()).unwrap()), compressed)
            }
            other => panic!("{other:?}"),
        };
        let shop = Some("shop".to_owned());
        for auth in [
            can::PLUGIN_AUTH_LENENC,
            can::SECURE_CONNECTION,
            can::PLUGIN_AUTH_LENENC | can::SECURE_CONNECTION,
        ] {
            assert_eq!(read(login(auth, Some("shop"))), (shop.clone(), false));
            assert_eq!(read(login(auth | can::COMPRESS, Some("shop"))), (shop.clone(), true));
            assert_eq!(read(login(auth | can::ZSTD, None)), (None, true));
        }
        assert_eq!(read(login(can::SECURE_CONNECTION, Some(""))), (None, false));
        let tls = login(can::SSL, None);
        assert_eq!(super::reply(&tls[..32], true, all), Some(Reply::Tls));
        assert!(matches!(super::reply(&tls, true, all), Some(Reply::Login { .. })));
        assert_eq!(super::reply(&tls[..3], false, all), None);
        assert_eq!(change_user(b"me\0\x02ABshop\0utf8"), Some(&b"shop"[..]));
        assert_eq!(change_user(b"me\0\x20ABshop\0utf8"), None);
    }
}
