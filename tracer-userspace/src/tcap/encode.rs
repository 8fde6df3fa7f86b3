//! From observations to a batch: texts and connections are listed once, times are relative.

use std::net::IpAddr;

use rustc_hash::FxHashMap;
use tracer_common::abi::ConnId;

use super::wire::{
    Attribute, Batch, Change, Close, Conn, Context, End, Format, Item, Kept, Kind, Open, Outcome, Process,
    Protocol, Request, Response, Role, Stamp, What,
};
use crate::analysis::{Observation, Seen};
use crate::event::{self, Endpoints, ProcessChange};
use crate::exchange::{self, Side, Step};
use crate::service::{ContainerRuntime, Runtime};
use crate::time::Nanos;

/// Builds a batch.
#[derive(Debug, Default)]
pub(super) struct Encoder {
    batch: Batch,
    texts: FxHashMap<String, u32>,
    conns: FxHashMap<ConnId, u32>,
    /// Bytes of the texts and items so far, about.
    weight: usize,
}

impl Encoder {
    /// Adds an observation. `now` becomes the base of an empty batch.
    pub fn add(&mut self, observation: &Observation, now: Nanos) {
        if self.batch.items.is_empty() {
            self.batch.base = now.0;
        }
        let kind = match observation {
            Observation::Open(open) => Kind::Open(self.open(open)),
            Observation::Step(Step::Request { id, side, first, stamp, seq, head }) => {
                Kind::Request(Request {
                    conn: self.conn(id.conn),
                    number: id.number,
                    client: *side == Side::Client,
                    first: self.time(*first),
                    stamp: self.stamp(*stamp),
                    seq: *seq,
                    method: self.text(&head.method),
                    target: self.owned(&head.target),
                    host: self.optional(head.host.as_deref()),
                    minor: head.minor_version.into(),
                    traceparent: head.contexts().iter().find(|context| is_traceparent(context)).map_or_else(
                        Vec::new,
                        |context| {
                            let ids = [&context.trace_id.to_be_bytes()[..], &context.span_id.to_be_bytes()];
                            ids.concat()
                        },
                    ),
                    truncated: head.truncated,
                    kept: head.kept().iter().map(|kept| self.kept(kept)).collect(),
                    contexts: head.contexts().iter().filter(|at| !is_traceparent(at)).map(context).collect(),
                    tokens: head.tokens().iter().map(|token| token.value).collect(),
                    token_sources: head.tokens().iter().map(|token| token.from).collect(),
                    protocol: protocol_of(head.protocol).into(),
                    message: head.is_message,
                    attributes: head.attributes().iter().map(|one| self.attribute(one)).collect(),
                    handed: head.handover().map_or(0, |handover| handover.count),
                    taken: head.is_taken(),
                    message_keys: head.handover().map_or_else(Vec::new, |handover| handover.keys.to_vec()),
                })
            }
            Observation::Step(Step::Response { id, stamp, seq, head }) => Kind::Response(Response {
                conn: self.conn(id.conn),
                number: id.number,
                stamp: self.stamp(*stamp),
                seq: *seq,
                status: head.status.into(),
                truncated: head.truncated,
                error: self.optional(head.error.as_deref()),
            }),
            Observation::Step(Step::End {
                id,
                request_end,
                request_by,
                end,
                by,
                request_bytes,
                response_bytes,
                outcome,
                trailer,
            }) => Kind::End(End {
                conn: self.conn(id.conn),
                number: id.number,
                request_end: self.time(*request_end),
                end: self.time(*end),
                request_bytes: *request_bytes,
                response_bytes: *response_bytes,
                outcome: outcome_of(*outcome).into(),
                by_tid: by.tid,
                by_turn: by.turn,
                request_tid: request_by.tid,
                request_turn: request_by.turn,
                status: trailer.status.map(u32::from),
                error: self.optional(trailer.error.as_deref()),
            }),
            Observation::Close { conn, at } => {
                Kind::Close(Close { conn: self.conn(*conn), at: self.time(*at) })
            }
            Observation::Change { stamp, change, comm } => {
                let (what, parent) = match change {
                    ProcessChange::Fork { parent } => (What::Fork, *parent),
                    ProcessChange::Exec => (What::Exec, 0),
                    ProcessChange::Exit => (What::Exit, 0),
                };
                let comm = comm.to_vec();
                Kind::Change(Change { stamp: self.stamp(*stamp), what: what.into(), parent, comm })
            }
            Observation::Process(seen) => Kind::Process(Box::new(self.process(seen))),
            Observation::Watermark(at) => Kind::Watermark(self.time(*at)),
        };
        self.weight += 48;
        self.batch.items.push(Item { kind: Some(kind) });
    }

