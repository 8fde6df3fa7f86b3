//! The trial: everything is loaded and attached, checked on connections of the tracer's own, and taken out again.
//!
//! The only part of `doctor` that knows the loader's interface.

use std::time::Duration;

use super::report::{OffsetReport, ProgramReport, ProviderReport, ProviderState};
use crate::capture::facts::HostFacts;
use crate::capture::load::{Options, ProgramFacts};
use crate::capture::offsets::FieldSource;
use crate::capture::probes::Provider;
use crate::capture::start::{Attempt, Started, start};
use crate::cli::args::DoctorArgs;

/// What came of it.
#[derive(Debug)]
pub struct Trial {
    /// Every provider.
    pub providers: Vec<ProviderReport>,
    /// The one in use.
    pub provider: Option<String>,
    /// What was loaded.
    pub programs: Vec<ProgramReport>,
    /// What will be missing.
    pub missing: Vec<String>,
    /// Where members lie.
    pub offsets: Vec<OffsetReport>,
    /// Whether what was read was right; otherwise the sentence that says what went wrong.
    pub self_check: Result<(), String>,
    /// How long detaching took.
    pub detach: Option<Duration>,
}

impl Trial {
    /// There was none.
    pub fn not_made(why: &str) -> Self {
        Self::failed(&[], format!("nothing was tried, because {why}"))
    }

    fn failed(attempts: &[Attempt], error: String) -> Self {
        Self {
            providers: outcomes(attempts),
            provider: None,
            programs: Vec::new(),
            missing: Vec::new(),
            offsets: Vec::new(),
            self_check: Err(error),
            detach: None,
        }
    }
}

/// Makes it.
pub fn make(facts: &HostFacts, args: &DoctorArgs) -> Trial {
    let options = Options {
        btf: args.btf.clone(),
        provider: args.provider.map(Into::into),
        ring_bytes: 1 << 20,
        kernel: facts.version.as_ref().map_or((0, 0), |version| (version.0, version.1)),
        pid_max: facts.pid_max.as_ref().copied().unwrap_or(Options::default().pid_max),
        ..Options::default()
    };
    match start(&options) {
        Ok(started) => examine(started),
        Err(error) => Trial::failed(&error.attempts, error.to_string()),
    }
}

fn examine(Started { mut probes, attempts }: Started) -> Trial {
    let programs = probes.programs().into_iter().map(program).collect();
    let go = probes.go_troubles();
    let offsets = probes.fields.iter().map(offset).collect();
    Trial {
        providers: outcomes(&attempts),
        provider: Some(probes.provider.name().to_owned()),
        programs,
        missing: probes.missing.iter().map(ToString::to_string).chain(go).collect(),
        offsets,
        // Only what has passed it is started.
        self_check: Ok(()),
        detach: Some(probes.detach()),
    }
}

/// Every provider, in the order in which they are tried.
fn outcomes(attempts: &[Attempt]) -> Vec<ProviderReport> {
    let outcome = |provider: &Provider| {
        let attempt = attempts.iter().find(|attempt| attempt.provider == *provider);
        let reason = attempt.and_then(|attempt| attempt.refused.clone());
        let state = match (attempt, &reason) {
            (None, _) => ProviderState::NotTried,
            (Some(_), None) => ProviderState::Used,
            (Some(_), Some(_)) => ProviderState::Refused,
        };
        ProviderReport { name: provider.name().to_owned(), state, reason }
    };
    Provider::ALL.iter().map(outcome).collect()
}

fn program(facts: ProgramFacts) -> ProgramReport {
    ProgramReport {
        name: facts.name.to_owned(),
        attached_to: facts.attached_to.into_iter().map(str::to_owned).collect(),
        verified_instructions: facts.verified_instructions,
    }
}

fn offset(field: &FieldSource) -> OffsetReport {
    OffsetReport {
        field: field.field.to_owned(),
        path: field.path.to_owned(),
        bytes: field.bytes,
        source: field.to_string(),
    }
}
