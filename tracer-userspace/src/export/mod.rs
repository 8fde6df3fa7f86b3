//! Where spans go, and where they come from again.

pub mod json;
pub mod read;
mod span_json;
mod timestamp;
