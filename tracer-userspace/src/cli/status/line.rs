//! The words of the status line, and how they fit. ASCII only, so that a character is a column on every terminal.

use std::collections::VecDeque;
use std::fmt::Write as _;
use std::time::Duration;

use anstyle::{AnsiColor, Style};

use crate::metrics::Figures;
use crate::text::count;

/// The rate is that of so much time.
const WINDOW: Duration = Duration::from_secs(3);
/// The probes' share is known well before that, or never will be: measuring it takes a right that the tracer may lack.
const MEASURED_BY: Duration = Duration::from_secs(2);
/// Columns of the bar between its brackets, at least and at most.
const BAR: (usize, usize) = (6, 40);
/// Left free at the right: what the terminal shows for Ctrl-C must not begin another line.
const MARGIN: usize = 3;

/// What is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Shown {
    /// Since the beginning.
    pub elapsed: Duration,
    /// All of it, if that is known.
    pub duration: Option<Duration>,
    /// The run's figures.
    pub figures: Figures,
    /// Requests in a second, lately.
    pub rate: Rate,
}

/// Requests, or where nobody observed receives any the calls that are made.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Rate {
    /// Received, each second.
    Requests(f64),
    /// Sent, each second.
    Calls(f64),
}

impl Default for Rate {
    fn default() -> Self {
        Rate::Requests(0.0)
    }
}

/// The counts of the last seconds.
#[derive(Debug, Default)]
pub struct Lately {
    counts: VecDeque<(Duration, u64, u64)>,
}

impl Lately {
    /// Adds the counts at a time, and tells the rate.
    pub fn rate(&mut self, at: Duration, figures: &Figures) -> Rate {
        let is_old = |(then, ..): &(Duration, u64, u64)| at.saturating_sub(*then) > WINDOW;
        // The one before the window's beginning stays, so that the window is whole.
        while self.counts.get(1).is_some_and(is_old) {
            self.counts.pop_front();
        }
        self.counts.push_back((at, figures.received, figures.sent));
        let (then, received, sent) = self.counts.front().copied().unwrap_or_default();
        let seconds = at.saturating_sub(then).as_secs_f64();
        let each_second = |now: u64, before: u64| {
            if seconds > 0.0 { now.saturating_sub(before) as f64 / seconds } else { 0.0 }
        };
        let (received, sent) = (each_second(figures.received, received), each_second(figures.sent, sent));
        if received == 0.0 && sent > 0.0 { Rate::Calls(sent) } else { Rate::Requests(received) }
    }
}

/// The line, at most `width` columns less a margin. With `colour` it has escape sequences, which take no columns.
pub fn line(shown: &Shown, width: usize, colour: bool) -> String {
    let width = width.saturating_sub(MARGIN);
    let (begun, figures) = if narrowest(shown, "requests") <= width {
        parts(shown, "requests", width)
    } else {
        parts(shown, "req", width)
    };
    let mut line = String::with_capacity(width + 32);
    let mut left = width;
    for (at, part) in std::iter::once(Part::plain(begun)).chain(figures).enumerate() {
        let gap = if at == 0 { "" } else { "  " };
        let Some(room) = left.checked_sub(gap.len()).filter(|room| *room > 0) else { break };
        // ASCII: any place is between two characters.
        let text = part.text.get(..part.text.len().min(room)).unwrap_or_default();
        let style = if colour { part.style } else { Style::new() };
        // Writing into a string does not fail.
        let _ = write!(line, "{gap}{style}{text}{style:#}");
        left = room - text.len();
    }
    line
}

/// The columns that it takes with the shortest bar.
fn narrowest(shown: &Shown, requests: &str) -> usize {
    let (begun, figures) = parts(shown, requests, 0);
    begun.len() + taken(&figures)
}

fn parts(shown: &Shown, requests: &str, width: usize) -> (String, [Part; 4]) {
    let figures = words(shown, requests);
    (beginning(shown, width.saturating_sub(taken(&figures))), figures)
}

fn taken(figures: &[Part]) -> usize {
    figures.iter().map(|part| part.text.len() + 2).sum()
}

struct Part {
    text: String,
    style: Style,
}

impl Part {
    fn plain(text: String) -> Self {
        Self { text, style: Style::new() }
    }
}

/// In the order of weight: what does not fit is cut at the end.
fn words(shown: &Shown, requests: &str) -> [Part; 4] {
    let figures = &shown.figures;
    let rate = match shown.rate {
        Rate::Requests(rate) => format!("{} {requests}/s", few(rate)),
        Rate::Calls(rate) => format!("{} calls/s", few(rate)),
    };
    let done = match figures.spans {
        Some(spans) => format!("{} spans", count(spans)),
        None => format!("{} captured", count(figures.received + figures.sent)),
    };
    let lost = Part {
        text: format!("{} lost", count(figures.lost)),
        style: if figures.lost > 0 { AnsiColor::Red.on_default().bold() } else { Style::new() },
    };
    let overhead = match figures.probes_share() {
        Some(share) => format!("overhead {:.2} %", share * 100.0),
        None if shown.elapsed < MEASURED_BY => "overhead not measured yet".to_owned(),
        None => "overhead not measured".to_owned(),
    };
    let overhead = Part { text: overhead, style: Style::new().dimmed() };
    [Part::plain(rate), Part::plain(done), lost, overhead]
}

/// Whole from ten on.
fn few(rate: f64) -> String {
    if rate > 0.0 && rate < 9.95 { format!("{rate:.1}") } else { count(rate.round() as u64) }
}

