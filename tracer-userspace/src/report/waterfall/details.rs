//! What a line of the waterfall says of a span beyond its times.

use crate::spans::{FileSpan, Row, Value};
use crate::text::fit;

/// Links that are less sure are marked.
const BEYOND_DOUBT: f32 = 0.99;

/// From the tags of one span.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub struct Details {
    /// `db.statement`.
    pub statement: Option<Box<str>>,
    /// `db.response.status_code`, `error.type`.
    pub error_code: Option<Box<str>>,
    /// `tracer.outcome`.
    pub outcome: Option<Box<str>>,
    /// `tracer.n_plus_one` and what was called.
    pub repeated: Option<(u32, Box<str>)>,
}

impl Details {
    /// Of this span.
    pub fn of(span: &FileSpan<'_>) -> Self {
        let mut details = Self::default();
        let (mut count, mut called) = (None, None);
        let text = |value: &Value<'_>| value.text().map(Into::into);
        for (name, value) in &span.tags {
            match &**name {
                "db.statement" | "db.query.text" => details.statement = text(value),
                "db.response.status_code" | "error.type" => details.error_code = text(value),
                "tracer.outcome" => details.outcome = text(value),
                "tracer.n_plus_one" => count = value.whole(),
                "tracer.n_plus_one.operation" => called = text(value),
                _ => {}
            }
        }
        details.repeated = count.zip(called);
        details
    }

    /// `!` for a failure, `?` for a duration that is only a lower bound, with the reason; and how sure the parent is, where that
    /// may be doubted.
    pub fn mark(&self, row: &Row, ellipsis: char) -> String {
        let mut mark = String::new();
        if row.is_error {
            mark.push_str(" !");
        }
        if let Some(code) = &self.error_code {
            mark.push(' ');
            mark.push_str(&fit(code, 20, ellipsis));
        }
        if row.is_incomplete {
            mark.push_str(" ?");
        }
        if let Some(outcome) = &self.outcome {
            mark.push(' ');
            mark.push_str(&fit(outcome, 20, ellipsis));
        }
        if row.confidence < BEYOND_DOUBT {
            // Cut off: what is not certain must not look so.
            mark.push_str(&format!(" link {:.0} %", (row.confidence * 100.0 + 1e-3).floor()));
        }
        if row.is_torn {
            mark.push_str(" parent not here");
        }
        mark
    }

    /// The status code. Databases have none: nothing stands there, or that there was an error.
    pub fn status(&self, row: &Row) -> String {
        match (row.status, &self.statement) {
            (status @ 1.., _) => status.to_string(),
            (0, Some(_)) if row.is_error => "err".to_owned(),
            (0, Some(_)) => String::new(),
            (0, None) => "-".to_owned(),
        }
    }
}
