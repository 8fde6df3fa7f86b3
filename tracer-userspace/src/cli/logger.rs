//! Messages for whoever wants to know more: to stderr, behind the program's name; and for a support bundle, kept.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, PoisonError};

use log::{Level, LevelFilter, Log, Metadata, Record};

use super::status;

/// Of one message, what is kept of its beginning and its end: a verifier's log can have megabytes, and its last lines
/// say what was wrong.
const KEEP_HEAD: usize = 16 << 10;
const KEEP_TAIL: usize = 112 << 10;
/// What is kept of all.
const KEEP_ALL: usize = 4 << 20;

struct Logger {
    verbose: AtomicBool,
    kept: Mutex<Option<String>>,
}

static LOGGER: Logger = Logger { verbose: AtomicBool::new(false), kept: Mutex::new(None) };

impl Log for Logger {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if !self.enabled(record.metadata()) {
            return;
        }
        if record.level() <= Level::Warn || self.verbose.load(Ordering::Relaxed) {
            status::say(format_args!("tracer: {}", record.args()));
        }
        // A line for each instruction that is relocated tells nobody anything.
        if record.level() == Level::Debug && record.target().starts_with("aya_obj") {
            return;
        }
        if let Some(kept) = self.kept.lock().unwrap_or_else(PoisonError::into_inner).as_mut() {
            append(kept, record.level(), &record.args().to_string());
        }
    }

    fn flush(&self) {}
}

/// Prints warnings, and with `verbose` everything.
pub fn start(verbose: bool) {
    LOGGER.verbose.store(verbose, Ordering::Relaxed);
    // Only a second logger fails.
    let _ = log::set_logger(&LOGGER);
    log::set_max_level(if verbose { LevelFilter::Debug } else { LevelFilter::Warn });
}

/// From now on everything is kept, whether or not it is printed.
pub fn keep() {
    LOGGER.kept.lock().unwrap_or_else(PoisonError::into_inner).get_or_insert_default();
    log::set_max_level(LevelFilter::Debug);
}

/// What was kept.
pub fn kept() -> String {
    LOGGER.kept.lock().unwrap_or_else(PoisonError::into_inner).clone().unwrap_or_default()
}

fn append(kept: &mut String, level: Level, message: &str) {
    if kept.len() >= KEEP_ALL {
        return;
    }
    kept.push_str(level.as_str());
    kept.push_str(": ");
    if message.len() <= KEEP_HEAD + KEEP_TAIL {
        kept.push_str(message);
    } else {
        let head = message.floor_char_boundary(KEEP_HEAD);
        let tail = message.floor_char_boundary(message.len() - KEEP_TAIL);
        kept.push_str(message.get(..head).unwrap_or_default());
        kept.push_str(&format!("\n[… {} bytes left out …]\n", tail - head));
        kept.push_str(message.get(tail..).unwrap_or_default());
    }
    kept.push('\n');
    if kept.len() >= KEEP_ALL {
        kept.push_str("[what was said after this is left out]\n");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_message_keeps_its_beginning_and_its_end() {
        let mut kept = String::new();
        append(&mut kept, Level::Debug, &format!("BEGIN{}END", "é".repeat(200 << 10)));
        assert!(kept.starts_with("DEBUG: BEGIN") && kept.ends_with("END\n"), "{}", &kept[..40]);
        assert!(kept.contains("bytes left out") && kept.len() < 2 * (KEEP_HEAD + KEEP_TAIL));
    }

    #[test]
    fn what_is_kept_is_bounded() {
        let mut kept = String::new();
        for _ in 0..100 {
            append(&mut kept, Level::Warn, &"x".repeat(100 << 10));
        }
        assert!(kept.len() < KEEP_ALL + (1 << 18));
        assert!(kept.ends_with("left out]\n"));
    }
}
