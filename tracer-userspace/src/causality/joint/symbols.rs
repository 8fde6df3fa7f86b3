//! Small numbers for the kinds of requests and calls of one process, and what the kinds are called elsewhere.

use rustc_hash::FxHashMap;

/// Kinds of calls that are told apart; further ones share the last number.
pub const CALL_OPS: usize = 32;
/// The same for requests.
pub const REQUEST_OPS: usize = 32;

/// Stands for a kind of request where it is not the hash of one.
const FED: u64 = 0xfed0_fed0_fed0_fed0;

/// A kind of request or call in words, the same in every process and every run.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Operation {
    /// Method and path, identifiers left out.
    pub words: Box<str>,
    /// Whom a call goes to; of a request empty.
    pub to: Box<str>,
}

/// Operations by number; `None` where one cannot be told in words.
pub type Operations = Vec<Option<Operation>>;

/// The numbers given so far.
#[derive(Debug, Default)]
pub struct Symbols {
    calls: FxHashMap<u64, u8>,
    requests: FxHashMap<u64, u8>,
    /// The kinds of calls.
    pub call_names: Operations,
    /// The kinds of requests.
    pub request_names: Operations,
}

impl Symbols {
    /// The number of a kind of call.
    pub fn call(&mut self, kind: u64) -> u8 {
        number(&mut self.calls, kind, CALL_OPS)
    }

    /// The number of a kind of request.
    pub fn request(&mut self, kind: u64) -> u8 {
        number(&mut self.requests, kind, REQUEST_OPS)
    }

    /// The number of those requests of a kind whose body came after the head: something else is what they begin with. A loop may take
    /// another number of turns to the first call from the one than from the other.
    pub fn fed(&mut self, request: u8) -> u8 {
        let kind = FED ^ u64::from(request);
        let number = self.request(kind);
        let name = self.request_names.get(usize::from(request)).cloned().flatten();
        let words = |name: Operation| Operation { words: format!("{} +body", name.words).into(), ..name };
        self.name_request(kind, || name.map(words));
        number
    }

    /// What a kind of call is called, asked for once.
    pub fn name_call(&mut self, kind: u64, name: impl FnOnce() -> Option<Operation>) {
        name_kind(&self.calls, &mut self.call_names, kind, name);
    }

    /// What a kind of request is called, asked for once.
    pub fn name_request(&mut self, kind: u64, name: impl FnOnce() -> Option<Operation>) {
        name_kind(&self.requests, &mut self.request_names, kind, name);
    }
}

fn number(known: &mut FxHashMap<u64, u8>, kind: u64, limit: usize) -> u8 {
    let next = known.len();
    if let Some(number) = known.get(&kind) {
        return *number;
    }
    if next + 1 >= limit {
        return (limit - 1) as u8;
    }
    known.insert(kind, next as u8);
    next as u8
}

/// Numbers are given one after the other, and each kind is named as soon as it has its own.
fn name_kind(
    known: &FxHashMap<u64, u8>,
    names: &mut Operations,
    kind: u64,
    name: impl FnOnce() -> Option<Operation>,
) {
    if names.len() < known.len() && known.get(&kind).is_some_and(|number| usize::from(*number) == names.len())
    {
        names.push(name());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn kinds_beyond_the_limit_share_a_number() {
        let mut symbols = Symbols::default();
        let numbers: Vec<u8> = (0..100).map(|kind| symbols.call(kind)).collect();
        assert_eq!(numbers[0], 0);
        assert_eq!(numbers[30], 30);
        assert!(numbers[31..].iter().all(|number| *number == 31));
        assert_eq!(symbols.call(7), 7);
    }

    #[test]
    fn requests_with_later_bodies_are_a_kind_of_their_own() {
        let mut symbols = Symbols::default();
        let named = |words: &str| Some(Operation { words: words.into(), to: "".into() });
        let save = symbols.request(7);
        // Not named yet: then it is when that is.
        assert_eq!((symbols.fed(save), symbols.request_names.len()), (1, 0));
        symbols.name_request(7, || named("POST /save"));
        assert_eq!((symbols.fed(save), symbols.fed(save)), (1, 1));
        let other = symbols.request(8);
        symbols.name_request(8, || named("GET /list"));
        assert_ne!(symbols.fed(other), symbols.fed(save));
        let names = ["POST /save", "POST /save +body", "GET /list", "GET /list +body"];
        assert_eq!(symbols.request_names, names.map(named));
    }

    #[test]
    fn a_kind_is_named_once_and_the_shared_number_never() {
        let mut symbols = Symbols::default();
        let named = |words: &str| Some(Operation { words: words.into(), to: "".into() });
        for kind in 0..100 {
            symbols.request(kind);
            symbols.name_request(kind, || named("first"));
            symbols.name_request(kind, || named("second"));
        }
        assert_eq!(symbols.request_names, vec![named("first"); REQUEST_OPS - 1]);
        assert!(symbols.call_names.is_empty());
    }
}
