//! The thread that delivers: one batch after the other, again where that helps.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use tokio::sync::{mpsc, watch};
use tokio::time::{sleep, sleep_until};

use super::answer::Answer;
use super::backoff::Backoff;
use super::batch::{Batch, Spans};
use super::client::Client;
use super::counts::Delivery;
use super::encode::encode;
use super::place::Place;
use super::queue::Taker;
use crate::export::formats::Host;
use crate::random::Random;

/// Delivers what is queued.
pub struct Worker {
    /// To whom.
    pub place: Place,
    /// By what.
    pub client: Client,
    /// What is known of this host.
    pub host: Host,
    /// What became of the spans.
    pub delivery: Arc<Mutex<Delivery>>,
    /// Nothing more is to come.
    pub closing: watch::Receiver<bool>,
    /// One batch given up is the end: whoever has the spans in a file can push them again.
    pub ends_with_failure: bool,
    /// Spreads the waits.
    pub random: Random,
    /// It was said that nothing is delivered.
    pub is_down: bool,
}

impl Worker {
    /// Until the queue is closed and empty.
    pub async fn run(mut self, mut queue: Taker) {
        if let Err(why) = self.client.probe().await {
            self.tell_down(&why);
        }
        let mut batch = Batch::default();
        loop {
            let full = match next(&mut queue, &batch).await {
                Next::Span(span) => batch.add(span, Instant::now()),
                Next::Due => Some(batch.take()),
                Next::Closed => break,
            };
            if let Some(full) = full
                && !self.deliver(full).await
                && self.ends_with_failure
            {
                return;
            }
        }
        self.deliver(batch.take()).await;
    }

    /// Delivers a batch; whether the collector took it, or said that it never will.
    async fn deliver(&mut self, spans: Spans) -> bool {
        if spans.is_empty() {
            return true;
        }
        let count = spans.len() as u64;
        let encoded = encode(self.place.language, &spans, &self.host);
        drop(spans);
        let begun = Instant::now();
        let mut backoff = Backoff::default();
        loop {
            let (why, after) = match self.client.send(&encoded).await {
                Answer::Taken => {
                    self.tell_up();
                    self.count(|delivery| delivery.delivered += count);
                    return true;
                }
                Answer::Partly { rejected, message } => {
                    self.tell_up();
                    self.partly(count, rejected, &message);
                    return true;
                }
                Answer::Refused { why } => {
                    self.tell_down(&why);
                    self.count(|delivery| delivery.lose(count, &why));
                    return !self.ends_with_failure;
                }
                Answer::Later { why, after } => (why, after),
            };
            self.tell_down(&why);
            let closing = *self.closing.borrow();
            let chance = (self.random.next() >> 11) as f64 / (1u64 << 53) as f64;
            let Some(wait) = backoff.after_failure(begun.elapsed(), after, closing, chance) else {
                self.count(|delivery| delivery.lose(count, &format!("given up: {why}")));
                return false;
            };
            // The end is another chance, unless the collector has said when to come back.
            if closing || after.is_some() {
                sleep(wait).await;
            } else {
                tokio::select! {
                    () = sleep(wait) => {}
                    _ = self.closing.changed() => {}
                }
            }
        }
    }

    fn partly(&self, count: u64, rejected: u64, message: &str) {
        let rejected = rejected.min(count);
        let message = if message.is_empty() { "it does not say why" } else { message };
        let why = format!("rejected: {message}");
        let is_new = {
            let mut delivery = self.delivery.lock().unwrap_or_else(PoisonError::into_inner);
            let is_new = !delivery.undelivered.contains_key(&why);
            delivery.delivered += count - rejected;
            delivery.lose(rejected, &why);
            is_new
        };
        if rejected == 0 {
            log::debug!("{}: {message}", self.place);
        } else if is_new {
            log::warn!("{} rejected {rejected} of {count} spans: {message}", self.place);
        }
    }

    fn count(&self, change: impl FnOnce(&mut Delivery)) {
        change(&mut self.delivery.lock().unwrap_or_else(PoisonError::into_inner));
    }

    /// Once, until something is delivered again.
    fn tell_down(&mut self, why: &str) {
        if !std::mem::replace(&mut self.is_down, true) {
            log::warn!(
                "pushing to {}: {why}; what cannot be delivered is counted, and nothing else waits for it",
                self.place
            );
        }
    }

    fn tell_up(&mut self) {
        if std::mem::take(&mut self.is_down) {
            log::warn!("pushing to {}: it takes spans now", self.place);
        }
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

/// Runs a worker until it is done, or until nobody waits for it any more.
pub async fn until_dropped(worker: Worker, queue: Taker, mut wanted: mpsc::Receiver<()>) {
    tokio::select! {
        () = worker.run(queue) => {}
        // Nothing is ever sent: it ends when the other side is dropped.
        _ = wanted.recv() => {}
    }
}