    /// About so many bytes will it be.
    pub fn weight(&self) -> usize {
        self.weight
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.batch.items.is_empty()
    }

    /// The batch; the next one begins.
    pub fn take(&mut self) -> Batch {
        self.texts.clear();
        self.conns.clear();
        self.weight = 0;
        std::mem::take(&mut self.batch)
    }

    fn time(&self, at: Nanos) -> i64 {
        // Wraps around for times that are further than 292 years from the base, and back when it is read.
        at.0.wrapping_sub(self.batch.base) as i64
    }

    fn stamp(&self, stamp: event::Stamp) -> Stamp {
        let event::Scene { turn, waker, woken, waker_turn, task, parent_task } = stamp.scene;
        Stamp {
            at: self.time(stamp.at),
            tgid: stamp.tgid,
            tid: stamp.tid,
            turn,
            waker,
            woken: if waker == 0 { 0 } else { self.time(woken) },
            task,
            parent_task,
            waker_turn,
        }
    }

    fn text(&mut self, text: &str) -> u32 {
        if let Some(known) = self.texts.get(text) {
            return *known;
        }
        let number = u32::try_from(self.batch.texts.len()).unwrap_or(u32::MAX);
        let owned = self.owned(text);
        self.batch.texts.push(owned);
        self.texts.insert(text.to_owned(), number);
        number
    }

    /// A text that may be missing, counted from 1.
    fn optional(&mut self, text: Option<&str>) -> u32 {
        text.map_or(0, |text| self.text(text).saturating_add(1))
    }

    fn attribute(&mut self, attribute: &exchange::Attribute) -> Attribute {
        let (text, number) = match &attribute.value {
            exchange::Value::Text(text) => (Some(self.owned(text)), 0),
            exchange::Value::Number(number) => (None, *number),
        };
        Attribute { key: self.text(&attribute.key), text, number }
    }

    fn owned(&mut self, text: &str) -> String {
        self.weight += text.len();
        text.to_owned()
    }

    fn kept(&mut self, kept: &exchange::Kept) -> Kept {
        Kept { name: self.text(&kept.name), value: self.owned(&kept.value) }
    }

    fn conn(&mut self, conn: ConnId) -> u32 {
        let next = u32::try_from(self.batch.conns.len()).unwrap_or(u32::MAX);
        let number = *self.conns.entry(conn).or_insert(next);
        if number == next {
            self.weight += 18;
            self.batch.conns.push(Conn { name: conn.sk, born: conn.born });
        }
        number
    }

    fn open(&mut self, open: &event::Open) -> Open {
        let bytes = |address: &IpAddr| match address {
            IpAddr::V4(address) => address.octets().to_vec(),
            IpAddr::V6(address) => address.octets().to_vec(),
        };
        let (local, local_port, remote, remote_port, peer) = match &open.endpoints {
            Endpoints::Inet { local, local_port, remote, remote_port }
            | Endpoints::Datagram { local, local_port, remote, remote_port } => {
                (bytes(local), u32::from(*local_port), bytes(remote), u32::from(*remote_port), 0)
            }
            Endpoints::Unix { peer } => (Vec::new(), 0, Vec::new(), 0, *peer),
        };
        let role = match open.role {
            event::Role::Unseen => Role::Unseen,
            event::Role::Active => Role::Active,
            event::Role::Passive => Role::Passive,
        };
        Open {
            conn: self.conn(open.conn),
            stamp: self.stamp(open.stamp),
            local,
            local_port,
            remote,
            remote_port,
            peer,
            netns: open.netns,
            inode: open.inode,
            role: role.into(),
            birth: open.birth.map(|birth| self.stamp(birth)),
            datagram: matches!(open.endpoints, Endpoints::Datagram { .. }),
        }
    }

