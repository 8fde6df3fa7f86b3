//! How one sort of thing gets out: tried again where that helps, and once more in another way where that does.
//!
//! Several may be under way at once. While nothing gets through, they ask one after the other.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use tokio::sync::watch;
use tokio::time::{sleep, sleep_until};

use super::answer::{Answer, Help};
use super::backoff::Backoff;
use super::client::{Client, Signal};
use super::place::Language;
use crate::random::Random;

/// What became of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fate {
    /// It was taken, but for so many, and this is what the collector says to it.
    Taken {
        /// Not taken.
        rejected: u64,
        /// Why; empty if it does not say.
        message: String,
    },
    /// It is never taken.
    Refused {
        /// Why not.
        why: String,
        /// What may help.
        help: Help,
    },
    /// It was tried for long enough.
    GivenUp {
        /// Why it was not taken the last time.
        why: String,
    },
}

/// Until when something is tried.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// For so long,
    pub give_up: Duration,
    /// and not beyond the end of the recording, because what comes then takes its place.
    pub ends_early: bool,
}

/// For spans, or for metrics.
pub struct Outlet {
    client: Arc<Client>,
    signal: Signal,
    closing: watch::Receiver<bool>,
    compresses: AtomicBool,
    state: Mutex<State>,
    /// Whose turn it is to ask while nothing gets through.
    turn: tokio::sync::Mutex<()>,
}

#[derive(Debug)]
struct State {
    /// It was said that nothing gets through.
    is_down: bool,
    /// The collector does not want to be asked before.
    not_before: Option<Instant>,
    /// Spreads the waits.
    random: Random,
}

impl Outlet {
    /// For that; `closing` becomes true when nothing more is to come.
    pub fn new(
        client: Arc<Client>,
        signal: Signal,
        compresses: bool,
        closing: watch::Receiver<bool>,
        random: Random,
    ) -> Self {
        Self {
            client,
            signal,
            closing,
            compresses: AtomicBool::new(compresses),
            state: Mutex::new(State { is_down: false, not_before: None, random }),
            turn: tokio::sync::Mutex::default(),
        }
    }

    /// How the collector is spoken to.
    pub fn language(&self) -> Language {
        self.client.place().language
    }

    /// Looks whether the collector is there, and says so if it is not.
    pub async fn probe(&self) {
        if let Err(why) = self.client.probe().await {
            self.tell_down(&why);
        }
    }

    /// Sends it until something has become of it.
    pub async fn send(&self, body: &Bytes, patience: Patience) -> Fate {
        let begun = Instant::now();
        let mut backoff = Backoff::new(patience.give_up);
        let mut closing = self.closing.clone();
        loop {
            let compressed = self.compresses.load(Ordering::Relaxed);
            let (why, after) = match self.ask(body, compressed).await {
                Answer::Taken => {
                    self.tell_up();
                    return Fate::Taken { rejected: 0, message: String::new() };
                }
                Answer::Partly { rejected, message } => {
                    self.tell_up();
                    return Fate::Taken { rejected, message };
                }
                Answer::Refused { help: Help::Plain | Help::PlainOrNothing, why } if compressed => {
                    log::debug!("{}: {why}; without compression, then", self.client.place());
                    // Others that are under way find out by themselves.
                    self.compresses.store(false, Ordering::Relaxed);
                    continue;
                }
                Answer::Refused { why, help } => return Fate::Refused { why, help },
                Answer::Later { why, after } => (why, after),
            };
            if self.signal == Signal::Spans {
                self.tell_down(&why);
            } else {
                // The spans, which are more, say it.
                self.state().is_down = true;
            }
            let is_closing = *closing.borrow();
            if is_closing && patience.ends_early {
                return Fate::GivenUp { why };
            }
            let wait = {
                let mut state = self.state();
                if let Some(after) = after {
                    state.not_before = Some(Instant::now() + Backoff::asked(after));
                }
                let chance = (state.random.next() >> 11) as f64 / (1u64 << 53) as f64;
                backoff.after_failure(begun.elapsed(), after, is_closing, chance)
            };
            let Some(wait) = wait else { return Fate::GivenUp { why } };
            // The end is another chance, unless the collector has said when to come back.
            if is_closing || (after.is_some() && !patience.ends_early) {
                sleep(wait).await;
            } else {
                tokio::select! {
                    () = sleep(wait) => {}
                    _ = closing.changed() => {}
                }
            }
        }
    }

    async fn ask(&self, body: &Bytes, compressed: bool) -> Answer {
        let _turn = if self.state().is_down { Some(self.turn.lock().await) } else { None };
        let not_before = self.state().not_before;
        if let Some(then) = not_before.filter(|then| *then > Instant::now()) {
            sleep_until(then.into()).await;
        }
        self.client.send(self.signal, body.clone(), compressed).await
    }

    /// Says that nothing gets through: once, until something does again.
    pub fn tell_down(&self, why: &str) {
        if !std::mem::replace(&mut self.state().is_down, true) {
            let (to, what) = (self.client.place(), self.signal.word());
            log::warn!(
                "pushing {what} to {to}: {why}; what cannot be delivered is counted, and nothing else waits for it"
            );
        }
    }

    fn tell_up(&self) {
        if std::mem::take(&mut self.state().is_down) && self.signal == Signal::Spans {
            log::warn!("pushing to {}: it takes spans now", self.client.place());
        }
    }

    fn state(&self) -> std::sync::MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
