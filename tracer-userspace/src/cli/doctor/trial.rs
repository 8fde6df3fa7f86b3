//! The trial: everything is loaded and attached, checked on connections of the tracer's own, and taken out again.
//!
//! The only part of `doctor` that knows the loader's interface.

use std::time::Duration;

use super::report::{OffsetReport, ProgramReport, ProviderReport, ProviderState};
use crate::capture::facts::{HostFacts, KernelVersion};
use crate::capture::load::{Options, Probes};
use crate::capture::probes::{Provider, for_provider};
use crate::capture::selfcheck;
use crate::cli::args::{DoctorArgs, ProviderArg};
use tracer_common::offsets::{ABSENT, Offsets};

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

/// Providers in the order in which they are tried.
const PROVIDERS: [Provider; 2] = [Provider::SocketTracepoints, Provider::SyscallExit];

impl Trial {
    /// There was none.
    pub fn not_made(why: &str) -> Self {
        Self {
            providers: PROVIDERS.into_iter().map(|provider| outcome(provider, None)).collect(),
            provider: None,
            programs: Vec::new(),
            missing: Vec::new(),
            offsets: Vec::new(),
            self_check: Err(format!("nothing was tried, because {why}")),
            detach: None,
        }
    }
}

/// Makes it.
pub fn make(facts: &HostFacts, args: &DoctorArgs) -> Trial {
    let options = Options {
        btf: args.btf.clone(),
        provider: args.provider.map(|provider| match provider {
            ProviderArg::Socket => Provider::SocketTracepoints,
            ProviderArg::Syscall => Provider::SyscallExit,
        }),
        ring_bytes: 1 << 20,
        pid_max: facts.pid_max.as_ref().copied().unwrap_or(Options::default().pid_max),
        kernel: facts.version.as_ref().map_or((0, 0), |KernelVersion(major, minor, _)| (*major, *minor)),
        ..Options::default()
    };
    match Probes::attach(&options) {
        Ok(probes) => examine(probes, args),
        Err(error) => {
            let error = error.to_string();
            let mut trial = Trial::not_made("");
            // Unless one was asked for, the loader does not say which it had chosen.
            if let Some(forced) = options.provider {
                let refused = trial.providers.iter_mut().find(|provider| provider.name == name(forced));
                if let Some(provider) = refused {
                    provider.state = ProviderState::Refused;
                    provider.reason = Some(error.clone());
                }
            }
            Trial { self_check: Err(error), ..trial }
        }
    }
}

fn examine(mut probes: Probes, args: &DoctorArgs) -> Trial {
    let used = probes.provider;
    let programs = programs(&probes);
    let offsets = offsets(&probes, args);
    let missing = probes.missing.iter().map(ToString::to_string).collect();
    let self_check = selfcheck::run(&mut probes).map_err(|error| error.to_string());
    let detach = Some(probes.detach());
    Trial {
        providers: PROVIDERS.into_iter().map(|provider| outcome(provider, Some(used))).collect(),
        provider: Some(name(used).to_owned()),
        programs,
        missing,
        offsets,
        self_check,
        detach,
    }
}

fn name(provider: Provider) -> &'static str {
    match provider {
        Provider::SocketTracepoints => "tracepoint",
        Provider::SyscallExit => "syscall",
    }
}

fn outcome(provider: Provider, used: Option<Provider>) -> ProviderReport {
    let state = if used == Some(provider) { ProviderState::Used } else { ProviderState::NotTried };
    ProviderReport { name: name(provider).to_owned(), state, reason: None }
}

fn programs(probes: &Probes) -> Vec<ProgramReport> {
    let attached_to = |name: &str| -> Vec<String> {
        for_provider(probes.provider)
            .filter(|probe| probe.program == name)
            .map(|probe| probe.tracepoint.to_owned())
            .collect()
    };
    probes
        .programs()
        .into_iter()
        .map(|(name, verified_instructions)| ProgramReport {
            name: name.to_owned(),
            attached_to: attached_to(name),
            verified_instructions,
        })
        .collect()
}

fn offsets(probes: &Probes, args: &DoctorArgs) -> Vec<OffsetReport> {
    // Not the file's name: it may say who the user is, and this may be sent to somebody.
    let source = if args.btf.is_some() {
        "type information given with --btf"
    } else {
        "kernel's type information (BTF)"
    };
    Offsets::PATHS
        .iter()
        .map(|(field, path, _)| {
            let bytes = probes.offsets.get(field).filter(|bytes| *bytes != ABSENT);
            OffsetReport {
                field: (*field).to_owned(),
                path: (*path).to_owned(),
                bytes,
                source: source.to_owned(),
            }
        })
        .collect()
}
