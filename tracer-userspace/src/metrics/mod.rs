//! Requests, errors and durations by operation, and the tracer's own figures: what a monitoring system wants to see while it
//! runs. Counting only; [`crate::export::openmetrics`] writes them, and [`crate::recording`] hands them over.
//!
//! The form is that of OpenTelemetry's data model, so that OTLP can be made of the same values: each [`Series`] is a data
//! point whose [`Labels`] are its attributes; counts are sums since the recording began (cumulative, monotonic); a
//! [`Histogram`] has explicit bounds and a count for each bucket, not added up, as `HistogramDataPoint` wants them. Names and
//! labels are those that OTLP's come to have in Prometheus, so that a query does not depend on the way (docs/metrics.md).

mod figures;
mod histogram;
mod name;
mod requests;
#[cfg(test)]
pub(crate) mod samples;

pub use figures::Figures;
pub use histogram::{BOUNDS, Histogram};
pub use requests::{Labels, MAX_SERIES, OTHER, Requests, Series};

/// Everything that is told at one moment.
#[derive(Clone, Debug, Default)]
pub struct Scrape {
    /// Of the run and the tracer.
    pub figures: Figures,
    /// Each service's operations.
    pub series: Vec<Series>,
    /// Requests counted under [`OTHER`].
    pub other: u64,
}
