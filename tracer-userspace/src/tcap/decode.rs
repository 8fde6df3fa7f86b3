//! From a batch back to observations. The bytes are whole (their checksum was right) but need not be ours: whatever does
//! not make sense is left out, and counted.

use std::net::IpAddr;
use std::sync::Arc;

use prost::Message;
use tracer_common::abi::ConnId;

use super::encode::runtime_name;
use super::fields::{Broken, Fields, Value};
use super::wire;
use crate::analysis::{Observation, Seen};
use crate::event::{Endpoints, Mover, Open, ProcessChange, Role, Scene, Stamp};
use crate::exchange::{
    self, Attribute, ExchangeId, Extra, Format, Handing, Handover, Kept, Outcome, Protocol, RequestHead,
    ResponseHead, Side, Step, Token, TraceContext, Trailer,
};
use crate::process::Window;
use crate::protocol::headers::MAX_KEPT;
use crate::protocol::tokens::MAX_TOKENS;
use crate::service::{Container, ContainerRuntime, EnvFacts, ProcessFacts, Runtime};
use crate::time::Nanos;

/// Connections, and texts, that a batch may list. Ours have a tenth of it; each costs more memory than bytes in the file.
const MAX_LIST: usize = 1 << 16;
/// Bytes of one observation. The longest that we write is a process with its command line, some 20 KiB.
const MAX_ITEM: usize = 1 << 20;
/// Attributes of one request. Ours have less than half of it.
const MAX_ATTRIBUTES: usize = 32;
/// Trace contexts of one request: one of each format.
const MAX_CONTEXTS: usize = 6;

/// A batch that is being read: its lists, and where its next observation stands.
#[derive(Debug, Default)]
pub(super) struct Decoder {
    base: u64,
    conns: Vec<ConnId>,
    texts: Vec<Arc<str>>,
    /// The batch.
    payload: Vec<u8>,
    /// Bytes of it that were read.
    read: usize,
}

impl Decoder {
    /// Takes a batch, and gives back the memory of the one before it.
    pub fn begin(&mut self, payload: Vec<u8>) -> Result<Vec<u8>, Broken> {
        let before = std::mem::replace(&mut self.payload, payload);
        self.base = 0;
        self.conns.clear();
        self.texts.clear();
        self.read = self.payload.len();
        let mut fields = Fields(&self.payload);
        while let Some((number, value)) = fields.next()? {
            match number {
                1 => self.base = value.fixed64().ok_or(Broken)?,
                2 | 3 if self.conns.len().max(self.texts.len()) >= MAX_LIST => return Err(Broken),
                2 => {
                    let conn = wire::Conn::decode(value.bytes().ok_or(Broken)?).map_err(|_| Broken)?;
                    self.conns.push(ConnId { sk: conn.name, born: conn.born });
                }
                3 => self.texts.push(Arc::from(value.text().ok_or(Broken)?)),
                _ => {}
            }
        }
        self.read = 0;
        Ok(before)
    }

    /// The next observation: `Some(None)` is one that makes no sense to this version, `None` the end of the batch.
    pub fn next(&mut self) -> Option<Option<Observation>> {
        let mut fields = Fields(self.payload.get(self.read..)?);
        while let Ok(Some((number, value))) = fields.next() {
            if number == 4 {
                let item = value.bytes().filter(|item| item.len() <= MAX_ITEM);
                let observation = item.and_then(|item| self.observation(item));
                self.read = self.payload.len() - fields.0.len();
                return Some(observation);
            }
        }
        self.read = self.payload.len();
        None
    }

