//! What the engine made of a world, and how it compares with the truth.

use std::collections::BTreeMap;

use super::scenario::{World, X};
use crate::causality::Evidence;
use crate::trace::{Span, SpanId, Stats};

/// What came out.
pub struct Out {
    pub spans: Vec<Span>,
    pub stats: Stats,
    pub json: Vec<u8>,
    pub(super) ids: BTreeMap<X, (Option<SpanId>, Option<SpanId>)>,
}

/// How the calls of one process were linked.
#[derive(Debug, Default, PartialEq, Eq, Clone, Copy)]
pub struct Score {
    pub right: u32,
    pub wrong: u32,
    pub absent: u32,
}

impl Score {
    pub fn share(&self) -> f64 {
        f64::from(self.right) / f64::from((self.right + self.wrong + self.absent).max(1))
    }
}

impl Out {
    pub fn client(&self, x: X) -> &Span {
        self.by_id(self.ids[&x].0.unwrap())
    }

    pub fn server(&self, x: X) -> &Span {
        self.by_id(self.ids[&x].1.unwrap())
    }

    fn by_id(&self, id: SpanId) -> &Span {
        let mut found = self.spans.iter().filter(|span| span.span_id == id);
        let span = found.next().expect("the span was given out");
        assert!(found.next().is_none(), "once");
        span
    }

    pub fn evidence(&self, x: X) -> Vec<&'static str> {
        self.client(x).tags.evidence.iter().map(Evidence::name).collect()
    }

    pub fn reason(&self, x: X) -> String {
        self.client(x).tags.reason.map(|reason| reason.to_string()).unwrap_or_default()
    }

    /// Whether the call's parent is the request.
    pub fn is_child(&self, call: X, request: X) -> bool {
        let (call, request) = (self.client(call), self.server(request));
        call.parent_span_id == Some(request.span_id) && call.trace_id == request.trace_id
    }

    /// Counts right, wrong and absent parents of the client spans of a process, and checks that every server span
    /// with an observed client has it as parent.
    pub fn score(&self, world: &World, pid: u32) -> Score {
        let by_id: BTreeMap<SpanId, &Span> = self.spans.iter().map(|span| (span.span_id, span)).collect();
        assert_eq!(by_id.len(), self.spans.len(), "every span once");
        let mut score = Score::default();
        let told = |id: &Option<SpanId>| id.filter(|id| !world.cut || by_id.contains_key(id));
        for (x, (client, server)) in &self.ids {
            let (client, server) = (&told(client), &told(server));
            if let (Some(client), Some(server)) = (client, server) {
                assert_eq!(by_id[server].parent_span_id, Some(*client), "{x:?} joined");
                assert_eq!(by_id[server].trace_id, by_id[client].trace_id);
            }
            let Some(client) = client.filter(|_| world.pipes[x.0].client.as_ref().unwrap().pid == pid) else {
                continue;
            };
            let truth = world.truth.get(x).map(|request| self.ids[request].1.unwrap());
            match by_id[&client].parent_span_id {
                None => {
                    score.absent += 1;
                    if std::env::var_os("WHY").is_some() {
                        eprintln!(
                            "absent: {x:?} {} {} {:?}",
                            by_id[&client].start_time, by_id[&client].tags.url, by_id[&client].tags.reason
                        );
                    }
                }
                parent if parent == truth => score.right += 1,
                _ => {
                    eprintln!("wrong: {:?}\n  truth {:?}", by_id[&client], world.truth.get(x));
                    score.wrong += 1;
                }
            }
        }
        score
    }
}
