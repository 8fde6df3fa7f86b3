//! The accuracy harness: how often the tracer names the right request as a call's cause, measured against known truth.
//!
//! A [`cell`] is a [`service`], a [`shape`] of its requests and a [`load`]. It is recorded once (the service calls a
//! [`backend`] that is ours) and kept as a capture and a truth file. [`known`] brings truth and spans together; [`score`]
//! compares what `tracer analyze` said with it, [`baselines`] says what simple rules would have made of the same spans,
//! and [`audit`] proves that the ids which carry the truth played no part.

pub mod audit;
pub mod backend;
pub mod baselines;
pub mod cell;
pub mod fixture;
pub mod judge;
pub mod known;
pub mod load;
mod prepare;
pub mod score;
pub mod service;
pub mod shape;

pub use prepare::build_tokio;
