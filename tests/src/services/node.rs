//! Node's own HTTP server (`tests/services/server.js`): one event loop, keep-alive agent.

use anyhow::Result;

use super::{Options, Service};
use crate::process::Spec;
use crate::scratch::Scratch;

/// Starts it.
pub fn start(options: &Options) -> Result<Service> {
    let scratch = Scratch::new()?;
    scratch.stage("server.js")?;
    Service::start_program(Spec::new("node")?.arg("server.js"), scratch, options)
}
