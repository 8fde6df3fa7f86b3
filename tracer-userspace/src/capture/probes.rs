//! Which programs there are, where each is hooked in, what it needs, and what takes its place.
//!
//! Bytes are seen through one of several providers of the same events. They are tried in the order of
//! [`Provider::ALL`], the cheapest for the host first; the first that loads and passes the self-check is used.

use std::fmt;

/// Where the connection's bytes are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// `sock_send_length` and `sock_recv_length`, as Linux 6.3 and later have them: unrelated system calls pay nothing.
    SocketTracepoints,
    /// The trace events of the same names, whose programs cannot be interrupted by each other: a little dearer.
    SocketEvents,
    /// The exits of the socket functions: the same, one trampoline more. Linux 5.5 and later with BTF and BPF trampolines;
    /// not on a kernel locked down.
    FunctionExits,
    /// The socket functions by kprobe and kretprobe: dearer, and returns can be missed (which is counted). A kernel with
    /// CONFIG_KPROBES and perf events.
    Kprobes,
    /// `sys_exit`: every system call of the host pays a little. Any kernel with BPF tracing.
    SyscallExit,
}

impl Provider {
    /// In the order in which they are tried.
    pub const ALL: [Self; 5] =
        [Self::SocketTracepoints, Self::SocketEvents, Self::FunctionExits, Self::Kprobes, Self::SyscallExit];

    /// As the command line and `doctor --json` call it.
    pub fn name(self) -> &'static str {
        match self {
            Self::SocketTracepoints => "tracepoint",
            Self::SocketEvents => "event",
            Self::FunctionExits => "fexit",
            Self::Kprobes => "kprobe",
            Self::SyscallExit => "syscall",
        }
    }

    /// As a person would say it.
    pub fn describe(self) -> &'static str {
        match self {
            Self::SocketTracepoints => "socket tracepoints (sock_send_length, sock_recv_length)",
            Self::SocketEvents => "socket trace events (sock_send_length, sock_recv_length)",
            Self::FunctionExits => "exits of the socket functions (fexit)",
            Self::Kprobes => "kprobes on the socket functions",
            Self::SyscallExit => "system call exit tracepoint (sys_exit)",
        }
    }

    /// Calls may be missed without a sign of their own on a kernel of that version.
    pub fn may_miss(self, kernel: (u32, u32)) -> bool {
        match self {
            Self::SocketEvents | Self::FunctionExits | Self::Kprobes => true,
            Self::SocketTracepoints => false,
            Self::SyscallExit => kernel >= INTERRUPTIBLE,
        }
    }

    /// What is not seen through it, and is through the socket tracepoints.
    pub fn blind_to(self) -> Option<&'static str> {
        match self {
            Self::SyscallExit => Some(
                "calls through io_uring, recvmmsg and sendmmsg (but for DNS), and those of 32-bit programs",
            ),
            Self::SocketTracepoints | Self::SocketEvents | Self::FunctionExits | Self::Kprobes => None,
        }
    }
}

