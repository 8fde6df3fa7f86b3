//! Scenarios of services whose truth is known.

mod cases;
mod confidence;
mod connects;
mod joins;
mod messages;
mod models;
mod outcome;
mod output;
mod repeats;
mod scenario;
mod sim;
mod weighed;
