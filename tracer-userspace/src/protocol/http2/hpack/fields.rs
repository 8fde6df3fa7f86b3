//! The fields of one header block. One is kept for a connection and used again for every block, so that reading one allocates
//! nothing.

use super::huffman;

/// Bytes of names and values of one block that are kept. A field costs a byte where the table holds it, so a block may mean
/// much more than it has.
const MAX_TEXT: usize = 64 << 10;
/// Fields of one block that are kept.
const MAX_FIELDS: usize = 1024;
/// What is kept between blocks.
const IDLE: usize = 4 << 10;

/// A name or value: where it stands among the texts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Text {
    from: u32,
    len: u32,
}

/// Fields in their order.
#[derive(Debug, Default)]
pub(in crate::protocol::http2) struct Fields {
    texts: Vec<u8>,
    list: Vec<(Option<Text>, Option<Text>)>,
    /// There were more fields than these.
    pub cut: bool,
}

impl Fields {
    pub(super) fn clear(&mut self) {
        self.texts.clear();
        self.list.clear();
        self.cut = false;
    }

    /// Gives back what an unusually long block took.
    pub fn rest(&mut self) {
        if self.texts.capacity() > IDLE {
            *self = Fields::default();
        }
    }

    /// Where the texts of the next field begin.
    pub(super) fn mark(&self) -> usize {
        self.texts.len()
    }

    /// Appends a text.
    pub(super) fn text(&mut self, text: &[u8]) -> Text {
        let from = self.texts.len();
        self.texts.extend_from_slice(text);
        self.since(from)
    }

    /// Appends the text of a Huffman-coded string.
    pub(super) fn coded(&mut self, coded: &[u8]) -> Option<Text> {
        let from = self.texts.len();
        huffman::decode(coded, &mut self.texts).ok()?;
        Some(self.since(from))
    }

    fn since(&self, from: usize) -> Text {
        // Bounded by `MAX_TEXT` and one block.
        Text { from: from as u32, len: (self.texts.len() - from) as u32 }
    }

    /// A text that was appended.
    pub(super) fn get(&self, text: Text) -> &[u8] {
        let Text { from, len } = text;
        self.texts.get(from as usize..from as usize + len as usize).unwrap_or_default()
    }

    /// Adds a field whose texts begin at `mark`; beyond the bounds it is left out, and that is known.
    pub(super) fn push(&mut self, mark: usize, name: Option<Text>, value: Option<Text>) {
        if self.texts.len() > MAX_TEXT || self.list.len() >= MAX_FIELDS {
            self.texts.truncate(mark);
            self.cut = true;
            return;
        }
        self.list.push((name, value));
    }

    /// Name and value of each, where they are known.
    pub fn iter(&self) -> impl Iterator<Item = (Option<&[u8]>, Option<&[u8]>)> {
        let shown = |text: Option<Text>| text.map(|text| self.get(text));
        self.list.iter().map(move |(name, value)| (shown(*name), shown(*value)))
    }

    /// Those of which both is known.
    pub fn known(&self) -> impl Iterator<Item = (&[u8], &[u8])> {
        self.iter().filter_map(|(name, value)| Some((name?, value?)))
    }
}
