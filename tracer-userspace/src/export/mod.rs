//! Where spans go, and where they come from again.

mod call_json;
pub mod json;
pub mod openmetrics;
pub mod read;
mod span_json;
mod timestamp;
