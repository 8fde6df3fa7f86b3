//! The options about headers, the same for `record` and `analyze`.

use anyhow::{Result, anyhow};
use clap::Args;

use crate::protocol::headers::Headers;

/// Which headers are shown, and which prove nothing.
#[derive(Args, Clone, Debug, Default)]
pub struct HeaderArgs {
    /// Show this request header in the spans, as the tag http.request.header.NAME (up to 8 times). Of a capture only headers
    /// can be shown that were kept when it was recorded
    #[arg(long, value_name = "NAME", help_heading = "Headers")]
    pub keep_header: Vec<String>,
    /// Do not use what this header says as evidence for which request caused which
    #[arg(long, value_name = "NAME", help_heading = "Headers")]
    pub ignore_header: Vec<String>,
    /// Do not use trace contexts (traceparent, b3 and their like), request ids and other values that requests carry along
    #[arg(long, help_heading = "Headers")]
    pub ignore_context: bool,
}

impl HeaderArgs {
    /// The names, checked.
    pub fn read(&self) -> Result<Headers> {
        Headers::new(&self.keep_header, &self.ignore_header)
            .map(|headers| headers.ignoring_context(self.ignore_context))
            .map_err(|error| anyhow!(error))
    }
}
