//! Finds the provider that works on this kernel, by trying: load, attach, and check on connections of the tracer's own.

use aya::Btf;
use aya_obj::btf::BtfKind;

use super::crowd::{Crowd, SLEEPERS};
use super::error::LoadError;
use super::load::{Options, Probes, raise_memlock};
use super::offsets::{self, Located};
use super::probes::{INTERRUPTIBLE, Provider};
use super::selfcheck;

/// What came of one provider.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Attempt {
    /// Which.
    pub provider: Provider,
    /// Why it is not used; `None` if it is.
    pub refused: Option<String>,
}

/// The probes, attached, checked, and switched off.
pub struct Started {
    /// The probes.
    pub probes: Probes,
    /// The providers tried, in order; the last is the one in use.
    pub attempts: Vec<Attempt>,
}

/// No provider works.
#[derive(Debug)]
pub struct NotStarted {
    /// What to tell.
    pub error: LoadError,
    /// The providers tried, in order.
    pub attempts: Vec<Attempt>,
}

impl std::fmt::Display for NotStarted {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.error.fmt(f)
    }
}

impl std::error::Error for NotStarted {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.error.source()
    }
}

/// Tries the providers, or the one that was asked for, until one works.
pub fn start(options: &Options) -> Result<Started, NotStarted> {
    raise_memlock();
    let located = match offsets::find(options.btf.as_deref()) {
        Ok(located) => located,
        Err(error) => return Err(NotStarted { error: error.into(), attempts: Vec::new() }),
    };
    let wanted = |provider: &&Provider| options.provider.is_none_or(|only| only == **provider);
    let mut kernel = KernelBtf::default();
    let mut attempts = Vec::new();
    let mut errors = Vec::new();
    for provider in Provider::ALL.iter().filter(wanted) {
        match try_provider(options, &located, *provider, &mut kernel) {
            Ok(probes) => {
                attempts.push(Attempt { provider: *provider, refused: None });
                return Ok(Started { probes, attempts });
            }
            Err(error) => {
                log::info!("{}: {error}", provider.describe());
                attempts.push(Attempt { provider: *provider, refused: Some(error.to_string()) });
                errors.push(error);
            }
        }
    }
    Err(NotStarted { error: worst(errors, &attempts), attempts })
}

fn try_provider(
    options: &Options,
    located: &Located,
    provider: Provider,
    kernel: &mut KernelBtf,
) -> Result<Probes, LoadError> {
    if provider == Provider::SocketTracepoints && options.kernel >= INTERRUPTIBLE {
        return Err(LoadError::Unsuitable(
            "on Linux 7.0 and later programs there can be interrupted by each other, and calls are missed",
        ));
    }
    if provider == Provider::FunctionExits && options.provider.is_none() && switches_tasks_anywhere() {
        return Err(LoadError::Unsuitable(
            "this kernel switches tasks anywhere (PREEMPT), and programs there miss calls when they are interrupted by each other",
        ));
    }
    if provider == Provider::FunctionExits {
        kernel.for_function_exits()?;
    }
    let btf = if provider == Provider::FunctionExits || options.evidence { kernel.read() } else { None };
    let mut probes = Probes::attach(options, located, provider, btf)?;
    selfcheck::run(&mut probes)?;
    if provider == Provider::Kprobes && options.provider.is_none() {
        holds_in_a_crowd(&mut probes)?;
    }
    probes.begin_counting();
    Ok(probes)
}

/// Built for full preemption or for real time, by what the kernel says of its build (`UTS_VERSION`). Where the mode is
/// chosen at boot (PREEMPT_DYNAMIC) distributions choose another one.
fn switches_tasks_anywhere() -> bool {
    let version = std::fs::read_to_string("/proc/sys/kernel/version").unwrap_or_default();
    is_preemptible(&version)
}

fn is_preemptible(version: &str) -> bool {
    version.split_whitespace().any(|word| word == "PREEMPT_RT" || word == "PREEMPT")
}