impl fmt::Display for Provider {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// Where a program is hooked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Hook {
    /// A tracepoint, without its format.
    RawTracepoint(&'static str),
    /// A trace event of the group `sock`, with its record.
    SocketEvent(&'static str),
    /// Trace events of the group `syscalls`, whose records are not looked at; those that the kernel does not have are left out.
    SyscallEvents(&'static [&'static str]),
    /// The entry of a kernel function.
    Fentry(&'static str),
    /// The exit of a kernel function.
    Fexit(&'static str),
    /// The entry of kernel functions.
    Kprobe(&'static [Function]),
    /// The return of kernel functions.
    Kretprobe(&'static [Function]),
}

impl Hook {
    /// The tracepoint, if it is one.
    pub fn tracepoint(self) -> Option<&'static str> {
        match self {
            Self::RawTracepoint(name) | Self::SocketEvent(name) => Some(name),
            Self::SyscallEvents(_)
            | Self::Fentry(_)
            | Self::Fexit(_)
            | Self::Kprobe(_)
            | Self::Kretprobe(_) => None,
        }
    }

    /// The kernel functions, if it is any.
    pub fn functions(self) -> Vec<&'static str> {
        match self {
            Self::RawTracepoint(_) | Self::SocketEvent(_) | Self::SyscallEvents(_) => Vec::new(),
            Self::Fentry(name) | Self::Fexit(name) => vec![name],
            Self::Kprobe(functions) | Self::Kretprobe(functions) => {
                functions.iter().map(|Function(name, _)| *name).collect()
            }
        }
    }
}

/// A kernel function that a probe is put on, and what it means that the kernel has none of this name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Function(pub &'static str, pub Without);

/// What it means that a program cannot be hooked in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Without {
    /// This provider cannot be used.
    Fails,
    /// This is missing then.
    Misses(&'static str),
    /// Nothing, as long as the kernel does not have it at all: it has been replaced, or a part of it was not built in.
    Nothing,
}

/// One program of the object.
#[derive(Debug)]
pub struct Probe {
    /// Name of the program in the object.
    pub program: &'static str,
    /// Where it goes.
    pub hook: Hook,
    /// First kernel version with that hook.
    pub since: (u32, u32),
    /// Used with this provider only.
    pub provider: Option<Provider>,
    /// What it means to be without it.
    pub without: Without,
}

const SEND_FUNCTIONS: &[Function] = &[
    Function("inet_sendmsg", Without::Fails),
    Function("inet6_sendmsg", Without::Nothing),
    Function("unix_stream_sendmsg", Without::Nothing),
    Function("inet_sendpage", Without::Nothing),
    Function("unix_stream_sendpage", Without::Nothing),
];

const RECEIVE_FUNCTIONS: &[Function] = &[
    Function("inet_recvmsg", Without::Fails),
    Function("inet6_recvmsg", Without::Nothing),
    Function("unix_stream_recvmsg", Without::Nothing),
];

const fn tracepoint(program: &'static str, hook: &'static str, since: (u32, u32), of: Provider) -> Probe {
    let hook = Hook::RawTracepoint(hook);
    Probe { program, hook, since, provider: Some(of), without: Without::Fails }
}

const fn event(program: &'static str, name: &'static str, since: (u32, u32)) -> Probe {
    let hook = Hook::SocketEvent(name);
    Probe { program, hook, since, provider: Some(Provider::SocketEvents), without: Without::Fails }
}

const fn common(program: &'static str, hook: &'static str, without: Without) -> Probe {
    Probe { program, hook: Hook::RawTracepoint(hook), since: (4, 17), provider: None, without }
}

const fn fexit(program: &'static str, function: &'static str, without: Without) -> Probe {
    Probe {
        program,
        hook: Hook::Fexit(function),
        since: (5, 5),
        provider: Some(Provider::FunctionExits),
        without,
    }
}

const fn kprobe(program: &'static str, hook: Hook) -> Probe {
    Probe { program, hook, since: (4, 17), provider: Some(Provider::Kprobes), without: Without::Fails }
}

/// From here on tasks can be switched inside a tracepoint (the change that commit 16718274ee75 prepared for), and the
/// kernel leaves a raw tracepoint's program out while the same program is interrupted on that processor. Seen on 7.3:
/// one call of a few hundred in an emulated guest under load; not on 6.18.
pub const INTERRUPTIBLE: (u32, u32) = (7, 0);

/// All programs.
pub const PROBES: &[Probe] = &[
    tracepoint("sock_send", "sock_send_length", (6, 3), Provider::SocketTracepoints),
    tracepoint("sock_recv", "sock_recv_length", (6, 3), Provider::SocketTracepoints),
    event("event_send", "sock_send_length", (6, 3)),
    event("event_recv", "sock_recv_length", (6, 3)),
    // Beside `tcp_state`: that one can be interrupted by another task, this one is not run inside interrupts that come
    // in the middle of another program on an event. One of the two always runs.
    event("event_state", "inet_sock_set_state", (4, 16)),
    fexit("inet_send", "inet_sendmsg", Without::Fails),
    fexit("inet_recv", "inet_recvmsg", Without::Fails),
    fexit("inet6_send", "inet6_sendmsg", Without::Nothing),
    fexit("inet6_recv", "inet6_recvmsg", Without::Nothing),
    fexit("unix_send", "unix_stream_sendmsg", Without::Nothing),
    fexit("unix_recv", "unix_stream_recvmsg", Without::Nothing),
    // Until Linux 6.4 (commit dc97391e6610 removed sendpage): later sendfile goes through sendmsg.
    fexit("inet_page", "inet_sendpage", Without::Nothing),
    fexit("unix_page", "unix_stream_sendpage", Without::Nothing),
    kprobe("call_send", Hook::Kprobe(SEND_FUNCTIONS)),
    kprobe("call_recv", Hook::Kprobe(RECEIVE_FUNCTIONS)),
    kprobe("ret_send", Hook::Kretprobe(SEND_FUNCTIONS)),
    kprobe("ret_recv", Hook::Kretprobe(RECEIVE_FUNCTIONS)),
    tracepoint("sys_exit", "sys_exit", (4, 17), Provider::SyscallExit),
    // Without it a closed connection's memory could be taken for another connection's.
    common("tcp_state", "inet_sock_set_state", Without::Fails),
    // Without it connections that were closed with something left to read would stay in the table.
    common("tcp_destroy", "tcp_destroy_sock", Without::Fails),
    common(
        "process_fork",
        "sched_process_fork",
        Without::Misses("children of traced processes that start during the capture"),
    ),
    common(
        "process_exec",
        "sched_process_exec",
        Without::Misses("names of programs that start during the capture"),
    ),
    common("process_exit", "sched_process_exit", Without::Misses("the end of processes")),
];

/// The programs for a provider.
pub fn for_provider(provider: Provider) -> impl Iterator<Item = &'static Probe> {
    PROBES.iter().filter(move |probe| probe.provider.is_none_or(|only| only == provider))
}

/// What a program sees.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Watches {
    /// Calls that move bytes.
    Calls,
    /// Processes and connections that come and go.
    Changes,
    /// Connections that come and go, which another program sees as well.
    Twice,
}

impl Probe {
    /// What it sees, when that provider is in use.
    pub fn watches(&self, provider: Provider) -> Watches {
        match self.hook.tracepoint() {
            Some("inet_sock_set_state") if provider == Provider::SocketEvents => Watches::Twice,
            Some("inet_sock_set_state") => Watches::Changes,
            // Connections that end without it are seen by the above; the entry of another one is known for what it is when its memory is used again.
            Some("tcp_destroy_sock") => Watches::Twice,
            _ if self.provider.is_some() => Watches::Calls,
            _ => Watches::Changes,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_has_programs_of_its_own_and_the_common_ones() {
        for provider in Provider::ALL {
            let names: Vec<_> = for_provider(provider).map(|probe| probe.program).collect();
            assert!(names.contains(&"tcp_state"), "{provider}");
            let own: Vec<_> = PROBES.iter().filter(|probe| probe.provider == Some(provider)).collect();
            assert!(!own.is_empty(), "{provider}");
            assert!(own.iter().all(|probe| names.contains(&probe.program)), "{provider}");
            let others = PROBES.iter().filter(|probe| probe.provider.is_some_and(|other| other != provider));
            assert!(others.into_iter().all(|probe| !names.contains(&probe.program)), "{provider}");
        }
    }

    #[test]
    fn no_program_is_named_twice() {
        for (at, probe) in PROBES.iter().enumerate() {
            assert!(
                PROBES.iter().skip(at + 1).all(|other| other.program != probe.program),
                "{}",
                probe.program
            );
        }
    }
}
