//! Values that look drawn at random: request ids, correlation ids, uuids. One that came in with exactly one request and goes out
//! with a call says whose call it is, whatever the header is called.
//!
//! Kept are hashes, under a key that is drawn for each capture and thrown away: whoever has the capture can tell that two
//! messages carried the same value, and cannot find out which, not even by trying.

use std::hash::{BuildHasher, Hasher, RandomState};

use siphasher::sip::SipHasher13;

use crate::exchange::Token;

/// Most of them that are kept of one request; the first that come.
pub const MAX_TOKENS: usize = 8;
/// Shortest that counts.
const MIN_LENGTH: usize = 16;
/// Longest run that is looked at, bytes: what is longer is no id.
const MAX_LENGTH: usize = 512;

/// The key of a capture's hashes. The default one is for tests.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct HashKey(pub u64, pub u64);

impl HashKey {
    /// A new one, from the operating system's random numbers.
    pub fn random() -> HashKey {
        HashKey(RandomState::new().hash_one(1u8), RandomState::new().hash_one(2u8))
    }

    /// Hash of the parts, one behind the other, each with its length.
    pub fn hash(self, parts: &[&[u8]]) -> u64 {
        let mut hasher = SipHasher13::new_with_keys(self.0, self.1);
        for part in parts {
            hasher.write(&(part.len() as u64).to_le_bytes());
            hasher.write(part);
        }
        hasher.finish()
    }
}

/// Collects the tokens of one request.
#[derive(Clone, Copy, Debug)]
pub struct Tokens {
    key: HashKey,
    found: [Token; MAX_TOKENS],
    count: usize,
}

impl Tokens {
    /// None yet.
    pub fn new(key: HashKey) -> Tokens {
        Tokens { key, found: [Token::default(); MAX_TOKENS], count: 0 }
    }

    /// Takes a header, name as it was sent.
    pub fn header(&mut self, name: &[u8], value: &[u8]) {
        if value.len() >= MIN_LENGTH && !is_dull(name) {
            self.text(value, || source(name));
        }
    }

    /// Takes a request target: its path segments and the values in its query.
    pub fn target(&mut self, target: &[u8]) {
        if target.len() >= MIN_LENGTH {
            self.text(target, || 0);
        }
    }

    /// The tokens are the longest runs of letters, digits, `-` and `_` that look random.
    fn text(&mut self, text: &[u8], from: impl Fn() -> u32) {
        for run in text.split(|byte| !(byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))) {
            if self.count >= MAX_TOKENS {
                return;
            }
            if (MIN_LENGTH..=MAX_LENGTH).contains(&run.len()) && looks_random(run) {
                let value = self.key.hash(&[run]);
                let known = self.found.iter().take(self.count).any(|token| token.value == value);
                if let (false, Some(slot)) = (known, self.found.get_mut(self.count)) {
                    *slot = Token { value, from: from() };
                    self.count += 1;
                }
            }
        }
    }

    /// Those that were found.
    pub fn found(&self) -> &[Token] {
        self.found.get(..self.count).unwrap_or_default()
    }
}

/// What stands in [`Token::from`] for a header: CRC-32 (zlib's) of its name in lower case.
pub fn source(name: &[u8]) -> u32 {
    let (mut hasher, mut lower) = (crc32fast::Hasher::new(), [0; 64]);
    for part in name.chunks(lower.len()) {
        if let Some(lower) = lower.get_mut(..part.len()) {
            lower.copy_from_slice(part);
            lower.make_ascii_lowercase();
            hasher.update(lower);
        }
    }
    hasher.finalize()
}

/// Headers whose values name no request, however they look: what the client is and accepts, and what every request of a
/// session carries.
fn is_dull(name: &[u8]) -> bool {
    let beginnings: [&[u8]; 2] = [b"sec-", b"accept"];
    let names: [&[u8]; 8] =
        [b"host", b"user-agent", b"cookie", b"cookie2", b"origin", b"content-type", b"connection", b"via"];
    names.iter().any(|dull| name.eq_ignore_ascii_case(dull))
        || beginnings
            .iter()
            .any(|dull| name.get(..dull.len()).is_some_and(|head| head.eq_ignore_ascii_case(dull)))
}

