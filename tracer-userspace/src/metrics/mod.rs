//! Requests, errors and durations by operation, and the tracer's own figures: what a monitoring system wants to see while it
//! runs. Counting only; [`crate::export::openmetrics`] writes them, and [`crate::recording`] hands them over.
//!
//! The form is that of OpenTelemetry's data model: each [`Series`] is a data point whose [`Labels`] are its attributes; counts are sums since
//! the recording began (cumulative, monotonic); a [`Histogram`] has explicit bounds and a count for each bucket, not added up. What
//! Prometheus is given and what OTLP is given are made of the same values ([`crate::export::otlp_metrics`]): OTLP's durations are told apart
//! further, by how requests ended ([`Ending`]), and with it all durations of a series are those that Prometheus gets.

mod ending;
mod figures;
mod histogram;
mod name;
mod requests;
#[cfg(test)]
pub(crate) mod samples;

pub use ending::{Ending, Endings};
pub use figures::Figures;
pub use histogram::{BOUNDS, Histogram, OPERATION_BOUNDS, REQUEST_BOUNDS};
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

impl Scrape {
    /// At this moment; without requests where none are counted.
    pub fn of(figures: Figures, requests: Option<&Requests>) -> Self {
        Self {
            figures,
            series: requests.map_or_else(Vec::new, |requests| requests.series().to_vec()),
            other: requests.map_or(0, Requests::beyond),
        }
    }
}
