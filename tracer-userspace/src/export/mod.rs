//! Where spans go, and where they come from again.

mod call_json;
pub mod json;
pub mod openmetrics;
mod span_json;
pub mod timestamp;
