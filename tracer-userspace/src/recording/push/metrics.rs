//! Delivers metrics: every ten seconds, and at the end. What is delivered says all that was counted until then, so what was not is no gap as
//! long as a later one is.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::watch;
use tokio::time::{sleep, timeout};

use super::answer::Help;
use super::backoff::GIVE_UP;
use super::counts::{Delivery, Fates};
use super::encode;
use super::outlet::{Fate, Outlet, Patience};
use crate::export::formats::Host;
use crate::export::otlp_metrics::{Span, requests};
use crate::metrics::Scrape;
use crate::recording::live::Board;

/// So often. What is not taken by then is given up, because what comes next says more.
const EVERY: Duration = Duration::from_secs(10);
/// The recording thread turns every 50 ms, on a host that is not overloaded.
const COUNTS: Duration = Duration::from_secs(4);

/// Where the recording thread leaves what was counted.
pub type Counts = Arc<Board<Option<Arc<Scrape>>>>;

/// Delivers what is left on a board.
pub struct Reporter {
    /// By what.
    pub outlet: Arc<Outlet>,
    /// The board.
    pub counts: Counts,
    /// What is known of this host.
    pub host: Host,
    /// What became of the data points.
    pub delivery: Arc<Mutex<Delivery>>,
    /// Nothing more is to come: what is on the board then is the last.
    pub closing: watch::Receiver<bool>,
    /// When counting began.
    pub began: SystemTime,
    /// Becomes true when it is known that nobody takes metrics.
    pub is_over: Arc<AtomicBool>,
}

impl Reporter {
    /// Until the last was delivered, or not; or until it is known that nobody takes metrics.
    pub async fn run(mut self) {
        let mut left = self.counts.subscribe();
        loop {
            let is_last = tokio::select! {
                () = sleep(EVERY) => false,
                // It is only ever set, or gone with whoever could.
                _ = self.closing.wait_for(|closing| *closing) => true,
            };
            if !is_last {
                self.counts.ask();
                // Too busy to answer, or at its end.
                let Ok(Ok(())) = timeout(COUNTS, left.changed()).await else { continue };
            }
            let Some(scrape) = left.borrow_and_update().clone() else {
                if is_last {
                    return;
                }
                continue;
            };
            let is_taken = self.deliver(&scrape, is_last).await;
            if is_last || !is_taken {
                return;
            }
        }
    }

    /// Whether it is any use to go on.
    async fn deliver(&self, scrape: &Scrape, is_last: bool) -> bool {
        let times = Span { start: nanos(self.began), end: nanos(SystemTime::now()) };
        let patience = if is_last {
            Patience { give_up: GIVE_UP, ends_early: false }
        } else {
            Patience { give_up: EVERY, ends_early: true }
        };
        let requests = requests(scrape, &self.host, times);
        if !is_last {
            // The last is counted by whoever leaves it.
            let all: u64 = requests.iter().map(|(_, points)| points).sum();
            self.count(|fates| fates.given += all);
        }
        for (request, points) in requests {
            let body = encode::metrics(self.outlet.language(), &request);
            match self.outlet.send(&body, patience).await {
                Fate::Taken { rejected, message } => {
                    let rejected = rejected.min(points);
                    let message = if message.is_empty() { "it does not say why" } else { &message };
                    if rejected > 0 {
                        log::debug!("the collector rejected {rejected} of {points} data points: {message}");
                    }
                    self.count(|fates| {
                        fates.delivered += points - rejected;
                        fates.lose(rejected, &format!("rejected: {message}"));
                    });
                }
                Fate::Refused { why, help: Help::Nothing | Help::PlainOrNothing } => {
                    log::warn!("no metrics are pushed any more: {why}; the spans go on without them");
                    // All of them: of the others nothing will be heard.
                    self.count(|fates| fates.lose_rest(&why));
                    self.is_over.store(true, Ordering::Release);
                    return false;
                }
                Fate::Refused { why, .. } => {
                    self.outlet.tell_down(&why);
                    self.count(|fates| fates.lose(points, &why));
                }
                Fate::GivenUp { why } => self.count(|fates| fates.lose(points, &format!("given up: {why}"))),
            }
        }
        true
    }

    fn count(&self, change: impl FnOnce(&mut Fates)) {
        let mut delivery = self.delivery.lock().unwrap_or_else(PoisonError::into_inner);
        change(delivery.points.get_or_insert_default());
    }
}

fn nanos(time: SystemTime) -> u64 {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_nanos()).unwrap_or(u64::MAX)
}
