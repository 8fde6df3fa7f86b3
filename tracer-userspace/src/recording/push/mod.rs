//! To a collector while they are found: spans, by OTLP over HTTP and gRPC or as Zipkin has them, and by OTLP metrics.
//!
//! Whoever makes spans ([`Push::span`]) puts them into a bounded queue and never waits for the collector; a thread of its own takes them
//! out, makes batches, and sends them, several at once, again where the collector may take it later. Metrics wait in no queue: those that are counted last
//! say all that others would have said. What is lost on the way is counted by reason, and the sums close: each span is delivered, or lost
//! for a reason that is told.
//!
//! `place`, `headers` and `tls` are what the user says; `batch`, `backoff`, `answer` and `encode` decide, and know no clock; `queue`, `spans`, `metrics`,
//! `outlet`, `client` and `connect` do it.

mod answer;
mod backoff;
mod batch;
mod client;
mod codec;
mod connect;
mod counts;
mod encode;
pub mod headers;
mod metrics;
mod outlet;
pub mod place;
mod queue;
mod spans;
#[cfg(test)]
mod tests;
pub mod tls;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self as std_mpsc, RecvTimeoutError};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result};
use tokio::sync::{mpsc, watch};

use self::client::{Client, Signal};
use self::headers::Headers;
use self::metrics::{Counts, Reporter};
use self::outlet::Outlet;
use self::place::Place;
use self::queue::{Full, Giver, queue};
use self::spans::Deliverer;
use self::tls::Authorities;
use super::live::Board;
use super::own_calls::OwnCalls;
use crate::export::formats::Host;
use crate::export::otlp_metrics::points;
use crate::metrics::Scrape;
use crate::random::Random;

pub use self::counts::{Delivery, Fates};

/// At the end of a recording, what is queued is delivered within this time or not at all.
const FLUSH: Duration = Duration::from_secs(5);
/// If it takes longer than this, the user is told what is being waited for.
const SOON: Duration = Duration::from_secs(1);
/// What pushing keeps in memory at most: the queue, what is under way, and a batch that is being made, in three forms. Bytes.
pub const MEMORY: u64 = (queue::BYTES + spans::MEMORY + (4 << 20)) as u64;

/// Where to, and how.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The collector.
    pub place: Place,
    /// What goes along.
    pub headers: Headers,
    /// Whose signature makes its certificate good.
    pub authorities: Authorities,
    /// Bodies are compressed, unless the collector does not take them so.
    pub compresses: bool,
    /// Metrics are pushed, too, where the collector's language has words for them.
    pub metrics: bool,
}

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
    /// Where counts are left.
    counts: Option<Counts>,
    /// Nobody takes metrics.
    metrics_are_over: Arc<AtomicBool>,
    closing: watch::Sender<bool>,
    /// The thread has nothing left, or nobody wants to wait for it any longer.
    ended: std_mpsc::Receiver<Ended>,
    hurry: Hurry,
    /// Dropping it ends the thread, at whatever it is.
    _wanted: mpsc::Sender<()>,
}

/// How the delivery of the last of it ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Ended {
    Done,
    Hurried,
}

/// Ends the wait for the last of it.
#[derive(Clone, Debug)]
pub struct Hurry {
    is_waited_for: Arc<AtomicBool>,
    ended: std_mpsc::Sender<Ended>,
}

impl Hurry {
    /// Ends it, if that is what is going on.
    pub fn up(&self) -> bool {
        self.is_waited_for.load(Ordering::Acquire) && self.ended.send(Ended::Hurried).is_ok()
    }
}

