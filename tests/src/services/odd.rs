//! A server that breaks the rules on request (`tests/services/odd.py`).

use anyhow::Result;

use super::{Options, Service};
use crate::process::Spec;
use crate::scratch::Scratch;

/// Starts it. It writes no access log.
pub fn start(options: &Options) -> Result<Service> {
    let scratch = Scratch::new()?;
    scratch.stage("odd.py")?;
    Service::start_program(Spec::new("python3")?.arg("odd.py"), scratch, options)
}