/// The time; with the end of it, and a bar as long as `room` allows, where the end is known.
fn beginning(shown: &Shown, room: usize) -> String {
    let elapsed = clock(shown.elapsed);
    let Some(duration) = shown.duration else { return elapsed };
    let end = clock(duration);
    let bar = room.saturating_sub(elapsed.len() + end.len() + 4).clamp(BAR.0, BAR.1);
    let share = if duration.is_zero() { 1.0 } else { shown.elapsed.as_secs_f64() / duration.as_secs_f64() };
    let full = ((bar as f64 * share) as usize).min(bar);
    format!("{elapsed} [{}{}] {end}", "#".repeat(full), ".".repeat(bar - full))
}

/// `01:05`, `2:01:05`.
fn clock(time: Duration) -> String {
    let seconds = time.as_secs();
    let (hours, minutes, seconds) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if hours > 0 {
        format!("{hours}:{minutes:02}:{seconds:02}")
    } else {
        format!("{minutes:02}:{seconds:02}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown() -> Shown {
        let (probes_ran, probes_measured) = (2_700_000, 1_000_000_000);
        Shown {
            elapsed: Duration::from_millis(12_900),
            duration: None,
            figures: Figures { spans: Some(45_678), probes_ran, probes_measured, ..Figures::default() },
            rate: Rate::Requests(1_234.4),
        }
    }

    #[test]
    fn everything_stands_in_one_line() {
        assert_eq!(
            line(&shown(), 80, false),
            "00:12  1 234 requests/s  45 678 spans  0 lost  overhead 0.27 %"
        );
    }

    #[test]
    fn with_a_duration_there_is_a_bar_and_eighty_columns_are_enough() {
        let mut shown = Shown { duration: Some(Duration::from_secs(30)), ..shown() };
        assert_eq!(
            line(&shown, 84, false),
            "00:12 [####......] 00:30  1 234 requests/s  45 678 spans  0 lost  overhead 0.27 %"
        );
        assert_eq!(
            line(&shown, 80, false),
            "00:12 [##....] 00:30  1 234 requests/s  45 678 spans  0 lost  overhead 0.27 %"
        );
        (shown.figures.spans, shown.rate) = (Some(1_234_567), Rate::Requests(12_345.0));
        assert_eq!(
            line(&shown, 80, false),
            "00:12 [###....] 00:30  12 345 req/s  1 234 567 spans  0 lost  overhead 0.27 %"
        );
        let wide = line(&shown, 400, false);
        assert!(wide.contains(&format!("[{}{}]", "#".repeat(17), ".".repeat(23))), "{wide}");
    }

    #[test]
    fn the_bar_ends_full() {
        for (elapsed, bar) in [(0, "......"), (29, "#####."), (30, "######"), (31, "######")] {
            let elapsed = Duration::from_secs(elapsed);
            let shown = Shown { elapsed, duration: Some(Duration::from_secs(30)), ..shown() };
            assert!(line(&shown, 80, false).contains(&format!("[{bar}]")), "{elapsed:?}");
        }
    }

    #[test]
    fn no_width_is_too_small_and_none_is_passed() {
        let shown = Shown { duration: Some(Duration::from_secs(90_000)), ..shown() };
        for width in 0..200 {
            let line = line(&shown, width, false);
            assert!(line.len() <= width.saturating_sub(MARGIN) && line.is_ascii(), "{width}: {line}");
        }
    }

    #[test]
    fn colour_adds_no_column_and_losses_stand_out() {
        let mut shown = shown();
        shown.figures.lost = 3;
        let coloured = line(&shown, 80, true);
        assert!(coloured.contains("\x1b[1m\x1b[31m3 lost\x1b[0m"), "{coloured:?}");
        let mut bare = String::new();
        let mut rest = coloured.as_str();
        while let Some((before, after)) = rest.split_once('\x1b') {
            bare.push_str(before);
            rest = after.split_once('m').unwrap().1;
        }
        bare.push_str(rest);
        assert_eq!(bare, line(&shown, 80, false));
    }

    #[test]
    fn what_is_not_known_is_not_claimed() {
        let mut shown = shown();
        shown.figures = Figures { received: 70, sent: 30, ..Figures::default() };
        shown.elapsed = Duration::from_secs(1);
        assert_eq!(
            line(&shown, 80, false),
            "00:01  1 234 requests/s  100 captured  0 lost  overhead not measured yet"
        );
        shown.elapsed = Duration::from_secs(3_605);
        assert_eq!(
            line(&shown, 80, false),
            "1:00:05  1 234 requests/s  100 captured  0 lost  overhead not measured"
        );
    }

    #[test]
    fn the_rate_is_that_of_the_last_seconds() {
        let mut lately = Lately::default();
        let figures = |received, sent| Figures { received, sent, ..Figures::default() };
        let mut rate = Rate::Requests(f64::NAN);
        // 100 a second for ten seconds, then none.
        for quarter in 0..=40u64 {
            rate = lately.rate(Duration::from_millis(quarter * 250), &figures(quarter * 25, 0));
        }
        assert_eq!(rate, Rate::Requests(100.0));
        for quarter in 41..=60u64 {
            rate = lately.rate(Duration::from_millis(quarter * 250), &figures(1_000, 0));
        }
        assert_eq!(rate, Rate::Requests(0.0));
        assert!(lately.counts.len() < 20);
        assert_eq!(Lately::default().rate(Duration::ZERO, &figures(5, 5)), Rate::Requests(0.0));
    }

    #[test]
    fn who_only_calls_has_calls() {
        let mut lately = Lately::default();
        lately.rate(Duration::ZERO, &Figures::default());
        let rate = lately.rate(Duration::from_secs(2), &Figures { sent: 7, ..Figures::default() });
        assert_eq!(rate, Rate::Calls(3.5));
        assert_eq!(few(3.5), "3.5");
        assert_eq!(few(9.97), "10");
    }
}