    fn observation(&self, item: &[u8]) -> Option<Observation> {
        let mut fields = Fields(item);
        let mut found = None;
        // The last of them counts, as it does to everybody's decoders.
        while let Some(field) = fields.next().ok()? {
            if (1..=8).contains(&field.0) {
                found = Some(field);
            }
        }
        let (number, value) = found?;
        if number == 8 {
            return Some(Observation::Watermark(self.time(value.sint64()?)));
        }
        let message = value.bytes()?;
        Some(match number {
            1 => Observation::Open(Box::new(self.open(&wire::Open::decode(message).ok()?)?)),
            2 => Observation::Step(self.request(Fields(message))?),
            3 => Observation::Step(self.response(Fields(message))?),
            4 => Observation::Step(self.end(Fields(message))?),
            5 => {
                let close = wire::Close::decode(message).ok()?;
                Observation::Close { conn: self.conn(close.conn)?, at: self.time(close.at) }
            }
            6 => {
                let change = wire::Change::decode(message).ok()?;
                Observation::Change {
                    stamp: self.stamp(change.stamp),
                    change: match wire::What::try_from(change.what).ok()? {
                        wire::What::Fork => ProcessChange::Fork { parent: change.parent },
                        wire::What::Exec => ProcessChange::Exec,
                        wire::What::Exit => ProcessChange::Exit,
                    },
                    comm: change.comm.try_into().ok()?,
                }
            }
            7 => Observation::Process(Box::new(self.process(wire::Process::decode(message).ok()?)?)),
            _ => return None,
        })
    }

    fn time(&self, at: i64) -> Nanos {
        Nanos(self.base.wrapping_add(at as u64))
    }

    fn stamp(&self, stamp: wire::Stamp) -> Stamp {
        let wire::Stamp { at, tgid, tid, turn, waker, woken, task, parent_task, waker_turn } = stamp;
        let woken = if waker == 0 { Nanos(0) } else { self.time(woken) };
        Stamp {
            at: self.time(at),
            tgid,
            tid,
            scene: Scene { turn, waker, woken, waker_turn, task, parent_task },
        }
    }

    fn stamp_in(&self, value: Value<'_>) -> Option<Stamp> {
        let mut stamp = wire::Stamp::default();
        let mut fields = Fields(value.bytes()?);
        while let Some((number, value)) = fields.next().ok()? {
            match number {
                1 => stamp.at = value.sint64()?,
                2 => stamp.tgid = value.uint32()?,
                3 => stamp.tid = value.uint32()?,
                4 => stamp.turn = value.uint32()?,
                5 => stamp.waker = value.uint32()?,
                6 => stamp.woken = value.sint64()?,
                7 => stamp.task = value.uint64()?,
                8 => stamp.parent_task = value.uint64()?,
                9 => stamp.waker_turn = value.uint32()?,
                _ => {}
            }
        }
        Some(self.stamp(stamp))
    }

    fn conn(&self, number: u32) -> Option<ConnId> {
        self.conns.get(number as usize).copied()
    }

    fn exchange(&self, conn: u32, number: u32) -> Option<ExchangeId> {
        Some(ExchangeId { conn: self.conn(conn)?, number })
    }

    fn text(&self, number: u32) -> Option<Arc<str>> {
        self.texts.get(number as usize).cloned()
    }

    /// A text that may be missing, counted from 1. `None`: there is none of that number.
    fn optional(&self, number: u32) -> Option<Option<Arc<str>>> {
        match number.checked_sub(1) {
            Some(number) => self.text(number).map(Some),
            None => Some(None),
        }
    }

    /// [`wire::Attribute`].
    fn attribute(&self, value: Value<'_>) -> Option<Attribute> {
        let attribute = wire::Attribute::decode(value.bytes()?).ok()?;
        let key = self.text(attribute.key)?;
        let value = match attribute.text {
            Some(text) => exchange::Value::Text(text.into()),
            None => exchange::Value::Number(attribute.number),
        };
        Some(Attribute { key: key.to_string().into(), value })
    }

