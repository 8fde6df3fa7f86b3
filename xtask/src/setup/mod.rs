//! What the tests and the demonstration need on this machine, and getting it.
//!
//! The lists are in [`needs`]. What is present is left alone; what is missing is named before it is installed.
//! Nothing is fetched but by the package managers themselves, from wherever they are configured to fetch.

mod debian;
mod needs;
mod npm;
mod pypi;

use anyhow::Result;
use tracer_tests::services::golang;

use crate::run;

/// Everything: for `test`, and for `setup` by itself.
pub fn everything() -> Result<()> {
    debian::install(&[
        needs::SERVERS,
        needs::DATABASE,
        needs::CLIENTS,
        needs::TOOLS,
        needs::PYTHON_ENVIRONMENT,
        needs::NODE_ENVIRONMENT,
        needs::READERS,
        needs::BROWSER,
    ])?;
    pypi::install(needs::PROTOCOLS_PYPI)?;
    pypi::install(needs::BROWSER_PYPI)?;
    npm::install(needs::PROTOCOLS_NPM)?;
    pypi::install(needs::READERS_PYPI)?;
    pypi::install(needs::SDK_PYPI)?;
    npm::install(needs::SDK_NPM)?;
    pypi::install(needs::EXPORTS_PYPI)?;
    npm::install(needs::EXPORTS_NPM)?;
    npm::unpack(needs::EXPORTS_NPM_ALONE)?;
    if pypi::install(needs::PYPI)? {
        run::say("compiling Go's standard library once, for the service of the tests");
        golang::warm_up()?;
    }
    Ok(())
}

/// What the demonstration needs.
pub fn demo() -> Result<()> {
    debian::install(&[needs::DEMO, needs::DATABASE])
}

/// What building the probes needs.
pub fn probes() -> Result<()> {
    debian::install(&[needs::PROBES])
}

/// What links programs for 64-bit ARM.
pub fn cross() -> Result<()> {
    debian::install(&[needs::CROSS])
}

/// What the accuracy harness's services need.
pub fn accuracy() -> Result<()> {
    debian::install(&[needs::SERVERS, needs::ACCURACY, needs::PYTHON_ENVIRONMENT])?;
    pypi::install(needs::PYPI)?;
    pypi::install(needs::ACCURACY_PYPI)?;
    run::say("building the tokio service");
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    tracer_tests::accuracy::build_tokio(std::path::Path::new(&cargo))
}

/// Names of the packages that building the probes needs, for people on other systems.
pub fn probe_packages() -> Vec<&'static str> {
    needs::PROBES.iter().map(|need| need.package).collect()
}

/// What the benchmarks need.
pub fn bench() -> Result<()> {
    debian::install(&[needs::BENCH])
}

/// What emulated guests with other kernels need.
pub fn kernels() -> Result<()> {
    debian::install(&[needs::KERNELS])
}
