//! Trace files, ours or anybody's, as `tracer show` reads and prints them.

use super::Input;
use crate::export::read::read_spans;
use crate::report::waterfall::{Style, render};

/// Reads `data` as a trace file and prints what was read.
pub(super) fn run(data: &[u8]) {
    let mut input = Input::new(data);
    let (width, slowest) = (80 + usize::from(input.byte()), usize::from(input.byte() % 8));
    let mut spans = Vec::new();
    let result = read_spans(input.rest(), |span| spans.push(span));
    for span in &spans {
        assert!(span.duration <= 10_u64.pow(19), "{span:?}");
    }
    let text = render(&spans, slowest, Style { width, ..Style::default() });
    // Names from a file reach a terminal: nothing in them may steer it.
    let steers = |c: char| c.is_control() && c != '\n';
    assert!(!text.contains(steers), "{text:?}");
    if let Err(error) = result {
        assert!(!error.to_string().is_empty());
    }
}
