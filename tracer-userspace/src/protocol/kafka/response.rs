//! Answers: whether they are errors, and what they bring.

use std::sync::Arc;

use super::api::{self, Error};
use super::codes;
use super::read::Reader;
use super::records;
use super::request::{Head, LENGTH, MAX_MESSAGE};
use super::topics::{self, Known, Naming, Topics};
use crate::protocol::Context;
use crate::protocol::frames::Framing;

/// Length and number.
pub(super) const HEADER: usize = 8;

/// How answers begin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Shape;

impl Framing for Shape {
    fn header(&self) -> usize {
        HEADER
    }

    fn length(&self, header: &[u8]) -> Option<u64> {
        let len = u64::try_from(Reader::new(header, false).int32()?).ok()?;
        (LENGTH as u64..=MAX_MESSAGE).contains(&len).then_some(len + LENGTH as u64)
    }
}

/// The number of the request that is answered here.
pub(super) fn number(bytes: &[u8]) -> Option<i32> {
    Reader::new(bytes.get(LENGTH..)?, false).int32()
}

/// What an answer says.
#[derive(Debug, Default)]
pub(super) struct Answer {
    /// The first error.
    pub error: Option<Arc<str>>,
    /// What was not captured may say that there is one.
    pub truncated: bool,
    /// The messages that it brings.
    pub taken: Option<Topics>,
}

/// Reads the answer to a request of this kind and version.
pub(super) fn read(
    cx: &mut Context<'_>,
    asked: &Head,
    bytes: &[u8],
    is_cut: bool,
    known: &mut Known,
) -> Answer {
    let (api, version) = (asked.api, asked.version);
    let is_flexible = api.is_flexible(version);
    let mut reader = Reader::new(bytes.get(HEADER..).unwrap_or_default(), is_flexible);
    // A client must be able to read the answer to ApiVersions before it knows what the broker can do.
    if api.key != api::API_VERSIONS && reader.tags().is_none() {
        return Answer { truncated: is_cut, ..Answer::default() };
    }
    let mut answer = Answer::default();
    let code = match api.key {
        api::PRODUCE => {
            let mut topics = Topics::new();
            let naming = &mut Naming { known, names: cx.names };
            let is_whole = produced(&mut reader, version, &mut topics, naming).is_some();
            answer.truncated = !is_whole && topics.error == 0;
            topics.error
        }
        api::FETCH => {
            let mut topics = Topics::new();
            let naming = &mut Naming { known, names: cx.names };
            let is_whole = fetched(&mut reader, version, &mut topics, naming).is_some();
            if !is_whole {
                topics.cut();
            }
            let error = topics.error;
            // Errors of further partitions may be out of sight behind messages, which is how most answers end.
            answer.taken = Some(topics).filter(|topics| topics.bytes > 0);
            answer.truncated = !is_whole && error == 0 && answer.taken.is_none();
            error
        }
        api::METADATA => {
            _ = topics::learn(known, reader, version);
            0
        }
        _ => {
            if let Error::Throttled(since) = api.error
                && version >= since
            {
                reader.int32();
            }
            match api.error {
                Error::No => 0,
                _ => reader.int16().unwrap_or(0),
            }
        }
    };
    if code != 0 {
        answer.error = Some(match codes::name(code) {
            Some(name) => cx.names.method(name.as_bytes()),
            None => cx.names.method(code.to_string().as_bytes()),
        });
    }
    answer
}

fn note(topics: &mut Topics, code: i16) {
    if topics.error == 0 {
        topics.error = code;
    }
}

fn produced(
    reader: &mut Reader<'_>,
    version: i16,
    topics: &mut Topics,
    naming: &mut Naming<'_>,
) -> Option<()> {
    for _ in 0..reader.array()? {
        _ = topics.topic(reader, version >= 13, naming)?;
        for _ in 0..reader.array()? {
            reader.int32()?;
            note(topics, reader.int16()?);
            reader.int64()?;
            if version >= 2 {
                reader.int64()?;
            }
            if version >= 5 {
                reader.int64()?;
            }
            if version >= 8 {
                for _ in 0..reader.array()? {
                    reader.int32()?;
                    reader.text()?;
                    reader.tags()?;
                }
                reader.text()?;
            }
            reader.tags()?;
        }
        reader.tags()?;
    }
    Some(())
}

fn fetched(
    reader: &mut Reader<'_>,
    version: i16,
    topics: &mut Topics,
    naming: &mut Naming<'_>,
) -> Option<()> {
    if version >= 1 {
        reader.int32()?;
    }
    if version >= 7 {
        note(topics, reader.int16()?);
        reader.int32()?;
    }
    for _ in 0..topics.announce(reader.array()?) {
        let topic = topics.topic(reader, version >= 13, naming)?;
        let partitions = topics.announce(reader.array()?);
        topics.done();
        for _ in 0..partitions {
            let partition = reader.int32()?;
            note(topics, reader.int16()?);
            reader.int64()?;
            if version >= 4 {
                reader.int64()?;
            }
            if version >= 5 {
                reader.int64()?;
            }
            if version >= 4 {
                for _ in 0..reader.array()? {
                    reader.take(16)?;
                    reader.tags()?;
                }
            }
            if version >= 11 {
                reader.int32()?;
            }
            let (len, bytes) = reader.bytes()?;
            if len > 0 {
                topics.partition(topic.as_ref(), partition);
                topics.messages(len, records::count(len, bytes));
            }
            topics.done();
            reader.tags()?;
        }
        reader.tags()?;
    }
    Some(())
}