    /// [`wire::Request`].
    fn request(&self, mut fields: Fields<'_>) -> Option<Step> {
        let (mut conn, mut number, mut client, mut first) = (0, 0, false, 0);
        let (mut stamp, mut seq, mut method, mut target) = (self.stamp(wire::Stamp::default()), 0, 0, "");
        let (mut host, mut minor, mut traceparent, mut truncated) = (0u32, 0, [].as_slice(), false);
        let (mut protocol, mut is_message) = (Protocol::default(), false);
        let (mut extra, mut tokens, mut sources) = (Extra::default(), Vec::new(), Vec::new());
        let (mut handed, mut taken, mut keys) = (0, false, Vec::new());
        while let Some((field, value)) = fields.next().ok()? {
            match field {
                1 => conn = value.uint32()?,
                2 => number = value.uint32()?,
                3 => client = value.bool()?,
                4 => first = value.sint64()?,
                5 => stamp = self.stamp_in(value)?,
                6 => seq = value.fixed32()?,
                7 => method = value.uint32()?,
                8 => target = value.text()?,
                9 => host = value.uint32()?,
                10 => minor = value.uint32()?,
                11 => traceparent = value.bytes()?,
                12 => truncated = value.bool()?,
                14 if extra.contexts.len() < MAX_CONTEXTS => extra.contexts.extend(context(value)?),
                15 => repeated(value, &mut tokens, u64::from_le_bytes)?,
                16 => repeated(value, &mut sources, u32::from_le_bytes)?,
                17 => protocol = protocol_of(wire::Protocol::try_from(value.uint32()? as i32).ok()?),
                18 => is_message = value.bool()?,
                19 if extra.attributes.len() < MAX_ATTRIBUTES => {
                    extra.attributes.push(self.attribute(value)?)
                }
                20 => handed = value.uint32()?,
                21 => taken = value.bool()?,
                22 => repeated(value, &mut keys, u64::from_le_bytes)?,
                13 if extra.kept.len() < MAX_KEPT => extra.kept.push(self.kept(value)?),
                _ => {}
            }
        }
        if let Some((trace_id, span_id)) = traceparent.split_at_checked(16) {
            let trace_id = u128::from_be_bytes(trace_id.try_into().ok()?);
            extra.contexts.push(TraceContext::w3c(trace_id, u64::from_be_bytes(span_id.try_into().ok()?)));
        }
        if !extra.contexts.is_empty() {
            extra.contexts.sort_by_key(|context| context.format);
            extra.contexts.dedup_by_key(|context| context.format);
        }
        extra.tokens =
            tokens.iter().zip(&sources).map(|(value, from)| Token { value: *value, from: *from }).collect();
        if handed > 0 {
            keys.truncate(exchange::MAX_MESSAGES);
            let handing = if taken { Handing::Taken } else { Handing::Given };
            extra.handover = Some(Box::new(Handover { handing, count: handed, keys: keys.into() }));
        }
        Some(Step::Request {
            id: self.exchange(conn, number)?,
            side: if client { Side::Client } else { Side::Server },
            first: self.time(first),
            stamp,
            seq,
            head: RequestHead {
                protocol,
                is_message,
                method: self.text(method)?,
                target: Box::from(target),
                host: self.optional(host)?,
                minor_version: u8::try_from(minor).ok()?,
                truncated,
                extra: (extra != Extra::default()).then(|| Box::new(extra)),
            },
        })
    }

    /// [`wire::Kept`].
    fn kept(&self, value: Value<'_>) -> Option<Kept> {
        let kept = wire::Kept::decode(value.bytes()?).ok()?;
        Some(Kept { name: self.text(kept.name)?, value: kept.value.into_boxed_str() })
    }

    /// [`wire::Response`].
    fn response(&self, mut fields: Fields<'_>) -> Option<Step> {
        let (mut conn, mut number, mut stamp) = (0, 0, self.stamp(wire::Stamp::default()));
        let (mut seq, mut status, mut truncated, mut error) = (0, 0, false, 0);
        while let Some((field, value)) = fields.next().ok()? {
            match field {
                1 => conn = value.uint32()?,
                2 => number = value.uint32()?,
                3 => stamp = self.stamp_in(value)?,
                4 => seq = value.fixed32()?,
                5 => status = value.uint32()?,
                6 => truncated = value.bool()?,
                7 => error = value.uint32()?,
                _ => {}
            }
        }
        let error = self.optional(error)?;
        let head = ResponseHead { status: u16::try_from(status).ok()?, truncated, error };
        Some(Step::Response { id: self.exchange(conn, number)?, stamp, seq, head })
    }

