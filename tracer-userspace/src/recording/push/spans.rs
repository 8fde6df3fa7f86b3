//! Delivers spans: batches, several under way at once, because a far collector answers late.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::Semaphore;
use tokio::task::JoinSet;
use tokio::time::sleep_until;

use super::answer::Help;
use super::backoff::GIVE_UP;
use super::batch::{Batch, Spans};
use super::counts::Delivery;
use super::encode;
use super::outlet::{Fate, Outlet, Patience};
use super::queue::Taker;
use crate::export::formats::Host;

/// So many batches are under way at once,
const BATCHES: usize = 8;
/// each of so many bytes of trace JSON, or fewer that are larger.
const BYTES: usize = 512 << 10;
/// What that takes in memory at most, with each batch as JSON and in the collector's form, bytes.
pub const MEMORY: usize = 2 * BATCHES * BYTES;

/// Delivers what is queued.
pub struct Deliverer {
    /// By what.
    pub outlet: Arc<Outlet>,
    /// What is known of this host.
    pub host: Host,
    /// What became of the spans.
    pub delivery: Arc<Mutex<Delivery>>,
    /// A batch that is not taken is the end: whoever has the spans in a file can push them again.
    pub ends_with_failure: bool,
    /// More than so many spans are too many for the collector.
    most: AtomicUsize,
    has_failed: AtomicBool,
}

impl Deliverer {
    /// Nothing is delivered yet.
    pub fn new(
        outlet: Arc<Outlet>,
        host: Host,
        delivery: Arc<Mutex<Delivery>>,
        ends_with_failure: bool,
    ) -> Self {
        Self {
            outlet,
            host,
            delivery,
            ends_with_failure,
            most: AtomicUsize::new(usize::MAX),
            has_failed: AtomicBool::new(false),
        }
    }

    /// Until the queue is closed and empty and all has been delivered, or not.
    pub async fn run(self, mut queue: Taker) {
        self.outlet.probe().await;
        let this = Arc::new(self);
        let room = Arc::new(Semaphore::new(BATCHES));
        let mut under_way = JoinSet::new();
        let mut batch = Batch::default();
        let mut is_closed = false;
        while !is_closed {
            let full = match next(&mut queue, &batch).await {
                Next::Span(span) => batch.add(span, Instant::now()),
                Next::Due => Some(batch.take()),
                Next::Closed => {
                    is_closed = true;
                    Some(batch.take())
                }
            };
            let Some(full) = full.filter(|full| !full.is_empty()) else { continue };
            let bytes: usize = full.iter().map(|span| span.len()).sum();
            let share = u32::try_from(bytes.div_ceil(BYTES).clamp(1, BATCHES)).unwrap_or(1);
            // It is never closed. What waits for room fills the queue, which does not grow.
            let Ok(place) = Arc::clone(&room).acquire_many_owned(share).await else { break };
            while under_way.try_join_next().is_some() {}
            if this.has_failed.load(Ordering::Relaxed) {
                break;
            }
            let this = Arc::clone(&this);
            under_way.spawn(async move {
                this.deliver(full).await;
                drop(place);
            });
        }
        // Nobody gives any more, or is told that it is over.
        drop(queue);
        while under_way.join_next().await.is_some() {}
    }

    async fn deliver(&self, spans: Spans) {
        // What is too large becomes smaller, and then comes first.
        let mut rest = vec![spans];
        while let Some(mut spans) = rest.pop() {
            let most = self.most.load(Ordering::Relaxed);
            if spans.len() > most {
                rest.push(spans.split_off(most));
            }
            let count = spans.len() as u64;
            let body = encode::spans(self.outlet.language(), &spans, &self.host);
            let patience = Patience { give_up: GIVE_UP, ends_early: false };
            match self.outlet.send(&body, patience).await {
                Fate::Taken { rejected, message } => self.taken(count, rejected, &message),
                Fate::Refused { help: Help::Less, .. } if spans.len() > 1 => {
                    self.most.fetch_min(spans.len() / 2, Ordering::Relaxed);
                    rest.push(spans);
                }
                Fate::Refused { why, help } => {
                    self.outlet.tell_down(&why);
                    self.count(|delivery| delivery.spans.lose(count, &why));
                    // One that is too large says nothing about others.
                    self.fail(help != Help::Less);
                }
                Fate::GivenUp { why } => {
                    self.count(|delivery| delivery.spans.lose(count, &format!("given up: {why}")));
                    self.fail(true);
                }
            }
        }
    }

    fn taken(&self, count: u64, rejected: u64, message: &str) {
        let rejected = rejected.min(count);
        let message = if message.is_empty() { "it does not say why" } else { message };
        let why = format!("rejected: {message}");
        let mut is_new = false;
        self.count(|delivery| {
            is_new = !delivery.spans.undelivered.contains_key(&why);
            delivery.spans.delivered += count - rejected;
            delivery.spans.lose(rejected, &why);
        });
        if rejected > 0 && is_new {
            log::warn!("the collector rejected {rejected} of {count} spans: {message}");
        }
    }

    fn fail(&self, is_the_end: bool) {
        if is_the_end && self.ends_with_failure {
            self.has_failed.store(true, Ordering::Relaxed);
        }
    }

    fn count(&self, change: impl FnOnce(&mut Delivery)) {
        change(&mut self.delivery.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

/// What happens next.
enum Next {
    Span(Box<[u8]>),
    Due,
    Closed,
}

async fn next(queue: &mut Taker, batch: &Batch) -> Next {
    let due = async {
        match batch.due() {
            Some(due) => sleep_until(due.into()).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        span = queue.take() => span.map_or(Next::Closed, Next::Span),
        () = due => Next::Due,
    }
}