/// Whether a run could have been drawn at random. Words and numbers change from letters to digits seldom, and repeat
/// characters; 64 random bits, however they are written, do not.
fn looks_random(run: &[u8]) -> bool {
    let (mut seen, mut changes, mut letters, mut before) = (0u64, 0, 0, None);
    for byte in run {
        // Six bits tell letters of one case, and digits, apart.
        let is_digit = match byte {
            b'0'..=b'9' => true,
            b'a'..=b'z' | b'A'..=b'Z' => false,
            _ => continue,
        };
        letters += usize::from(!is_digit);
        seen |= 1 << (byte & 63);
        changes += usize::from(before.replace(is_digit).is_some_and(|before| before != is_digit));
    }
    let distinct = seen.count_ones();
    if letters == 0 { distinct >= 6 } else { distinct >= 8 && changes >= 3 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::random::Random;

    fn of(target: &str, headers: &[(&str, &str)]) -> Vec<Token> {
        let mut tokens = Tokens::new(HashKey::default());
        tokens.target(target.as_bytes());
        for (name, value) in headers {
            tokens.header(name.as_bytes(), value.as_bytes());
        }
        tokens.found().to_vec()
    }

    const UUID: &str = "7b0e2a4c-9d3f-4a51-8c66-1f2e3d4c5b6a";

    #[test]
    fn a_token_is_the_same_wherever_it_stands() {
        let header = of("/", &[("X-Request-Id", UUID)]);
        let target = of(&format!("/a?request={UUID}&b=1"), &[]);
        let path = of(&format!("/a/{UUID}/x"), &[]);
        let list = of("/", &[("x-ids", &format!("a, \"{UUID}\""))]);
        for other in [&target, &path, &list] {
            assert_eq!(other.len(), 1);
            assert_eq!(other[0].value, header[0].value);
        }
        assert_eq!((target[0].from, header[0].from), (0, source(b"x-request-id")));
        assert_eq!(of(&format!("/{UUID}"), &[("x-request-id", UUID)]).len(), 1, "one value is one token");
    }

    #[test]
    fn only_what_looks_random_is_a_token() {
        for random in [
            UUID,
            "4bf92f3577b34da6",
            "a3ce929d0e0e4736a3ce929d0e0e4737",
            "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "V1StGXR8_Z5jdHi6B-myT",
            "1311768467463790320",
        ] {
            assert_eq!(of(&format!("/{random}"), &[]).len(), 1, "{random}");
        }
        for word in [
            "/some-long-article-title-2026/and-another-one",
            "/getUserAccountBalanceV2",
            "/0000000000000000000001",
            "/2026-11-22/aaaaaaaaaaaaaaaa",
            "/application_vnd_shop_json",
            "/4bf92f3577b34da",
        ] {
            assert!(of(word, &[]).is_empty(), "{word}");
        }
        for name in ["Host", "USER-AGENT", "cookie", "Sec-WebSocket-Key", "accept-encoding"] {
            assert!(of("/", &[(name, UUID)]).is_empty(), "{name}");
        }
    }

    #[test]
    fn random_ids_are_hardly_ever_missed() {
        let mut random = Random::new(1);
        let mut missed = 0;
        for _ in 0..10_000 {
            missed += usize::from(!looks_random(format!("{:016x}", random.next()).as_bytes()));
        }
        assert!(missed < 500, "{missed} of 10 000");
    }

    #[test]
    fn their_number_is_bounded_and_hostile_values_do_no_harm() {
        let many: Vec<String> = (0..100u64).map(|n| format!("{:016x}", scrambled(n))).collect();
        assert_eq!(of(&format!("/{}", many.join("/")), &[]).len(), MAX_TOKENS);
        assert!(of(&"a1B2".repeat(1000), &[]).is_empty());
        let mut tokens = Tokens::new(HashKey::default());
        tokens.header(b"", &[0xff; 100]);
        tokens.header(&[0xff; 100], b"\0\x01\xfe----------------");
        assert!(tokens.found().is_empty());
    }

    #[test]
    fn without_the_key_nothing_can_be_guessed() {
        let hash = |key: HashKey| key.hash(&[UUID.as_bytes()]);
        assert_ne!(hash(HashKey::random()), hash(HashKey::random()));
        let key = HashKey::random();
        assert_eq!(hash(key), hash(key));
        assert_ne!(key.hash(&[b"ab", b"c"]), key.hash(&[b"a", b"bc"]));
    }

    fn scrambled(n: u64) -> u64 {
        HashKey(1, 2).hash(&[&n.to_le_bytes()])
    }
}