    /// [`wire::End`].
    fn end(&self, mut fields: Fields<'_>) -> Option<Step> {
        let (mut conn, mut number, mut request_end, mut end) = (0, 0, 0, 0);
        let (mut request_bytes, mut response_bytes, mut outcome, mut by) = (0, 0, 0, Mover::default());
        let (mut status, mut error, mut request_by) = (None, 0, Mover::default());
        while let Some((field, value)) = fields.next().ok()? {
            match field {
                1 => conn = value.uint32()?,
                2 => number = value.uint32()?,
                3 => request_end = value.sint64()?,
                4 => end = value.sint64()?,
                5 => request_bytes = value.uint64()?,
                6 => response_bytes = value.uint64()?,
                7 => outcome = value.uint32()? as i32,
                8 => by.tid = value.uint32()?,
                9 => by.turn = value.uint32()?,
                10 => status = Some(u16::try_from(value.uint32()?).ok()?),
                11 => error = value.uint32()?,
                12 => request_by.tid = value.uint32()?,
                13 => request_by.turn = value.uint32()?,
                _ => {}
            }
        }
        Some(Step::End {
            trailer: Trailer { status, error: self.optional(error)? },
            id: self.exchange(conn, number)?,
            request_end: self.time(request_end),
            request_by,
            end: self.time(end),
            by,
            request_bytes,
            response_bytes,
            outcome: outcome_of(wire::Outcome::try_from(outcome).ok()?),
        })
    }

    fn open(&self, open: &wire::Open) -> Option<Open> {
        let address = |bytes: &[u8]| {
            let four = <[u8; 4]>::try_from(bytes).map(IpAddr::from);
            four.or_else(|_| <[u8; 16]>::try_from(bytes).map(IpAddr::from)).ok()
        };
        let endpoints = if open.local.is_empty() {
            Endpoints::Unix { peer: open.peer }
        } else {
            let (local, remote) = (address(&open.local)?, address(&open.remote)?);
            let local_port = u16::try_from(open.local_port).ok()?;
            let remote_port = u16::try_from(open.remote_port).ok()?;
            if open.datagram {
                Endpoints::Datagram { local, local_port, remote, remote_port }
            } else {
                Endpoints::Inet { local, local_port, remote, remote_port }
            }
        };
        Some(Open {
            conn: self.conn(open.conn)?,
            stamp: self.stamp(open.stamp),
            endpoints,
            netns: open.netns,
            inode: open.inode,
            role: match wire::Role::try_from(open.role).ok()? {
                wire::Role::Unseen => Role::Unseen,
                wire::Role::Active => Role::Active,
                wire::Role::Passive => Role::Passive,
            },
            birth: open.birth.map(|birth| self.stamp(birth)),
            // Payload: not in the file.
            peek: [0; _],
            peek_len: 0,
        })
    }

    fn process(&self, process: wire::Process) -> Option<Seen> {
        let container = process.container.map(|id| Container {
            id,
            runtime: runtime_of(&process.container_runtime),
            name: process.container_name,
        });
        let facts = ProcessFacts {
            pid: process.pid,
            ppid: process.ppid,
            start_ticks: process.start_ticks,
            kernel_thread: process.kernel_thread,
            exe: process.exe,
            exe_deleted: process.exe_deleted,
            comm: process.comm,
            args: process.args,
            env: EnvFacts {
                otel_service_name: process.otel_service_name,
                otel_resource_service_name: process.otel_resource_service_name,
                hostname: process.hostname,
                kubernetes: process.kubernetes,
            },
            cgroups: process.cgroups,
            container,
            in_pod: process.in_pod,
            pod_name: process.pod_name,
            unit: process.unit,
            listening: process.listening.into_iter().filter_map(|port| port.try_into().ok()).collect(),
            netns: process.netns,
            runtime: match &*process.runtime {
                "go" => Some(Runtime::Go),
                "" => None,
                _ => Some(Runtime::Other),
            },
            // Words for people, which nothing is decided from.
            missing: Vec::new(),
        };
        let window = Window { begin: self.time(process.begin), end: self.time(process.end) };
        (window.begin <= window.end).then_some(Seen { facts, window, moves_work: process.moves_work })
    }
}

