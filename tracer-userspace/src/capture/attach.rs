//! Hooks one program in, and takes it out again.

use aya::programs::{FExit, KProbe, ProgramError, RawTracePoint, TracePoint};
use aya::{Btf, Ebpf};

use super::error::{LoadError, failed, os_error, refused};
use super::events::{Events, expected};
use super::probes::{Function, Hook, Probe, Without};

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
    ebpf: &mut Ebpf,
    probe: &Probe,
    btf: Option<&Btf>,
    events: &mut Events,
) -> Result<Attached, LoadError> {
    let result = match probe.hook {
        Hook::RawTracepoint(name) => raw_tracepoint(ebpf, probe, name).map(|()| vec![name]),
        Hook::SocketEvent(name) => socket_event(ebpf, probe, name, events).map(|()| vec![name]),
        Hook::Fexit(function) => fexit(ebpf, probe, function, btf).map(|()| vec![function]),
        Hook::Kprobe(functions) | Hook::Kretprobe(functions) => kprobe(ebpf, probe, functions),
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

fn program<'a, P>(ebpf: &'a mut Ebpf, probe: &Probe) -> Result<&'a mut P, LoadError>
where
    &'a mut P: TryFrom<&'a mut aya::programs::Program>,
{
    ebpf.program_mut(probe.program).and_then(|program| program.try_into().ok()).ok_or_else(|| {
        LoadError::Failed { program: probe.program.to_owned(), reason: "it is not in the object".to_owned() }
    })
}

fn raw_tracepoint(ebpf: &mut Ebpf, probe: &Probe, name: &str) -> Result<(), LoadError> {
    let program: &mut RawTracePoint = program(ebpf, probe)?;
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

fn socket_event(ebpf: &mut Ebpf, probe: &Probe, name: &str, events: &mut Events) -> Result<(), LoadError> {
    let event = events.find("sock", name)?.ok_or_else(|| no_tracepoint(probe, name))?;
    if !event.has(expected(name)) {
        return Err(LoadError::Unsuitable("the records of its socket events are not as expected"));
    }
    let program: &mut TracePoint = program(ebpf, probe)?;
    program.load().map_err(|error| refused(probe.program, &error))?;
    let fd = program.fd().map_err(|error| failed(probe.program, &error))?;
    events.attach(&event, fd).map_err(|error| failed(probe.program, &error))
}

fn fexit(ebpf: &mut Ebpf, probe: &Probe, function: &str, btf: Option<&Btf>) -> Result<(), LoadError> {
    let Some(btf) = btf else {
        return Err(LoadError::Unsuitable("it needs the kernel's own BTF, which is not there"));
    };
    let program: &mut FExit = program(ebpf, probe)?;
    match program.load(function, btf) {
        Ok(()) => {}
        Err(ProgramError::Btf(_)) => {
            return Err(LoadError::NoHook(format!("function {function} in its BTF")));
        }
        Err(error) => return Err(refused(probe.program, &error)),
    }
    match program.attach() {
        Ok(_) => Ok(()),
        // As on arm64 before Linux 6.4.
        Err(error) if is_os_error(&error, ENOTSUPP) => {
            Err(LoadError::Unsuitable("this kernel has no trampolines for functions on this processor"))
        }
        Err(error) => Err(failed(probe.program, &error)),
    }
}

fn kprobe(
    ebpf: &mut Ebpf,
    probe: &Probe,
    functions: &'static [Function],
) -> Result<Vec<&'static str>, LoadError> {
    let program: &mut KProbe = program(ebpf, probe)?;
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

/// Takes a program out of the kernel.
pub(super) fn detach(ebpf: &mut Ebpf, probe: &Probe) {
    // Failing is no matter: what is left goes with the program that holds it.
    match probe.hook {
        Hook::RawTracepoint(_) => {
            if let Ok(program) = program::<RawTracePoint>(ebpf, probe) {
                let _ = program.unload();
            }
        }
        Hook::SocketEvent(_) => {
            if let Ok(program) = program::<TracePoint>(ebpf, probe) {
                let _ = program.unload();
            }
        }
        Hook::Fexit(_) => {
            if let Ok(program) = program::<FExit>(ebpf, probe) {
                let _ = program.unload();
            }
        }
        Hook::Kprobe(_) | Hook::Kretprobe(_) => {
            if let Ok(program) = program::<KProbe>(ebpf, probe) {
                let _ = program.unload();
            }
        }
    }
}
