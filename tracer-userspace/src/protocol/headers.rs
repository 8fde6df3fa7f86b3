//! Which request headers the user wants to see, and which ones must prove nothing (`--keep-header`, `--ignore-header`).

use std::sync::Arc;

use super::tokens::source;
use crate::exchange::{Extra, Format, RequestHead, Token};

/// Headers that may be kept: a span must not become a copy of the message.
pub const MAX_KEPT: usize = 8;
/// Headers that may be ignored.
pub const MAX_IGNORED: usize = 64;
/// Longest name of a header that can be named here, bytes.
const MAX_NAME: usize = 96;

/// Names of headers, in lower case.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Headers {
    /// Their values become tags.
    kept: Vec<Arc<str>>,
    /// What they say is no evidence for links.
    ignored: Vec<Arc<str>>,
    /// No header is, nor anything else that requests carry (`--ignore-context`).
    ignores_context: bool,
}

impl Headers {
    /// These; double ones count once. An error says, for the user, what is wrong.
    pub fn new(kept: &[String], ignored: &[String]) -> Result<Headers, String> {
        let list = |names: &[String], most: usize, option: &str| {
            let mut list: Vec<Arc<str>> = Vec::new();
            for name in names {
                let name = lower(name)?;
                if !list.iter().any(|known| **known == *name) {
                    list.push(Arc::from(name));
                }
            }
            if list.len() > most {
                return Err(format!("{option} may be given {most} times at most, not {}", list.len()));
            }
            Ok(list)
        };
        Ok(Headers {
            kept: list(kept, MAX_KEPT, "--keep-header")?,
            ignored: list(ignored, MAX_IGNORED, "--ignore-header")?,
            ignores_context: false,
        })
    }

    /// The same, with or without trace contexts and tokens.
    #[must_use]
    pub fn ignoring_context(self, ignores_context: bool) -> Headers {
        Headers { ignores_context, ..self }
    }

    /// Whether trace contexts and tokens are to be as if absent.
    pub fn ignores_context(&self) -> bool {
        self.ignores_context
    }

    /// Whether any header is to be kept.
    pub fn keeps_any(&self) -> bool {
        !self.kept.is_empty()
    }

    /// The names of the headers that are to be kept.
    pub fn kept(&self) -> &[Arc<str>] {
        &self.kept
    }

    /// The name of a header that is to be kept, as it is to be written; `name` is as it was sent.
    pub fn keeps(&self, name: &[u8]) -> Option<&Arc<str>> {
        self.kept.iter().find(|kept| kept.as_bytes().eq_ignore_ascii_case(name))
    }

    /// Whether what this header says is no evidence.
    pub fn ignores(&self, name: &[u8]) -> bool {
        self.ignored.iter().any(|ignored| ignored.as_bytes().eq_ignore_ascii_case(name))
    }

    /// What of a request's head that was recorded is to be seen and used now: no other kept headers than these, if there are
    /// any, and nothing that an ignored header said.
    pub fn restrict(&self, head: &mut RequestHead) {
        let Some(extra) = &mut head.extra else { return };
        if self.keeps_any() {
            extra.kept.retain(|kept| self.keeps(kept.name.as_bytes()).is_some());
        }
        let ignores_format =
            |format: Format| format.headers().iter().any(|name| self.ignores(name.as_bytes()));
        extra.contexts.retain(|context| !self.ignores_context && !ignores_format(context.format));
        let ignores_source = |from: u32| self.ignored.iter().any(|name| source(name.as_bytes()) == from);
        if extra.tokens.iter().any(|token| self.ignores_context || ignores_source(token.from)) {
            let left = |token: &&Token| !self.ignores_context && !ignores_source(token.from);
            extra.tokens = extra.tokens.iter().filter(left).copied().collect();
        }
        if **extra == Extra::default() {
            head.extra = None;
        }
    }
}

/// A header's name in lower case, if it is one: a token (RFC 9110 section 5.1).
fn lower(name: &str) -> Result<String, String> {
    let token = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    if name.is_empty() || name.len() > MAX_NAME || !name.bytes().all(token) {
        return Err(format!(
            "`{}` is no name of a header; give one such as X-Request-Id",
            name.escape_debug()
        ));
    }
    Ok(name.to_ascii_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::exchange::{Kept, TraceContext};

    fn names(all: &[&str]) -> Vec<String> {
        all.iter().map(|name| (*name).to_owned()).collect()
    }

    #[test]
    fn names_are_compared_without_regard_to_case() {
        let headers = Headers::new(&names(&["X-Truth-Id", "x-truth-ID"]), &names(&["X-Other"])).unwrap();
        assert_eq!(headers.kept().len(), 1);
        assert_eq!(headers.keeps(b"x-TRUTH-id").map(|name| &**name), Some("x-truth-id"));
        assert_eq!(headers.keeps(b"x-other"), None);
        assert!(headers.ignores(b"X-OTHER") && !headers.ignores(b"x-truth-id"));
        assert!(headers.keeps_any() && !Headers::default().keeps_any());
    }

    #[test]
    fn a_head_that_was_recorded_is_cut_down_to_what_is_asked_for() {
        let kept = |name: &str| Kept { name: Arc::from(name), value: "1".into() };
        let head = RequestHead {
            extra: Some(Box::new(Extra {
                kept: vec![kept("x-a"), kept("x-b")],
                contexts: vec![
                    TraceContext::w3c(1, 2),
                    TraceContext { format: Format::B3, ..TraceContext::w3c(3, 4) },
                ],
                tokens: Box::new([Token { value: 5, from: source(b"x-id") }, Token { value: 6, from: 0 }]),
                ..Extra::default()
            })),
            ..RequestHead::default()
        };
        let restricted = |kept: &[&str], ignored: &[&str]| {
            let mut head = head.clone();
            Headers::new(&names(kept), &names(ignored)).unwrap().restrict(&mut head);
            head
        };
        assert_eq!(restricted(&[], &["x-a"]), head);
        assert_eq!(restricted(&["X-B"], &[]).kept(), [kept("x-b")]);
        assert_eq!(restricted(&[], &["TraceParent"]).context(), Some(&head.contexts()[1]));
        assert_eq!(restricted(&[], &["X-B3-SpanId"]).contexts(), &head.contexts()[..1]);
        assert_eq!(restricted(&[], &["X-ID"]).tokens(), &head.tokens()[1..]);
        let mut without = head.clone();
        Headers::default().ignoring_context(true).restrict(&mut without);
        assert_eq!((without.contexts(), without.tokens(), without.kept()), (&[][..], &[][..], head.kept()));
    }

    #[test]
    fn what_is_no_name_is_refused_and_so_are_too_many() {
        for bad in ["", "a b", "x:", "größe", "a\n", &"x".repeat(97)] {
            let error = Headers::new(&names(&[bad]), &[]).unwrap_err();
            assert!(error.contains("no name of a header"), "{error}");
            assert!(!error.contains('\n'), "{error}");
        }
        let many: Vec<String> = (0..9).map(|number| format!("x-{number}")).collect();
        assert!(Headers::new(&many, &[]).unwrap_err().contains("8 times at most"));
        assert!(Headers::new(&many[..8], &many).is_ok());
    }
}
