//! Where spans go, and where they come from again.

mod call_json;
pub mod convert;
pub mod encode;
pub mod formats;
pub mod ids;
pub mod json;
pub mod openmetrics;
pub mod otlp_metrics;
pub mod records;
pub mod semconv;
mod span_json;
mod tags;
