//! A reference encoder (RFC 7541) for the tests and fuzz targets: it may choose any representation that is allowed, so that the
//! decoder is asked about all of them.

use std::collections::VecDeque;

use super::{huffman, statics};

/// How a field is to be written. What is not possible becomes the nearest thing that is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Way {
    /// By its index, if it stands in a table.
    pub indexed: bool,
    /// Else: its name by index, if that stands in a table.
    pub name: bool,
    /// Else: inserted into the table.
    pub insert: bool,
    /// Strings are Huffman-coded.
    pub coded: bool,
}

impl Way {
    /// One of the sixteen.
    pub fn of(bits: u8) -> Way {
        Way { indexed: bits & 1 != 0, name: bits & 2 != 0, insert: bits & 4 != 0, coded: bits & 8 != 0 }
    }

    /// What encoders mostly do.
    pub const USUAL: Way = Way { indexed: true, name: true, insert: true, coded: true };
}

/// An encoder with its table.
#[derive(Clone, Debug)]
pub(crate) struct Encoder {
    table: VecDeque<(Vec<u8>, Vec<u8>)>,
    max: usize,
}

impl Default for Encoder {
    fn default() -> Self {
        Encoder { table: VecDeque::new(), max: 4096 }
    }
}

impl Encoder {
    /// A block of these fields, each in its way.
    pub fn block<'a>(&mut self, fields: impl IntoIterator<Item = (&'a str, &'a str, Way)>) -> Vec<u8> {
        let mut out = Vec::new();
        for (name, value, way) in fields {
            self.field(name.as_bytes(), value.as_bytes(), way, &mut out);
        }
        out
    }

    /// Appends a field.
    pub fn field(&mut self, name: &[u8], value: &[u8], way: Way, out: &mut Vec<u8>) {
        if way.indexed
            && let Some(index) = self.find(|(n, v)| n == name && v == value)
        {
            integer(0x80, 7, index, out);
            return;
        }
        let index = if way.name { self.find(|(n, _)| n == name) } else { None };
        let (first, bits) =
            if way.insert { (0x40, 6) } else { (if value.len().is_multiple_of(2) { 0 } else { 0x10 }, 4) };
        integer(first, bits, index.unwrap_or(0), out);
        if index.is_none() {
            string(name, way.coded, out);
        }
        string(value, way.coded, out);
        if way.insert {
            self.table.push_front((name.to_vec(), value.to_vec()));
            self.evict();
        }
    }

    /// Appends a change of the table's size.
    #[cfg(test)]
    pub fn resize(&mut self, max: usize, out: &mut Vec<u8>) {
        integer(0x20, 5, max, out);
        self.max = max;
        self.evict();
    }

    fn evict(&mut self) {
        let size = |(name, value): &(Vec<u8>, Vec<u8>)| name.len() + value.len() + 32;
        while self.table.iter().map(size).sum::<usize>() > self.max {
            self.table.pop_back();
        }
    }

    fn find(&self, is: impl Fn((&[u8], &[u8])) -> bool) -> Option<usize> {
        let fixed = statics::ENTRIES.iter().position(|(name, value)| is((name, value)));
        let added = || {
            let at = self.table.iter().position(|(name, value)| is((name, value)))?;
            Some(at + statics::ENTRIES.len())
        };
        fixed.or_else(added).map(|at| at + 1)
    }
}

fn integer(first: u8, bits: u32, value: usize, out: &mut Vec<u8>) {
    let most = (1usize << bits) - 1;
    if value < most {
        out.push(first | value as u8);
        return;
    }
    out.push(first | most as u8);
    let mut rest = value - most;
    while rest >= 0x80 {
        out.push(rest as u8 | 0x80);
        rest >>= 7;
    }
    out.push(rest as u8);
}

fn string(text: &[u8], coded: bool, out: &mut Vec<u8>) {
    let (flag, text) = if coded { (0x80, huffman::encode(text)) } else { (0, text.to_vec()) };
    integer(flag, 7, text.len(), out);
    out.extend_from_slice(&text);
}
