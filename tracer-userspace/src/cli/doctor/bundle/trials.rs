//! Every provider by itself: tried by force, whether or not it would be chosen.

use clap::ValueEnum as _;
use serde::Serialize;

use super::super::report::ProgramReport;
use super::super::trial;
use crate::capture::facts::{HostFacts, Roots};
use crate::capture::probes::PROBES;
use crate::cli::args::{DoctorArgs, ProviderArg};

/// What came of one.
#[derive(Debug, Serialize)]
pub struct ProviderTrial {
    /// Its name, as `--provider` takes it.
    name: String,
    /// It was attached and passed the self-check.
    works: bool,
    /// Why not.
    error: Option<String>,
    /// The programs that were attached.
    programs: Vec<ProgramReport>,
    /// What would be missing from traces.
    missing: Vec<String>,
}

/// Tries each.
pub fn each_provider(args: &DoctorArgs) -> Vec<ProviderTrial> {
    let facts = HostFacts::read(&Roots::default());
    ProviderArg::value_variants()
        .iter()
        .map(|provider| {
            let trial = trial::make(&facts, &DoctorArgs { provider: Some(*provider), ..args.clone() });
            let name = provider.to_possible_value().map(|value| value.get_name().to_owned());
            ProviderTrial {
                name: name.unwrap_or_default(),
                works: trial.self_check.is_ok(),
                error: trial.self_check.err(),
                programs: trial.programs,
                missing: trial.missing,
            }
        })
        .collect()
}

/// The kernel functions that some program is put on.
pub fn functions() -> Vec<&'static str> {
    PROBES.iter().flat_map(|probe| probe.hook.functions()).collect()
}

/// The tracepoints that some program is put on.
pub fn tracepoints() -> Vec<&'static str> {
    PROBES.iter().filter_map(|probe| probe.hook.tracepoint()).collect()
}