    fn process(&mut self, seen: &Seen) -> Process {
        let facts = &seen.facts;
        self.weight += facts.weight();
        let container = facts.container.as_ref();
        Process {
            begin: self.time(seen.window.begin),
            end: self.time(seen.window.end),
            moves_work: seen.moves_work,
            pid: facts.pid,
            ppid: facts.ppid,
            start_ticks: facts.start_ticks,
            kernel_thread: facts.kernel_thread,
            exe: facts.exe.clone(),
            exe_deleted: facts.exe_deleted,
            comm: facts.comm.clone(),
            args: facts.args.clone(),
            otel_service_name: facts.env.otel_service_name.clone(),
            otel_resource_service_name: facts.env.otel_resource_service_name.clone(),
            hostname: facts.env.hostname.clone(),
            kubernetes: facts.env.kubernetes,
            cgroups: facts.cgroups.clone(),
            container: container.map(|container| container.id.clone()),
            container_runtime: container.map_or("", |container| runtime_name(container.runtime)).to_owned(),
            container_name: container.and_then(|container| container.name.clone()),
            in_pod: facts.in_pod,
            pod_name: facts.pod_name.clone(),
            unit: facts.unit.clone(),
            listening: facts.listening.iter().map(|port| (*port).into()).collect(),
            netns: facts.netns,
            runtime: match facts.runtime {
                None => "",
                Some(Runtime::Go) => "go",
                Some(Runtime::Other) => "other",
            }
            .to_owned(),
            missing: facts
                .missing
                .iter()
                .map(|missing| format!("{}: {}", missing.part.label(), missing.reason))
                .collect(),
        }
    }
}

fn protocol_of(protocol: exchange::Protocol) -> Protocol {
    use exchange::Protocol as P;
    match protocol {
        P::Http1 => Protocol::Http1,
        P::Http2 => Protocol::Http2,
        P::Grpc => Protocol::Grpc,
        P::FastCgi => Protocol::Fastcgi,
        P::PostgreSql => Protocol::Postgresql,
        P::MySql => Protocol::Mysql,
        P::Redis => Protocol::Redis,
        P::Memcached => Protocol::Memcached,
        P::MongoDb => Protocol::Mongodb,
        P::Dns => Protocol::Dns,
        P::Amqp => Protocol::Amqp,
        P::Kafka => Protocol::Kafka,
    }
}

/// Whether it stands in the field of its own.
fn is_traceparent(context: &exchange::TraceContext) -> bool {
    context.format == exchange::Format::W3c
}

fn context(context: &exchange::TraceContext) -> Context {
    Context {
        format: match context.format {
            exchange::Format::W3c => Format::W3c,
            exchange::Format::B3 => Format::B3,
            exchange::Format::Jaeger => Format::Jaeger,
            exchange::Format::Datadog => Format::Datadog,
            exchange::Format::Aws => Format::Aws,
            exchange::Format::SkyWalking => Format::SkyWalking,
        }
        .into(),
        trace: context.trace_id.to_be_bytes().to_vec(),
        span: context.span_id,
        parent: context.parent_id,
    }
}

/// What a container's maker is called in the file.
pub(super) fn runtime_name(runtime: ContainerRuntime) -> &'static str {
    match runtime {
        ContainerRuntime::Docker => "docker",
        ContainerRuntime::Podman => "podman",
        ContainerRuntime::Containerd => "containerd",
        ContainerRuntime::Crio => "cri-o",
        ContainerRuntime::Lxc => "lxc",
        ContainerRuntime::Nspawn => "nspawn",
        ContainerRuntime::Other => "other",
    }
}

fn outcome_of(outcome: exchange::Outcome) -> Outcome {
    match outcome {
        exchange::Outcome::Complete => Outcome::Complete,
        exchange::Outcome::EndUnframed => Outcome::EndUnframed,
        exchange::Outcome::Aborted => Outcome::Aborted,
        exchange::Outcome::Unanswered => Outcome::Unanswered,
        exchange::Outcome::Pending => Outcome::Pending,
        exchange::Outcome::Streaming => Outcome::Streaming,
        exchange::Outcome::ResponseUnseen => Outcome::ResponseUnseen,
        exchange::Outcome::Upgraded => Outcome::Upgraded,
    }
}
