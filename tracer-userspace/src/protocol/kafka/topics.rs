//! The topics of a request or an answer, and what is handed over of them.

use std::sync::Arc;

use rustc_hash::FxHashMap;

use super::read::Reader;
use crate::protocol::names::Names;

/// Longest name of a topic.
const MAX_NAME: usize = 249;
/// Names that are shown of a request.
const MAX_SHOWN: usize = 4;
/// Topics whose numbers are remembered.
const MAX_KNOWN: usize = 1024;

/// The number of a topic, in versions that do not say its name.
type Id = [u8; 16];

/// What is known of topics' numbers, from answers to Metadata.
pub(super) type Known = FxHashMap<Id, Arc<str>>;

/// Where the names of topics are taken from.
pub(super) struct Naming<'a> {
    /// Of topics that are called by their numbers.
    pub known: &'a Known,
    /// One copy of each.
    pub names: &'a mut Names,
}

/// What a message says of topics.
#[derive(Debug, Default)]
pub(super) struct Topics {
    names: [Option<Arc<str>>; MAX_SHOWN],
    /// There are more, or of one the name is not known.
    has_more: bool,
    /// Topics and partitions that were announced, and have not come.
    due: usize,
    /// Partitions, and the number of the last.
    partitions: u32,
    partition: Option<i32>,
    /// Messages, if all are known.
    pub messages: Option<u32>,
    /// Bytes of them.
    pub bytes: u64,
    /// The first error.
    pub error: i16,
}

/// A name that a topic can have.
pub(super) fn name(bytes: &[u8]) -> Option<&str> {
    let fine = |byte: &u8| byte.is_ascii_alphanumeric() || b"._-".contains(byte);
    let fits = (1..=MAX_NAME).contains(&bytes.len()) && bytes.iter().all(fine);
    std::str::from_utf8(bytes).ok().filter(|_| fits)
}

impl Topics {
    /// None yet.
    pub fn new() -> Topics {
        Topics { messages: Some(0), ..Topics::default() }
    }

    /// So many topics, or partitions of one, follow.
    pub fn announce(&mut self, count: usize) -> usize {
        self.due = self.due.saturating_add(count);
        count
    }

    /// All of one was there that is of use.
    pub fn done(&mut self) {
        self.due = self.due.saturating_sub(1);
    }

    /// The rest was not captured.
    pub fn cut(&mut self) {
        if self.due > 0 {
            self.has_more = true;
            self.messages = None;
        }
    }

    /// Whether anything is missing.
    pub fn is_cut(&self) -> bool {
        self.has_more || self.messages.is_none()
    }

    /// A topic's name, or its number.
    pub fn topic(
        &mut self,
        reader: &mut Reader<'_>,
        is_numbered: bool,
        naming: &mut Naming<'_>,
    ) -> Option<Option<Arc<str>>> {
        if is_numbered {
            let id = reader.take(16)?.first_chunk::<16>()?;
            return Some(naming.known.get(id).map(Arc::clone));
        }
        Some(reader.text().and_then(name).map(|name| naming.names.method(name.as_bytes())))
    }

    /// It has something for, or of, this partition.
    pub fn partition(&mut self, topic: Option<&Arc<str>>, partition: i32) {
        self.partitions = self.partitions.saturating_add(1);
        self.partition = Some(partition);
        // Its own place, or the first that is free.
        let place = self.names.iter_mut().find(|name| name.is_none() || name.as_ref() == topic);
        match (topic, place) {
            (Some(topic), Some(place)) => _ = place.get_or_insert_with(|| Arc::clone(topic)),
            _ => self.has_more = true,
        }
    }

    /// Of its messages so many bytes, and so many of them if that is known.
    pub fn messages(&mut self, bytes: usize, count: Option<u32>) {
        self.bytes = self.bytes.saturating_add(bytes as u64);
        self.messages = self.messages.zip(count).map(|(all, more)| all.saturating_add(more));
    }

    /// Their names; `...` where there are more.
    pub fn shown(&self) -> Box<str> {
        let names = || self.names.iter().flatten();
        let more = if self.has_more && names().next().is_some() { ", ..." } else { "" };
        let commas = names().count().saturating_sub(1) * 2;
        // As long as it gets: it need not be moved.
        let len = names().map(|name| name.len()).sum::<usize>() + commas + more.len();
        let mut text = String::with_capacity(len);
        for name in names() {
            if !text.is_empty() {
                text.push_str(", ");
            }
            text.push_str(name);
        }
        text.push_str(more);
        text.into_boxed_str()
    }

    /// The partition, if there is one.
    pub fn only_partition(&self) -> Option<i32> {
        self.partition.filter(|_| self.partitions == 1 && !self.has_more)
    }
}

/// Learns the numbers of topics from an answer to Metadata.
pub(super) fn learn(known: &mut Known, mut reader: Reader<'_>, version: i16) -> Option<()> {
    if version < 10 {
        return Some(());
    }
    reader.int32()?;
    for _ in 0..reader.array()? {
        reader.int32()?;
        reader.text()?;
        reader.int32()?;
        reader.text()?;
        reader.tags()?;
    }
    reader.text()?;
    reader.int32()?;
    for _ in 0..reader.array()? {
        reader.int16()?;
        let name = reader.text()?;
        let id = *reader.take(16)?.first_chunk::<16>()?;
        if let Some(name) = self::name(name)
            && id != Id::default()
            && (known.len() < MAX_KNOWN || known.contains_key(&id))
        {
            known.insert(id, Arc::from(name));
        }
        reader.int8()?;
        for _ in 0..reader.array()? {
            reader.int16()?;
            for _ in 0..3 {
                reader.int32()?;
            }
            for _ in 0..3 {
                let nodes = reader.array()?;
                reader.take(nodes.checked_mul(4)?)?;
            }
            reader.tags()?;
        }
        reader.int32()?;
        reader.tags()?;
    }
    Some(())
}