/// [`wire::Context`]. `Some(None)`: of a format that this version does not know.
fn context(value: Value<'_>) -> Option<Option<TraceContext>> {
    let context = wire::Context::decode(value.bytes()?).ok()?;
    let format = match wire::Format::try_from(context.format) {
        Ok(wire::Format::W3c) => Format::W3c,
        Ok(wire::Format::B3) => Format::B3,
        Ok(wire::Format::Jaeger) => Format::Jaeger,
        Ok(wire::Format::Datadog) => Format::Datadog,
        Ok(wire::Format::Aws) => Format::Aws,
        Ok(wire::Format::SkyWalking) => Format::SkyWalking,
        Err(_) => return Some(None),
    };
    let trace_id = u128::from_be_bytes(context.trace.try_into().ok()?);
    Some(Some(TraceContext { format, trace_id, span_id: context.span, parent_id: context.parent }))
}

/// Numbers of one width: one by one, or several in one field (packed), as everybody's decoders take them.
fn repeated<T, const WIDTH: usize>(
    value: Value<'_>,
    into: &mut Vec<T>,
    read: impl Fn([u8; WIDTH]) -> T,
) -> Option<()> {
    let one;
    let bytes = match value {
        Value::Bytes(bytes) => bytes,
        Value::Fixed64(number) => {
            one = number.to_le_bytes();
            one.get(..WIDTH).filter(|_| WIDTH == 8)?
        }
        Value::Fixed32(number) => {
            one = u64::from(number).to_le_bytes();
            one.get(..WIDTH).filter(|_| WIDTH == 4)?
        }
        Value::Varint(_) => return None,
    };
    let (numbers, rest) = bytes.as_chunks::<WIDTH>();
    for number in numbers {
        if into.len() < MAX_TOKENS {
            into.push(read(*number));
        }
    }
    rest.is_empty().then_some(())
}

fn runtime_of(name: &str) -> ContainerRuntime {
    use ContainerRuntime::{Containerd, Crio, Docker, Lxc, Nspawn, Other, Podman};
    let all = [Docker, Podman, Containerd, Crio, Lxc, Nspawn];
    all.into_iter().find(|runtime| runtime_name(*runtime) == name).unwrap_or(Other)
}

fn outcome_of(outcome: wire::Outcome) -> Outcome {
    match outcome {
        wire::Outcome::Complete => Outcome::Complete,
        wire::Outcome::EndUnframed => Outcome::EndUnframed,
        wire::Outcome::Aborted => Outcome::Aborted,
        wire::Outcome::Unanswered => Outcome::Unanswered,
        wire::Outcome::Pending => Outcome::Pending,
        wire::Outcome::Streaming => Outcome::Streaming,
        wire::Outcome::ResponseUnseen => Outcome::ResponseUnseen,
        wire::Outcome::Upgraded => Outcome::Upgraded,
    }
}

fn protocol_of(protocol: wire::Protocol) -> Protocol {
    match protocol {
        wire::Protocol::Http1 => Protocol::Http1,
        wire::Protocol::Http2 => Protocol::Http2,
        wire::Protocol::Grpc => Protocol::Grpc,
        wire::Protocol::Fastcgi => Protocol::FastCgi,
        wire::Protocol::Postgresql => Protocol::PostgreSql,
        wire::Protocol::Mysql => Protocol::MySql,
        wire::Protocol::Redis => Protocol::Redis,
        wire::Protocol::Memcached => Protocol::Memcached,
        wire::Protocol::Mongodb => Protocol::MongoDb,
        wire::Protocol::Dns => Protocol::Dns,
        wire::Protocol::Amqp => Protocol::Amqp,
        wire::Protocol::Kafka => Protocol::Kafka,
    }
}
