//! Scenarios of services whose truth is known.

mod cases;
mod confidence;
mod connects;
mod joins;
mod models;
mod output;
mod scenario;
mod sim;
mod weighed;