impl Push {
    /// Starts the thread. Where the collector does not answer it says so, and goes on trying.
    ///
    /// # Errors
    ///
    /// When no thread can be started, or TLS is wanted and this host has no certificates of authorities.
    pub fn start(settings: Settings, calls: OwnCalls, host: Host, pace: Pace) -> Result<Self> {
        let Settings { place, headers, authorities, compresses, metrics } = settings;
        let has_metrics = metrics && pace == Pace::Live && place.metrics.is_some();
        let delivery = Delivery {
            to: place.to_string(),
            spans: Fates::default(),
            points: has_metrics.then(Fates::default),
        };
        let delivery = Arc::new(Mutex::new(delivery));
        let client = Arc::new(Client::new(place, headers, &authorities, calls)?);
        let (closing, is_closing) = watch::channel(false);
        let (wanted, is_wanted) = mpsc::channel(1);
        let (tell, ended) = std_mpsc::channel();
        let hurry = Hurry { is_waited_for: Arc::default(), ended: tell.clone() };
        let (giver, taker) = queue();
        let began = SystemTime::now();
        let since = began.duration_since(UNIX_EPOCH).unwrap_or_default();
        let mut random = Random::new(u64::from(since.subsec_nanos()) << 32 | u64::from(std::process::id()));
        let mut outlet = |signal| {
            let random = Random::new(random.next());
            Arc::new(Outlet::new(Arc::clone(&client), signal, compresses, is_closing.clone(), random))
        };
        let deliverer =
            Deliverer::new(outlet(Signal::Spans), host.clone(), Arc::clone(&delivery), pace == Pace::Patient);
        let counts: Option<Counts> = has_metrics.then(|| Arc::new(Board::new(None)));
        let metrics_are_over: Arc<AtomicBool> = Arc::default();
        let reporter = counts.as_ref().map(|counts| Reporter {
            outlet: outlet(Signal::Metrics),
            counts: Arc::clone(counts),
            host,
            delivery: Arc::clone(&delivery),
            closing: is_closing.clone(),
            began,
            is_over: Arc::clone(&metrics_are_over),
        });
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot set up the network for --push")?;
        std::thread::Builder::new()
            .name("tracer-push".to_owned())
            .spawn(move || {
                runtime.block_on(until_dropped(deliverer.run(taker), reporter, is_wanted));
                // A name may still be looked up; nobody waits for that.
                runtime.shutdown_background();
                // Nobody listens when time was up.
                let _ = tell.send(Ended::Done);
            })
            .context("cannot start a thread for --push")?;
        Ok(Self {
            giver,
            pace,
            delivery,
            given: 0,
            dropped: 0,
            counts,
            metrics_are_over,
            closing,
            ended,
            hurry,
            _wanted: wanted,
        })
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

    /// Whether metrics are pushed.
    pub fn has_metrics(&self) -> bool {
        self.counts.is_some()
    }

    /// Leaves what was counted so far, if it is time to push it.
    pub fn metrics(&self, make: impl FnOnce() -> Scrape) {
        if let Some(counts) = &self.counts {
            counts.answer(|| Some(Arc::new(make())));
        }
    }

    /// What ends the wait that [`Push::finish`] is.
    pub fn hurry(&self) -> Hurry {
        self.hurry.clone()
    }

    /// There are no more; `last` is what was counted to the end. Waits for what is queued, as long as the pace allows, and tells what became of
    /// all of them.
    pub fn finish(self, last: Option<Scrape>) -> Delivery {
        let Self {
            giver,
            pace,
            delivery,
            given,
            dropped,
            counts,
            metrics_are_over,
            closing,
            ended,
            hurry,
            _wanted,
        } = self;
        let lock = || delivery.lock().unwrap_or_else(PoisonError::into_inner);
        if let (Some(counts), Some(last)) = (counts, last)
            && !metrics_are_over.load(Ordering::Acquire)
        {
            if let Some(fates) = &mut lock().points {
                fates.given += points(&last);
            }
            counts.leave(Some(Arc::new(last)));
        }
        hurry.is_waited_for.store(true, Ordering::Release);
        // Nobody listens when it is done already.
        let _ = closing.send(true);
        drop(giver);
        let ended = match pace {
            Pace::Live => match ended.recv_timeout(SOON) {
                Err(RecvTimeoutError::Timeout) => {
                    let (to, rest) = (lock().to.clone(), FLUSH - SOON);
                    log::warn!(
                        "pushing to {to}: it has {} s more to take the rest; Ctrl-C ends that",
                        rest.as_secs()
                    );
                    ended.recv_timeout(rest)
                }
                ended => ended,
            },
            Pace::Patient => ended.recv().map_err(|_| RecvTimeoutError::Disconnected),
        };
        let mut delivery = lock().clone();
        let Delivery { spans, points, .. } = &mut delivery;
        spans.given = given;
        spans.lose(dropped, "the queue was full: it takes spans more slowly than they come");
        let why = match ended {
            Ok(Ended::Done) => "not tried any more after others had failed".to_owned(),
            Ok(Ended::Hurried) => "not confirmed when a second signal ended the wait".to_owned(),
            Err(_) => format!("not confirmed {} s after the end of the recording", FLUSH.as_secs()),
        };
        spans.lose_rest(&why);
        if let Some(points) = points {
            points.lose_rest(&why);
        }
        delivery
    }
}

/// Runs both until they are done, or until nobody waits for them any more.
async fn until_dropped(
    spans: impl Future<Output = ()>,
    reporter: Option<Reporter>,
    mut wanted: mpsc::Receiver<()>,
) {
    let metrics = async {
        if let Some(reporter) = reporter {
            reporter.run().await;
        }
    };
    tokio::select! {
        ((), ()) = async { tokio::join!(spans, metrics) } => {}
        // Nothing is ever sent: it ends when the other side is dropped.
        _ = wanted.recv() => {}
    }
}
