//! Messages for whoever wants to know more: to stderr, behind the program's name.

use log::{LevelFilter, Log, Metadata, Record};

struct Stderr;

impl Log for Stderr {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.level() <= log::max_level()
    }

    fn log(&self, record: &Record<'_>) {
        if self.enabled(record.metadata()) {
            eprintln!("tracer: {}", record.args());
        }
    }

    fn flush(&self) {}
}

/// Prints warnings, and with `verbose` everything.
pub fn start(verbose: bool) {
    // Only a second logger fails.
    let _ = log::set_logger(&Stderr);
    log::set_max_level(if verbose { LevelFilter::Debug } else { LevelFilter::Warn });
}