/// Unless a person insists on kprobes, they must see calls while many threads sleep in others.
fn holds_in_a_crowd(probes: &mut Probes) -> Result<(), LoadError> {
    const TOO_FEW: LoadError = LoadError::Unsuitable(
        "this kernel can watch too few returns at once: while 256 threads wait for data, calls would be missed",
    );
    const { assert!(SLEEPERS == 256) };
    let Ok(_crowd) = Crowd::gather(SLEEPERS) else {
        return Err(LoadError::Unsuitable(
            "whether it sees calls while many threads wait could not be tried",
        ));
    };
    selfcheck::run(probes).map_err(|_| TOO_FEW)
}

/// The running kernel's types as aya needs them, read at most once and only if needed.
#[derive(Default)]
struct KernelBtf(Option<Btf>);

impl KernelBtf {
    /// Trampolines that are safe to remove while somebody sleeps in the function, as a server waiting for a request
    /// does: Linux 5.12, commit e21aa341785c, which brought this structure. Without it the memory that the sleeper
    /// returns to may be gone, and the host with it.
    fn for_function_exits(&mut self) -> Result<(), LoadError> {
        let Some(btf) = self.read() else {
            return Err(LoadError::Unsuitable("it needs the kernel's own BTF, which is not there"));
        };
        if btf.id_by_type_name_kind("bpf_tramp_image", BtfKind::Struct).is_err() {
            return Err(LoadError::Unsuitable(
                "this kernel cannot safely remove trampolines from functions that sleep (Linux 5.12 and later can)",
            ));
        }
        Ok(())
    }

    /// `None` if it cannot be read.
    fn read(&mut self) -> Option<&Btf> {
        if self.0.is_none() {
            self.0 = Btf::from_sys_fs().ok();
        }
        self.0.as_ref()
    }
}

/// What to tell when nothing works: where every way was forbidden, that; where one failed the check of structures,
/// that, since it is what a maintainer needs; else each way with its reason.
fn worst(mut errors: Vec<LoadError>, attempts: &[Attempt]) -> LoadError {
    let all_forbidden =
        !errors.is_empty() && errors.iter().all(|error| matches!(error, LoadError::NotPermitted { .. }));
    let telling = errors.iter().position(|error| matches!(error, LoadError::SelfCheck(_)));
    if all_forbidden || errors.len() == 1 {
        return errors.swap_remove(0);
    }
    if let Some(at) = telling {
        return errors.swap_remove(at);
    }
    let reasons: Vec<String> = attempts
        .iter()
        .filter_map(|attempt| Some(format!("{}: {}", attempt.provider.describe(), attempt.refused.as_ref()?)))
        .collect();
    LoadError::NoProvider(reasons.join("; "))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn forbidden() -> LoadError {
        LoadError::NotPermitted { program: "p".to_owned(), reason: "EPERM".to_owned() }
    }

    fn attempt(provider: Provider) -> Attempt {
        Attempt { provider, refused: Some("reason".to_owned()) }
    }

    #[test]
    fn kernels_say_of_themselves_how_they_were_built() {
        for (version, preemptible) in [
            ("#1 SMP PREEMPT_RT Debian 6.1.192-2 (2026-09-01)", true),
            ("#1 SMP PREEMPT Debian 5.10", true),
            ("#1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-09-01)", false),
            ("#1 SMP Debian 5.10.262-1 (2026-10-01)", false),
            ("", false),
        ] {
            assert_eq!(is_preemptible(version), preemptible, "{version}");
        }
    }

    #[test]
    fn the_reason_told_is_the_one_that_helps() {
        let tried = [attempt(Provider::SocketTracepoints), attempt(Provider::SyscallExit)];
        assert!(matches!(worst(vec![forbidden(), forbidden()], &tried), LoadError::NotPermitted { .. }));
        let check = LoadError::SelfCheck("sk".to_owned());
        assert!(matches!(worst(vec![forbidden(), check], &tried), LoadError::SelfCheck(_)));
        let none = worst(vec![forbidden(), LoadError::NoHook("x".to_owned())], &tried).to_string();
        assert!(none.contains("tracepoints") && none.contains("sys_exit"), "{none}");
    }
}
