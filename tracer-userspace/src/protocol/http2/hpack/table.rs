//! The dynamic table (RFC 7541 sections 2.3 and 4), of which the older part may not be known.
//!
//! New entries come in at the front, and an index counts from there; entries leave at the other end. So what was inserted
//! since the tracer has been watching without a break stands at the front, and its indices are right, whatever is behind
//! it. What is behind it is one of three things: nothing, if the table is known to be complete; else entries that were never
//! seen, of unknown number.
//!
//! **Why no eviction can make this wrong.** The entries that are known here are always the newest ones in their order, of which
//! the real table holds a beginning: all of them, or fewer if its size is smaller than what is assumed here. An
//! encoder refers to no entry that is not in the table (section 6.1), so an index that comes means, among the known ones,
//! exactly the entry that stands there. An entry that is larger than the table empties it and is not inserted (section 4.4): it stands
//! here in front of older ones all the same where the size is not known, but no index can reach it, nor what is behind it,
//! for the real table holds neither.

use std::collections::VecDeque;

/// What is counted for an entry beyond its name and value (RFC 7541 section 4.1).
const OVERHEAD: u64 = 32;
/// The size of a table of which nothing was said (RFC 9113 section 6.5.2).
const DEFAULT: u64 = 4096;
/// Known entries that are kept, in the same measure; of larger tables the older part is not known.
const MOST: u64 = 16 << 10;

/// A header field that was inserted.
#[derive(Clone, Debug)]
struct Entry {
    /// Name, then value.
    text: Box<[u8]>,
    /// Length of the name; `None`: it came from an entry that is not known.
    name: Option<u32>,
}

impl Entry {
    /// At least so much of the table.
    fn size(&self) -> u64 {
        OVERHEAD + self.text.len() as u64
    }
}

/// What an index refers to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found<'a> {
    /// Name, if it is known, and value.
    Entry(Option<&'a [u8]>, &'a [u8]),
    /// An entry that was inserted unseen.
    Unknown,
    /// There is no such entry.
    Beyond,
}

/// The table of one direction.
#[derive(Clone, Debug)]
pub(in crate::protocol::http2) struct Table {
    /// The newest first.
    entries: VecDeque<Entry>,
    /// What is known of their size together: no more than it is.
    size: u64,
    /// What the table holds at most, if that is known.
    max: Option<u64>,
    /// There are no entries but these.
    complete: bool,
}

impl Table {
    /// Of a connection that begins (`whole`), or was found in the middle.
    pub fn new(whole: bool) -> Table {
        Table { entries: VecDeque::new(), size: 0, max: whole.then_some(DEFAULT), complete: whole }
    }

    /// Entries may have been inserted unseen, or the size changed.
    pub fn hole(&mut self) {
        self.entries.clear();
        self.size = 0;
        self.max = None;
        self.complete = false;
    }

    /// Inserts an entry.
    pub(super) fn insert(&mut self, name: Option<&[u8]>, value: &[u8]) {
        let text = [name.unwrap_or_default(), value].concat().into_boxed_slice();
        let entry = Entry { text, name: name.map(|name| u32::try_from(name.len()).unwrap_or(u32::MAX)) };
        let size = entry.size();
        if self.max.is_some_and(|max| size > max) {
            self.empty();
            return;
        }
        self.size = self.size.saturating_add(size);
        self.entries.push_front(entry);
        self.evict();
    }

    /// The encoder changed the size (RFC 7541 section 6.3).
    pub(super) fn resize(&mut self, max: u64) {
        self.max = Some(max);
        self.evict();
    }

    /// The entry with this number; the newest is 0.
    pub(super) fn get(&self, index: u64) -> Found<'_> {
        let entry = usize::try_from(index).ok().and_then(|index| self.entries.get(index));
        match entry {
            Some(entry) => match entry.name.and_then(|name| entry.text.split_at_checked(name as usize)) {
                Some((name, value)) => Found::Entry(Some(name), value),
                None => Found::Entry(None, &entry.text),
            },
            None if self.complete => Found::Beyond,
            None => Found::Unknown,
        }
    }

    fn empty(&mut self) {
        self.entries.clear();
        self.size = 0;
        self.complete = true;
    }

    fn evict(&mut self) {
        if let Some(max) = self.max {
            // What is known fills the table: nothing that is not known has room.
            self.complete |= self.size + OVERHEAD > max;
            self.drop_beyond(max);
        }
        if self.size > MOST {
            self.complete = false;
            self.drop_beyond(MOST);
        }
    }

    fn drop_beyond(&mut self, most: u64) {
        while self.size > most
            && let Some(oldest) = self.entries.pop_back()
        {
            self.size = self.size.saturating_sub(oldest.size());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry<'a>(name: &'a str, value: &'a str) -> Found<'a> {
        Found::Entry(Some(name.as_bytes()), value.as_bytes())
    }

    #[test]
    fn the_newest_entries_are_known_after_a_hole_and_the_older_ones_are_not() {
        let mut table = Table::new(true);
        table.insert(Some(b"a"), b"1");
        assert_eq!((table.get(0), table.get(1)), (entry("a", "1"), Found::Beyond));
        table.hole();
        assert_eq!(table.get(0), Found::Unknown);
        table.insert(Some(b"b"), b"2");
        assert_eq!((table.get(0), table.get(1)), (entry("b", "2"), Found::Unknown));
    }

    #[test]
    fn a_table_that_is_full_of_what_is_known_is_complete() {
        let mut table = Table::new(false);
        table.insert(Some(b"a"), &[b'x'; 64]);
        table.insert(Some(b"b"), &[b'y'; 64]);
        assert_eq!(table.get(2), Found::Unknown);
        table.resize(200);
        // Two entries of 97: there is no room for another.
        assert_eq!(table.get(2), Found::Beyond);
        table.insert(Some(b"c"), b"");
        assert_eq!((table.get(0), table.get(2)), (entry("c", ""), Found::Beyond));
        table.resize(0);
        assert_eq!(table.get(0), Found::Beyond);
        // Larger than the table: not inserted.
        table.insert(Some(b"c"), b"");
        assert_eq!(table.get(0), Found::Beyond);
    }

    #[test]
    fn an_entry_larger_than_the_table_empties_it() {
        let mut table = Table::new(true);
        table.insert(Some(b"a"), b"1");
        table.insert(Some(b"b"), &[0; 4096]);
        assert_eq!(table.get(0), Found::Beyond);
    }

    #[test]
    fn a_table_that_is_too_large_to_keep_is_known_in_part() {
        let mut table = Table::new(true);
        table.resize(1 << 20);
        for _ in 0..1_000 {
            table.insert(Some(b"name"), &[b'v'; 64]);
        }
        assert!(table.size <= MOST && table.entries.len() == (MOST / 100) as usize, "{}", table.size);
        assert_eq!(table.get(table.entries.len() as u64), Found::Unknown);
        table.insert(Some(b"name"), &vec![b'v'; 2 * MOST as usize]);
        assert_eq!(table.get(0), Found::Unknown);
    }
}
