//! What a run has come to while it goes on, for those who look at it: the status line, the metrics.
//!
//! The recording thread never waits for them. Who wants to see something asks; the recording thread leaves it at its next
//! turn (every 50 ms), and makes nothing that nobody has asked for.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use tokio::sync::watch;

use crate::metrics::{Figures, Requests, Scrape};

/// A place where the recording thread leaves a value when somebody has asked for it.
pub struct Board<T> {
    is_asked: AtomicBool,
    value: watch::Sender<T>,
}

impl<T> Board<T> {
    /// With a value for those who look before anything is left.
    pub fn new(first: T) -> Self {
        Self { is_asked: AtomicBool::new(false), value: watch::Sender::new(first) }
    }

    /// Asks for a new value. Who wants to wait for it has subscribed before.
    pub fn ask(&self) {
        self.is_asked.store(true, Ordering::Release);
    }

    /// Leaves a value if somebody has asked. A reader holds the value for as long as it takes to copy it.
    pub fn answer(&self, make: impl FnOnce() -> T) {
        if self.is_asked.swap(false, Ordering::AcqRel) {
            self.value.send_replace(make());
        }
    }

    /// Leaves a value that nobody has asked for.
    pub fn leave(&self, value: T) {
        self.value.send_replace(value);
    }

    /// Tells of new values.
    pub fn subscribe(&self) -> watch::Receiver<T> {
        self.value.subscribe()
    }

    /// The last value that was left.
    pub fn last(&self) -> T
    where
        T: Clone,
    {
        self.value.borrow().clone()
    }
}

/// What can be looked at.
pub struct Live {
    /// For the status line; `None` before the first are left.
    pub figures: Board<Option<Figures>>,
    /// For the metrics, likewise.
    pub scrape: Board<Option<Arc<Scrape>>>,
}

impl Default for Live {
    fn default() -> Self {
        Self { figures: Board::new(None), scrape: Board::new(None) }
    }
}

impl Live {
    /// Leaves what was asked for.
    pub fn leave(&self, figures: impl Fn() -> Figures, requests: Option<&Requests>) {
        self.figures.answer(|| Some(figures()));
        self.scrape.answer(|| Some(Arc::new(Scrape::of(figures(), requests))));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_is_made_that_nobody_asked_for_and_what_was_asked_for_is_made_once() {
        let board = Board::new(0);
        let mut told = board.subscribe();
        board.answer(|| panic!("nobody asked"));
        board.ask();
        board.ask();
        board.answer(|| 7);
        board.answer(|| panic!("it was answered"));
        assert_eq!((board.last(), told.has_changed().unwrap(), *told.borrow_and_update()), (7, true, 7));
    }
}
