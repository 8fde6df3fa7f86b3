//! Spans to a collector while they are found: OTLP over HTTP and gRPC, and Zipkin.
//!
//! Whoever makes spans ([`Push::span`]) puts them into a bounded queue and never waits for the collector; a thread of its own takes them
//! out, makes batches, and sends one after the other, again where the collector may take it later. What is lost on the way is counted by
//! reason, and the sums close: each span is delivered, or lost for a reason that is told.
//!
//! `place` and `headers` are what the user says; `batch`, `backoff` and `answer` decide, and know no clock; `queue`, `worker`, `client`
//! and `connect` do it.

mod answer;
mod backoff;
mod batch;
mod client;
mod connect;
mod counts;
mod encode;
pub mod headers;
pub mod place;
mod queue;
mod worker;

use std::sync::mpsc as std_mpsc;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use tokio::sync::{mpsc, watch};

use self::client::Client;
use self::headers::Headers;
use self::place::Place;
use self::queue::{Full, Giver, queue};
use self::worker::{Worker, until_dropped};
use super::own_calls::OwnCalls;
use crate::export::formats::Host;
use crate::random::Random;

pub use self::counts::Delivery;

/// At the end of a recording, what is queued is delivered within this time or not at all.
const FLUSH: Duration = Duration::from_secs(5);
/// What pushing keeps in memory at most: the queue, and a batch in three forms. Bytes.
pub const MEMORY: u64 = 16 << 20;

/// Whether whoever makes spans may wait for the collector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Pace {
    /// Never: what does not fit into the queue is dropped. At the end the collector has five seconds.
    Live,
    /// Yes, they come from a file; if the collector takes a batch for good not, it is over.
    Patient,
}

/// Where spans are handed over.
pub struct Push {
    giver: Giver,
    pace: Pace,
    delivery: Arc<Mutex<Delivery>>,
    /// Spans that were to be pushed.
    given: u64,
    dropped: u64,
    closing: watch::Sender<bool>,
    /// The thread has nothing left.
    done: std_mpsc::Receiver<()>,
    /// Dropping it ends the thread, at whatever it is.
    _wanted: mpsc::Sender<()>,
}

impl Push {
    /// Starts the thread. Where the collector does not answer it says so, and goes on trying.
    ///
    /// # Errors
    ///
    /// When no thread can be started, or TLS is wanted and this host has no certificates of authorities.
    pub fn start(place: &Place, headers: &Headers, calls: OwnCalls, host: Host, pace: Pace) -> Result<Self> {
        let client = Client::new(place.clone(), headers.clone(), calls)?;
        let delivery = Arc::new(Mutex::new(Delivery::new(place.to_string())));
        let (closing, is_closing) = watch::channel(false);
        let (wanted, is_wanted) = mpsc::channel(1);
        let (tell_done, done) = std_mpsc::channel();
        let (giver, taker) = queue();
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let worker = Worker {
            place: place.clone(),
            client,
            host,
            delivery: Arc::clone(&delivery),
            closing: is_closing,
            ends_with_failure: pace == Pace::Patient,
            random: Random::new(u64::from(now.subsec_nanos()) << 32 | u64::from(std::process::id())),
            is_down: false,
        };
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot set up the network for --push")?;
        std::thread::Builder::new()
            .name("tracer-push".to_owned())
            .spawn(move || {
                runtime.block_on(until_dropped(worker, taker, is_wanted));
                // A name may still be looked up; nobody waits for that.
                runtime.shutdown_background();
                // Nobody listens when time was up.
                let _ = tell_done.send(());
            })
            .context("cannot start a thread for --push")?;
        Ok(Self { giver, pace, delivery, given: 0, dropped: 0, closing, done, _wanted: wanted })
    }

    /// Hands over a span, as trace JSON.
    pub fn span(&mut self, json: &[u8]) {
        self.given += 1;
        let given = match self.pace {
            Pace::Live => self.giver.try_give(json.into()),
            Pace::Patient => self.giver.give(json.into()),
        };
        match given {
            // Its thread has ended, and what it did not take is counted as such.
            Ok(()) | Err(Full::Over) => {}
            Err(Full::Full) => self.dropped += 1,
        }
    }

    /// Whether nothing is taken any more.
    pub fn is_over(&self) -> bool {
        matches!(self.pace, Pace::Patient) && self.giver.is_over()
    }

    /// There are no more. Waits for what is queued, as long as the pace allows, and tells what became of all of them.
    pub fn finish(self) -> Delivery {
        let Self { giver, pace, delivery, given, dropped, closing, done, _wanted } = self;
        // Nobody listens when it is done already.
        let _ = closing.send(true);
        drop(giver);
        let is_done = match pace {
            Pace::Live => done.recv_timeout(FLUSH).is_ok(),
            Pace::Patient => done.recv().is_ok(),
        };
        let mut delivery = delivery.lock().unwrap_or_else(PoisonError::into_inner).clone();
        delivery.lose(dropped, "the queue was full: it takes spans more slowly than they come");
        let rest = given.saturating_sub(delivery.delivered + delivery.lost());
        let why = if is_done {
            "not tried any more after others had failed".to_owned()
        } else {
            format!("not confirmed {} s after the end of the recording", FLUSH.as_secs())
        };
        delivery.lose(rest, &why);
        delivery
    }
}
