//! Hooks one program in, and takes it out again.

use aya::Btf;
use aya::programs::{FEntry, FExit, KProbe, ProgramError, RawTracePoint, TracePoint};

use super::error::{LoadError, failed, os_error, refused};
use super::events::{Events, expected};
use super::evidence::{NO_TURNS, TURNS, WAKES};
use super::object::Programs;
use super::probes::{Function, Hook, Probe, Provider, Without};

/// include/linux/errno.h: not one of the C library's.
const ENOTSUPP: i32 = 524;

/// What became of a program.
pub(super) enum Attached {
    /// It is in place at these hooks.
    At(Vec<&'static str>),
    /// It is not, and this is missing.
    Missing(&'static str),
    /// It is not, and need not be.
    Unneeded,
}

/// Loads a program and attaches it to its hook. `btf` is the running kernel's, for function exits; `events` keeps what
/// holds programs on trace events.
pub(super) fn attach(
    object: &mut Programs,
    probe: &Probe,
    btf: Option<&Btf>,
    events: &mut Events,
) -> Result<Attached, LoadError> {
    let result = match probe.hook {
        Hook::RawTracepoint(name) => raw_tracepoint(object, probe, name).map(|()| vec![name]),
        Hook::SocketEvent(name) => socket_event(object, probe, name, events).map(|()| vec![name]),
        Hook::SyscallEvents(names) => syscall_events(object, probe, names, events),
        Hook::Fentry(function) => fentry(object, probe, function, btf).map(|()| vec![function]),
        Hook::Fexit(function) => fexit(object, probe, function, btf).map(|()| vec![function]),
        Hook::Kprobe(functions) | Hook::Kretprobe(functions) => kprobe(object, probe, functions),
    };
    let error = match result {
        Ok(hooks) => return Ok(Attached::At(hooks)),
        Err(error) => error,
    };
    match (probe.without, &error) {
        (Without::Nothing, LoadError::NoHook(_)) => Ok(Attached::Unneeded),
        (Without::Misses(what), _) => {
            log::warn!("{error}");
            Ok(Attached::Missing(what))
        }
        _ => Err(error),
    }
}

fn program<'a, P>(object: &'a mut Programs, probe: &Probe) -> Result<&'a mut P, LoadError>
where
    &'a mut P: TryFrom<&'a mut aya::programs::Program>,
{
    object.program_mut(probe.program).and_then(|program| program.try_into().ok()).ok_or_else(|| {
        LoadError::Failed { program: probe.program.to_owned(), reason: "it is not in the object".to_owned() }
    })
}

fn raw_tracepoint(object: &mut Programs, probe: &Probe, name: &str) -> Result<(), LoadError> {
    let program: &mut RawTracePoint = program(object, probe)?;
    program.load().map_err(|error| refused(probe.program, &error))?;
    match program.attach(name) {
        Ok(_) => Ok(()),
        Err(error) if is_os_error(&error, libc::ENOENT) => Err(no_tracepoint(probe, name)),
        Err(error) => Err(failed(probe.program, &error)),
    }
}

fn no_tracepoint(probe: &Probe, name: &str) -> LoadError {
    let (major, minor) = probe.since;
    LoadError::NoHook(format!("tracepoint {name} (Linux {major}.{minor} and later have)"))
}

fn socket_event(
    object: &mut Programs,
    probe: &Probe,
    name: &str,
    events: &mut Events,
) -> Result<(), LoadError> {
    let event = events.find("sock", name)?.ok_or_else(|| no_tracepoint(probe, name))?;
    if !event.has(expected(name)) {
        return Err(LoadError::Unsuitable("the records of its socket events are not as expected"));
    }
    let program: &mut TracePoint = program(object, probe)?;
    program.load().map_err(|error| refused(probe.program, &error))?;
    let fd = program.fd().map_err(|error| failed(probe.program, &error))?;
    events.attach(&event, fd).map_err(|error| failed(probe.program, &error))
}

fn syscall_events(
    object: &mut Programs,
    probe: &Probe,
    names: &'static [&'static str],
    events: &mut Events,
) -> Result<Vec<&'static str>, LoadError> {
    let mut found = Vec::new();
    for name in names {
        if let Some(event) = events.find("syscalls", name)? {
            found.push((*name, event));
        }
    }
    if found.is_empty() {
        return Err(LoadError::NoHook("trace events of system calls (CONFIG_FTRACE_SYSCALLS)".to_owned()));
    }
    let program: &mut TracePoint = program(object, probe)?;
    program.load().map_err(|error| refused(probe.program, &error))?;
    let fd = program.fd().map_err(|error| failed(probe.program, &error))?;
    for (_, event) in &found {
        events.attach(event, fd).map_err(|error| failed(probe.program, &error))?;
    }
    Ok(found.into_iter().map(|(name, _)| name).collect())
}

fn fentry(object: &mut Programs, probe: &Probe, function: &str, btf: Option<&Btf>) -> Result<(), LoadError> {
    let Some(btf) = btf else { return Err(NO_BTF) };
    let program: &mut FEntry = program(object, probe)?;
    at_function(probe, function, program.load(function, btf))?;
    match program.attach() {
        Ok(_) => Ok(()),
        Err(error) => Err(no_trampoline(probe, &error)),
    }
}

