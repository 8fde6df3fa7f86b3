//! One side of a made-up connection, for tests and fuzz targets: writes frames (RFC 9113), with a reference encoder for
//! header blocks.

use super::hpack::encoder::{Encoder, Way};
use super::wire::{PREFACE, flag, kind};

/// What it has written and not sent yet, and its table.
#[derive(Debug, Default)]
pub(crate) struct Peer {
    pub out: Vec<u8>,
    pub encoder: Encoder,
}

/// How a HEADERS frame is written.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Form {
    /// Nothing follows on the stream.
    pub ends: bool,
    /// Bytes of padding, and that there is a length of it.
    pub padding: Option<u8>,
    pub priority: bool,
    /// The block goes on in CONTINUATION frames of so many bytes; 0: it does not.
    pub split: usize,
}

impl Peer {
    pub fn frame(&mut self, kind: u8, flags: u8, stream: u32, payload: &[u8]) {
        let len = (payload.len() as u32).to_be_bytes();
        self.out.extend_from_slice(len.get(1..).unwrap_or_default());
        self.out.extend_from_slice(&[kind, flags]);
        self.out.extend_from_slice(&stream.to_be_bytes());
        self.out.extend_from_slice(payload);
    }

    /// What a client begins with.
    pub fn preface(&mut self) {
        self.out.extend_from_slice(PREFACE);
        self.settings();
    }

    pub fn settings(&mut self) {
        self.frame(kind::SETTINGS, 0, 0, &[0, 3, 0, 0, 0, 100]);
    }

    /// A header block in its frames.
    pub fn headers<'a>(
        &mut self,
        stream: u32,
        form: Form,
        fields: impl IntoIterator<Item = (&'a str, &'a str, Way)>,
    ) {
        let block = self.encoder.block(fields);
        self.block(kind::HEADERS, stream, form, &[], &block);
    }

    /// A promise of the server's.
    pub fn promise<'a>(
        &mut self,
        stream: u32,
        promised: u32,
        fields: impl IntoIterator<Item = (&'a str, &'a str, Way)>,
    ) {
        let block = self.encoder.block(fields);
        self.block(kind::PUSH_PROMISE, stream, Form::default(), &promised.to_be_bytes(), &block);
    }

    fn block(&mut self, kind: u8, stream: u32, form: Form, before: &[u8], block: &[u8]) {
        let split = if form.split == 0 { block.len() } else { form.split.min(block.len()) };
        let (first, rest) = block.split_at(split);
        let (mut flags, mut payload) = (0, Vec::new());
        if form.ends {
            flags |= flag::END_STREAM;
        }
        if rest.is_empty() {
            flags |= flag::END_HEADERS;
        }
        if let Some(padding) = form.padding {
            flags |= flag::PADDED;
            payload.push(padding);
        }
        if form.priority {
            flags |= flag::PRIORITY;
            payload.extend_from_slice(&[0x80, 0, 0, 1, 9]);
        }
        payload.extend_from_slice(before);
        payload.extend_from_slice(first);
        payload.extend(std::iter::repeat_n(0, form.padding.unwrap_or_default().into()));
        self.frame(kind, flags, stream, &payload);
        let mut parts = rest.chunks(split.max(1)).peekable();
        while let Some(part) = parts.next() {
            let flags = if parts.peek().is_none() { flag::END_HEADERS } else { 0 };
            self.frame(kind::CONTINUATION, flags, stream, part);
        }
    }

    /// So many bytes of content.
    pub fn data(&mut self, stream: u32, len: usize, ends: bool) {
        self.frame(kind::DATA, if ends { flag::END_STREAM } else { 0 }, stream, &vec![0x55; len]);
    }

    pub fn reset(&mut self, stream: u32, code: u32) {
        self.frame(kind::RST_STREAM, 0, stream, &code.to_be_bytes());
    }

    #[cfg(test)]
    pub fn go_away(&mut self, last: u32, code: u32) {
        let payload = [last.to_be_bytes(), code.to_be_bytes()].concat();
        self.frame(kind::GOAWAY, 0, 0, &payload);
    }

    /// What it has written, to be sent.
    pub fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.out)
    }
}
