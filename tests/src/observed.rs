//! The exchanges in a capture file, with what is said of the threads that moved their bytes: as much of
//! `docs/capture.proto` as that takes, read field by field. In guests there is no other reader.

use std::collections::BTreeMap;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::tcap::{self, kind};

/// A thread that moved bytes, and what it was doing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Who {
    /// When, CLOCK_MONOTONIC, ns.
    pub at: u64,
    /// Thread id.
    pub thread: u64,
    /// How often it had come back from waiting.
    pub turn: u64,
    /// The thread that handed it something last; 0: none.
    pub waker: u64,
    /// When, as `at`.
    pub woken: u64,
    /// The waker's turn then.
    pub waker_turn: u64,
}

/// A request and its response.
#[derive(Clone, Debug, Default)]
pub struct Exchange {
    /// The traced process sent the request.
    pub client: bool,
    /// Target.
    pub target: String,
    /// Who moved the request's head.
    pub request: Who,
    /// Who moved the response's first byte.
    pub response: Who,
    /// Who moved the response's last byte: thread and turn.
    pub last: (u64, u64),
}

/// The exchanges of a whole capture.
pub fn exchanges(capture: &Path) -> Result<Vec<Exchange>> {
    let file = std::fs::read(capture).with_context(|| format!("cannot read {}", capture.display()))?;
    let mut all = BTreeMap::new();
    for frame in tcap::frames(&file)?.into_iter().filter(|frame| frame.kind == kind::BATCH) {
        let payload = tcap::payload(&file, &frame)?;
        batch(&Message::read(&payload)?, &mut all)?;
    }
    Ok(all.into_values().collect())
}

/// Names an exchange: both halves of its connection's name, and its number.
type Name = (u64, u64, u64);

fn batch(batch: &Message<'_>, all: &mut BTreeMap<Name, Exchange>) -> Result<()> {
    let base = batch.number(1);
    let conns: Vec<(u64, u64)> =
        batch.messages(2)?.iter().map(|conn| (conn.number(1), conn.number(2))).collect();
    for item in batch.messages(4)? {
        let of = |message: &Message<'_>| -> Result<Name> {
            let (name, born) = conns.get(message.number(1) as usize).context("no such connection")?;
            Ok((*name, *born, message.number(2)))
        };
        for request in item.messages(2)? {
            let exchange = all.entry(of(&request)?).or_default();
            exchange.client = request.number(3) != 0;
            exchange.target = String::from_utf8_lossy(request.bytes(8)).into_owned();
            exchange.request = who(&request, 5, base)?;
        }
        for response in item.messages(3)? {
            all.entry(of(&response)?).or_default().response = who(&response, 3, base)?;
        }
        for end in item.messages(4)? {
            all.entry(of(&end)?).or_default().last = (end.number(8), end.number(9));
        }
    }
    Ok(())
}

/// A `Stamp`.
fn who(message: &Message<'_>, field: u64, base: u64) -> Result<Who> {
    let stamps = message.messages(field)?;
    let stamp = stamps.first().context("no stamp")?;
    let time = |field| base.wrapping_add(zigzag(stamp.number(field)));
    let waker = stamp.number(5);
    Ok(Who {
        at: time(1),
        thread: stamp.number(3),
        turn: stamp.number(4),
        waker,
        woken: if waker == 0 { 0 } else { time(6) },
        waker_turn: stamp.number(9),
    })
}

/// A `sint64`, modulo 2^64.
fn zigzag(number: u64) -> u64 {
    (number >> 1) ^ (number & 1).wrapping_neg()
}

/// A message's fields, in their order.
struct Message<'a>(Vec<(u64, Value<'a>)>);

enum Value<'a> {
    Number(u64),
    Bytes(&'a [u8]),
}

impl<'a> Message<'a> {
    fn read(mut bytes: &'a [u8]) -> Result<Self> {
        let mut fields = Vec::new();
        while !bytes.is_empty() {
            let tag = varint(&mut bytes)?;
            let value = match tag & 7 {
                0 => Value::Number(varint(&mut bytes)?),
                1 => Value::Number(u64::from_le_bytes(
                    *take(&mut bytes, 8)?.first_chunk().context("no number")?,
                )),
                2 => {
                    let length = varint(&mut bytes)? as usize;
                    Value::Bytes(take(&mut bytes, length)?)
                }
                5 => Value::Number(u64::from(u32::from_le_bytes(
                    *take(&mut bytes, 4)?.first_chunk().context("no number")?,
                ))),
                other => bail!("wire type {other}"),
            };
            fields.push((tag >> 3, value));
        }
        Ok(Self(fields))
    }

    fn number(&self, field: u64) -> u64 {
        let found = self.0.iter().find_map(|(number, value)| match value {
            Value::Number(value) if *number == field => Some(*value),
            _ => None,
        });
        found.unwrap_or_default()
    }

    fn bytes(&self, field: u64) -> &'a [u8] {
        let found = self.0.iter().find_map(|(number, value)| match value {
            Value::Bytes(value) if *number == field => Some(*value),
            _ => None,
        });
        found.unwrap_or_default()
    }

    fn messages(&self, field: u64) -> Result<Vec<Message<'a>>> {
        let messages = self.0.iter().filter_map(|(number, value)| match value {
            Value::Bytes(value) if *number == field => Some(Message::read(value)),
            _ => None,
        });
        messages.collect()
    }
}

fn take<'a>(bytes: &mut &'a [u8], count: usize) -> Result<&'a [u8]> {
    let (taken, rest) = bytes.split_at_checked(count).context("a field is cut off")?;
    *bytes = rest;
    Ok(taken)
}

fn varint(bytes: &mut &[u8]) -> Result<u64> {
    let mut value = 0;
    for shift in (0..64).step_by(7) {
        let byte = *take(bytes, 1)?.first().context("no byte")?;
        value |= u64::from(byte & 0x7f) << shift;
        if byte < 0x80 {
            return Ok(value);
        }
    }
    bail!("a number has more than ten bytes")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fields_are_read_by_their_wire_types() {
        let bytes =
            [0x08, 0xac, 0x02, 0x12, 0x02, b'o', b'k', 0x1d, 1, 0, 0, 0, 0x21, 2, 0, 0, 0, 0, 0, 0, 0];
        let message = Message::read(&bytes).unwrap();
        assert_eq!((message.number(1), message.bytes(2)), (300, b"ok".as_slice()));
        assert_eq!((message.number(3), message.number(4), message.number(5)), (1, 2, 0));
        assert!(Message::read(&bytes[..20]).is_err());
        assert_eq!((zigzag(0), zigzag(1), zigzag(4)), (0, u64::MAX, 2));
    }
}