const NO_BTF: LoadError = LoadError::Unsuitable("it needs the kernel's own BTF, which is not there");

fn at_function(probe: &Probe, function: &str, loaded: Result<(), ProgramError>) -> Result<(), LoadError> {
    match loaded {
        Ok(()) => Ok(()),
        Err(ProgramError::Btf(_)) => Err(LoadError::NoHook(format!("function {function} in its BTF"))),
        Err(error) => Err(refused(probe.program, &error)),
    }
}

fn no_trampoline(probe: &Probe, error: &ProgramError) -> LoadError {
    // As on arm64 before Linux 6.4.
    if is_os_error(error, ENOTSUPP) {
        return LoadError::Unsuitable("this kernel has no trampolines for functions on this processor");
    }
    failed(probe.program, error)
}

fn fexit(object: &mut Programs, probe: &Probe, function: &str, btf: Option<&Btf>) -> Result<(), LoadError> {
    let Some(btf) = btf else { return Err(NO_BTF) };
    let program: &mut FExit = program(object, probe)?;
    at_function(probe, function, program.load(function, btf))?;
    match program.attach() {
        Ok(_) => Ok(()),
        Err(error) => Err(no_trampoline(probe, &error)),
    }
}

fn kprobe(
    object: &mut Programs,
    probe: &Probe,
    functions: &'static [Function],
) -> Result<Vec<&'static str>, LoadError> {
    let program: &mut KProbe = program(object, probe)?;
    program.load().map_err(|error| refused(probe.program, &error))?;
    let mut hooks = Vec::new();
    for Function(function, without) in functions {
        match program.attach(function, 0) {
            Ok(_) => hooks.push(*function),
            Err(error) if is_os_error(&error, libc::ENOENT) && *without == Without::Nothing => {}
            Err(error) if is_os_error(&error, libc::ENOENT) => {
                return Err(LoadError::NoHook(format!("function {function} that a kprobe can be put on")));
            }
            Err(error) => return Err(failed(probe.program, &error)),
        }
    }
    Ok(hooks)
}

fn is_os_error(error: &ProgramError, code: i32) -> bool {
    os_error(error).and_then(|error| error.raw_os_error()) == Some(code)
}

/// The programs that gather evidence.
#[derive(Default)]
pub(super) struct Gathered {
    /// Those in place, and where.
    pub programs: Vec<(&'static Probe, Vec<&'static str>)>,
    /// What is missing for want of the others.
    pub missing: Vec<&'static str>,
}

/// Attaches what gathers evidence, as far as this kernel lets it.
pub(super) fn gather(
    object: &mut Programs,
    provider: Provider,
    btf: Option<&Btf>,
    events: &mut Events,
) -> Gathered {
    let mut gathered = Gathered::default();
    match attach(object, &WAKES, btf, events) {
        Ok(Attached::At(hooks)) => gathered.programs.push((&WAKES, hooks)),
        Ok(Attached::Missing(what)) => gathered.missing.push(what),
        // It is never so: without it something is missing.
        Ok(Attached::Unneeded) | Err(_) => {}
    }
    // The program that sees socket calls then sees these as well.
    if provider == Provider::SyscallExit {
        return gathered;
    }
    for way in TURNS {
        match all_of(object, way, btf, events) {
            Ok(programs) => {
                gathered.programs.extend(programs);
                return gathered;
            }
            Err(error) => log::info!("counting turns: {error}"),
        }
    }
    gathered.missing.push(NO_TURNS);
    gathered
}

/// Attaches programs that are used together, or none of them.
fn all_of(
    object: &mut Programs,
    probes: &'static [Probe],
    btf: Option<&Btf>,
    events: &mut Events,
) -> Result<Vec<(&'static Probe, Vec<&'static str>)>, LoadError> {
    let mut programs = Vec::new();
    let held = events.count();
    for probe in probes {
        match attach(object, probe, btf, events) {
            Ok(Attached::At(hooks)) => programs.push((probe, hooks)),
            Ok(Attached::Missing(_) | Attached::Unneeded) => {}
            Err(error) => {
                for probe in probes {
                    detach(object, probe);
                }
                events.keep(held);
                return Err(error);
            }
        }
    }
    Ok(programs)
}

/// Takes a program out of the kernel.
pub(super) fn detach(object: &mut Programs, probe: &Probe) {
    // Failing is no matter: what is left goes with the program that holds it.
    match probe.hook {
        Hook::RawTracepoint(_) => {
            if let Ok(program) = program::<RawTracePoint>(object, probe) {
                let _ = program.unload();
            }
        }
        Hook::SocketEvent(_) | Hook::SyscallEvents(_) => {
            if let Ok(program) = program::<TracePoint>(object, probe) {
                let _ = program.unload();
            }
        }
        Hook::Fentry(_) => {
            if let Ok(program) = program::<FEntry>(object, probe) {
                let _ = program.unload();
            }
        }
        Hook::Fexit(_) => {
            if let Ok(program) = program::<FExit>(object, probe) {
                let _ = program.unload();
            }
        }
        Hook::Kprobe(_) | Hook::Kretprobe(_) => {
            if let Ok(program) = program::<KProbe>(object, probe) {
                let _ = program.unload();
            }
        }
    }
}
