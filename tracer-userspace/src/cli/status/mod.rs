//! One line on stderr that says how the recording goes, rewritten four times a second, where stderr is a terminal that is
//! ours to write on.
//!
//! The thread that draws it is the one that waits for signals; the recording thread only leaves figures
//! ([`crate::recording::live`]). Everything else that is printed meanwhile goes through [`say`], which takes the line away first.

mod line;

use std::fmt;
use std::io::{self, IsTerminal, Write as _};
use std::sync::{Mutex, MutexGuard, PoisonError, TryLockError};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};

use crate::recording::live::Live;
use line::{Lately, Shown, line};

/// Time between two drawings.
const EVERY: Duration = Duration::from_millis(250);
/// Columns where the terminal does not tell.
const WIDTH: usize = 80;
/// Back to the first column, and the rest of the line away (ECMA-48: CR, EL).
const CLEAR: &str = "\r\x1b[K";

/// Whether the line stands on the terminal now. Whoever writes to stderr meanwhile holds this.
static IS_SHOWN: Mutex<bool> = Mutex::new(false);

fn is_shown() -> MutexGuard<'static, bool> {
    IS_SHOWN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Prints a message on a line of its own.
pub fn say(message: fmt::Arguments<'_>) {
    let mut is_shown = is_shown();
    let clear = if std::mem::take(&mut *is_shown) { CLEAR } else { "" };
    eprintln!("{clear}{message}");
}

/// The status line, from its beginning until it is dropped; then it is gone.
pub struct Status {
    began: Instant,
    duration: Option<Duration>,
    colour: bool,
}

impl Status {
    /// `None` where nobody would see it, or where it would be in the way.
    pub fn begin(duration: Option<Duration>) -> Option<Self> {
        if !io::stderr().is_terminal() || is_dumb() {
            return None;
        }
        let before = std::panic::take_hook();
        std::panic::set_hook(Box::new(move |panic| {
            clear();
            before(panic);
        }));
        let colour = !anstyle_query::no_color() && anstyle_query::term_supports_color();
        Some(Self { began: Instant::now(), duration, colour })
    }

    /// Draws it, again and again; never ends.
    pub async fn keep(&self, live: &Live) {
        let mut lately = Lately::default();
        let mut next = tokio::time::interval(EVERY);
        next.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            next.tick().await;
            let (figures, elapsed) = (live.figures.last(), self.began.elapsed());
            live.figures.ask();
            if let Some(figures) = figures {
                let rate = lately.rate(elapsed, &figures);
                self.draw(&Shown { elapsed, duration: self.duration, figures, rate });
            }
        }
    }

    /// Only where that does not wait: a terminal that was stopped (Ctrl-S), or whose connection hangs, must not keep the
    /// recording from ending in time.
    fn draw(&self, shown: &Shown) {
        if !is_ours() || !takes_more() {
            return;
        }
        let stderr = io::stderr();
        let width = terminal_size::terminal_size_of(&stderr).map_or(WIDTH, |(width, _)| usize::from(width.0));
        let text = format!("\r{}\x1b[K", line(shown, width, self.colour));
        let mut is_shown = is_shown();
        // A terminal that is gone is no reason to end.
        *is_shown = stderr.lock().write_all(text.as_bytes()).is_ok();
    }
}

impl Drop for Status {
    fn drop(&mut self) {
        clear();
    }
}

/// Takes the line away. Not where another thread is just drawing it, should that be the one that panics.
fn clear() {
    let mut is_shown = match IS_SHOWN.try_lock() {
        Ok(is_shown) => is_shown,
        Err(TryLockError::Poisoned(poisoned)) => poisoned.into_inner(),
        Err(TryLockError::WouldBlock) => return,
    };
    if std::mem::take(&mut *is_shown) {
        eprint!("{CLEAR}");
    }
}

fn is_dumb() -> bool {
    std::env::var_os("TERM").is_none_or(|term| term == "dumb")
}

/// Not while somebody else works on the terminal: `tracer record … &`.
fn is_ours() -> bool {
    // Where it is not our session's terminal nobody else of our session works on it.
    rustix::termios::tcgetpgrp(io::stderr()).map_or(true, |group| group == rustix::process::getpgrp())
}

/// Whether writing a line would not wait.
fn takes_more() -> bool {
    let stderr = io::stderr();
    let mut waits = [PollFd::new(&stderr, PollFlags::OUT)];
    let now = Timespec { tv_sec: 0, tv_nsec: 0 };
    poll(&mut waits, Some(&now)).is_ok_and(|ready| ready > 0)
        && waits.iter().all(|fd| fd.revents().contains(PollFlags::OUT))
}
