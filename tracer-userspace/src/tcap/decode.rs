//! From a batch back to observations. The bytes are whole (their checksum was right) but need not be ours: whatever does
//! not make sense is left out, and counted.

use std::net::IpAddr;
use std::sync::Arc;

use prost::Message;
use tracer_common::abi::ConnId;

use super::encode::runtime_name;
use super::fields::{Malformed, Value, first};
use super::wire::{self, Conn, Item, Kind};
use crate::analysis::{Observation, Seen};
use crate::event::{Endpoints, Open, ProcessChange, Role, Stamp};
use crate::exchange::{ExchangeId, Outcome, RequestHead, ResponseHead, Side, Step, TraceParent};
use crate::process::Window;
use crate::service::{Container, ContainerRuntime, EnvFacts, ProcessFacts, Runtime};
use crate::time::Nanos;

/// An observation that this version does not understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Unknown;

/// Connections, and texts, that a batch may list. Ours have a tenth of it; each costs more memory than bytes in the file.
const MAX_LIST: usize = 1 << 16;
/// Bytes of one observation. The longest that we write is a process with its command line, some 20 KiB.
const MAX_ITEM: usize = 1 << 20;

/// Fields of a batch.
const BASE: u64 = 1;
const CONNS: u64 = 2;
const TEXTS: u64 = 3;
const ITEMS: u64 = 4;

/// A batch with its lists made ready. Observations are decoded one at a time: decoded they can be a hundred times as large.
#[derive(Debug)]
pub(super) struct Decoder {
    base: u64,
    conns: Vec<ConnId>,
    texts: Vec<Arc<str>>,
    payload: Vec<u8>,
    /// How much of it was decoded.
    at: usize,
}

impl Decoder {
    /// Reads the lists.
    ///
    /// # Errors
    ///
    /// The bytes are no batch, or one that lists more than [`MAX_LIST`] connections or texts.
    pub fn new(payload: Vec<u8>) -> Result<Self, Malformed> {
        let (mut base, mut conns, mut texts) = (0, Vec::new(), Vec::new());
        let mut rest = &*payload;
        while let Some(field) = first(&mut rest)? {
            match field {
                (BASE, Value::Fixed64(value)) => base = value,
                (CONNS, Value::Bytes(bytes)) if conns.len() < MAX_LIST => {
                    let conn = Conn::decode(bytes).map_err(|_| Malformed)?;
                    conns.push(ConnId { sk: conn.name, born: conn.born });
                }
                (TEXTS, Value::Bytes(bytes)) if texts.len() < MAX_LIST => {
                    texts.push(Arc::from(std::str::from_utf8(bytes).map_err(|_| Malformed)?));
                }
                (ITEMS, Value::Bytes(_)) => {}
                (BASE | CONNS | TEXTS | ITEMS, _) => return Err(Malformed),
                _ => {}
            }
        }
        Ok(Self { base, conns, texts, payload, at: 0 })
    }

    /// The next observation, or [`Unknown`] for one that makes no sense to this version; `None` at the batch's end.
    pub fn next(&mut self) -> Option<Result<Observation, Unknown>> {
        loop {
            let mut rest = self.payload.get(self.at..)?;
            let field = first(&mut rest).ok()??;
            self.at = self.payload.len() - rest.len();
            if let (ITEMS, Value::Bytes(bytes)) = field {
                let item = (bytes.len() <= MAX_ITEM).then(|| Item::decode(bytes).ok()).flatten();
                return Some(item.and_then(|item| self.observation(item)).ok_or(Unknown));
            }
        }
    }

    /// The observation; `None` if it makes no sense to this version.
    fn observation(&self, item: Item) -> Option<Observation> {
        Some(match item.kind? {
            Kind::Open(open) => Observation::Open(Box::new(self.open(&open)?)),
            Kind::Request(request) => Observation::Step(self.request(request)?),
            Kind::Response(response) => Observation::Step(Step::Response {
                id: self.exchange(response.conn, response.number)?,
                stamp: self.stamp(response.stamp),
                seq: response.seq,
                head: ResponseHead {
                    status: u16::try_from(response.status).ok()?,
                    truncated: response.truncated,
                },
            }),
            Kind::End(end) => Observation::Step(Step::End {
                id: self.exchange(end.conn, end.number)?,
                request_end: self.time(end.request_end),
                end: self.time(end.end),
                request_bytes: end.request_bytes,
                response_bytes: end.response_bytes,
                outcome: outcome_of(wire::Outcome::try_from(end.outcome).ok()?),
            }),
            Kind::Close(close) => {
                Observation::Close { conn: self.conn(close.conn)?, at: self.time(close.at) }
            }
            Kind::Change(change) => Observation::Change {
                stamp: self.stamp(change.stamp),
                change: match wire::What::try_from(change.what).ok()? {
                    wire::What::Fork => ProcessChange::Fork { parent: change.parent },
                    wire::What::Exec => ProcessChange::Exec,
                    wire::What::Exit => ProcessChange::Exit,
                },
                comm: change.comm.try_into().ok()?,
            },
            Kind::Process(process) => Observation::Process(Box::new(self.process(*process)?)),
            Kind::Watermark(at) => Observation::Watermark(self.time(at)),
        })
    }

    fn time(&self, at: i64) -> Nanos {
        Nanos(self.base.wrapping_add(at as u64))
    }

    fn stamp(&self, stamp: wire::Stamp) -> Stamp {
        Stamp { at: self.time(stamp.at), tgid: stamp.tgid, tid: stamp.tid }
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

    fn request(&self, request: wire::Request) -> Option<Step> {
        let traceparent = match request.traceparent.split_at_checked(16) {
            Some((trace_id, parent_id)) => Some(TraceParent {
                trace_id: u128::from_be_bytes(trace_id.try_into().ok()?),
                parent_id: u64::from_be_bytes(parent_id.try_into().ok()?),
            }),
            None => None,
        };
        Some(Step::Request {
            id: self.exchange(request.conn, request.number)?,
            side: if request.client { Side::Client } else { Side::Server },
            first: self.time(request.first),
            stamp: self.stamp(request.stamp),
            seq: request.seq,
            head: RequestHead {
                method: self.text(request.method)?,
                target: request.target.into_boxed_str(),
                host: match request.host.checked_sub(1) {
                    Some(host) => Some(self.text(host)?),
                    None => None,
                },
                minor_version: u8::try_from(request.minor).ok()?,
                traceparent,
                truncated: request.truncated,
            },
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
            Endpoints::Inet {
                local: address(&open.local)?,
                local_port: u16::try_from(open.local_port).ok()?,
                remote: address(&open.remote)?,
                remote_port: u16::try_from(open.remote_port).ok()?,
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
