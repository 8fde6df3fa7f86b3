//! One copy of each method and host: they repeat in nearly every request, so an exchange only counts a reference.

use std::sync::Arc;

use rustc_hash::FxHashMap;

/// Longest host that is kept, in bytes: a DNS name has at most 255, a port six more.
const MAX_HOST: usize = 261;

/// A bounded set of shared strings. What does not fit is copied each time instead.
pub struct Names {
    get: Arc<str>,
    post: Arc<str>,
    head: Arc<str>,
    known: FxHashMap<Box<[u8]>, Arc<str>>,
    limit: usize,
}

impl Names {
    /// Room for `limit` strings.
    pub fn new(limit: usize) -> Names {
        Names {
            get: Arc::from("GET"),
            post: Arc::from("POST"),
            head: Arc::from("HEAD"),
            known: FxHashMap::default(),
            limit,
        }
    }

    /// A method's name. Expects a token (RFC 9110 section 5.6.2), which is ASCII.
    pub fn method(&mut self, method: &[u8]) -> Arc<str> {
        match method {
            b"GET" => Arc::clone(&self.get),
            b"POST" => Arc::clone(&self.post),
            b"HEAD" => Arc::clone(&self.head),
            _ => self.intern(method),
        }
    }

    /// The value of a Host field; `None` if it is empty or not what a host may be.
    pub fn host(&mut self, host: &[u8]) -> Option<Arc<str>> {
        if let Some(known) = self.known.get(host) {
            return Some(Arc::clone(known));
        }
        // Userinfo is not allowed in Host (RFC 9110 section 7.2), and must not be shown if it comes all the same.
        let fine = host.iter().all(|byte| byte.is_ascii_graphic() && *byte != b'@');
        if host.is_empty() || host.len() > MAX_HOST || !fine {
            return None;
        }
        Some(self.intern(host))
    }

    fn intern(&mut self, bytes: &[u8]) -> Arc<str> {
        if let Some(known) = self.known.get(bytes) {
            return Arc::clone(known);
        }
        let name: Arc<str> = Arc::from(String::from_utf8_lossy(bytes));
        if self.known.len() < self.limit {
            self.known.insert(Box::from(bytes), Arc::clone(&name));
        }
        name
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_name_is_stored_once() {
        let mut names = Names::new(8);
        assert!(Arc::ptr_eq(&names.method(b"PATCH"), &names.method(b"PATCH")));
        assert!(Arc::ptr_eq(&names.host(b"a:80").unwrap(), &names.host(b"a:80").unwrap()));
        assert_eq!(&*names.method(b"GET"), "GET");
    }

    #[test]
    fn a_full_set_still_answers() {
        let mut names = Names::new(1);
        assert_eq!(names.host(b"a").as_deref(), Some("a"));
        assert_eq!(names.host(b"b").as_deref(), Some("b"));
        assert_eq!(names.known.len(), 1);
    }

    #[test]
    fn what_is_no_host_is_not_kept() {
        let mut names = Names::new(8);
        for bad in [&b""[..], b"user:pw@host", b"a b", b"\xff", &[b'a'; 400]] {
            assert_eq!(names.host(bad), None, "{bad:?}");
        }
    }
}
