//! Which programs there are, what each needs, and what takes its place.

/// Where the connection's bytes are seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Provider {
    /// `sock_send_length` and `sock_recv_length`: unrelated system calls pay nothing.
    SocketTracepoints,
    /// `sys_exit`: every system call of the host pays a little.
    SyscallExit,
}

impl Provider {
    /// As a person would say it.
    pub fn describe(self) -> &'static str {
        match self {
            Provider::SocketTracepoints => "socket tracepoints (sock_send_length, sock_recv_length)",
            Provider::SyscallExit => "system call exit tracepoint (sys_exit)",
        }
    }
}

/// One program of the object.
pub struct Probe {
    /// Name of the program in the object.
    pub program: &'static str,
    /// Raw tracepoint that it is attached to.
    pub tracepoint: &'static str,
    /// First kernel version with that tracepoint.
    pub since: (u32, u32),
    /// Used with this provider only.
    pub provider: Option<Provider>,
    /// What is missing without it; `None` when the tracer cannot work without it.
    pub without: Option<&'static str>,
}

/// All programs.
pub const PROBES: &[Probe] = &[
    Probe {
        program: "sock_send",
        tracepoint: "sock_send_length",
        since: (6, 3),
        provider: Some(Provider::SocketTracepoints),
        without: None,
    },
    Probe {
        program: "sock_recv",
        tracepoint: "sock_recv_length",
        since: (6, 3),
        provider: Some(Provider::SocketTracepoints),
        without: None,
    },
    Probe {
        program: "sys_exit",
        tracepoint: "sys_exit",
        since: (4, 17),
        provider: Some(Provider::SyscallExit),
        without: None,
    },
    Probe {
        program: "tcp_state",
        tracepoint: "inet_sock_set_state",
        since: (4, 17),
        provider: None,
        // Without it a closed connection's memory could be taken for another connection's.
        without: None,
    },
    Probe {
        program: "process_fork",
        tracepoint: "sched_process_fork",
        since: (4, 17),
        provider: None,
        without: Some("children of traced processes that start during the capture"),
    },
    Probe {
        program: "process_exec",
        tracepoint: "sched_process_exec",
        since: (4, 17),
        provider: None,
        without: Some("names of programs that start during the capture"),
    },
    Probe {
        program: "process_exit",
        tracepoint: "sched_process_exit",
        since: (4, 17),
        provider: None,
        without: Some("the end of processes"),
    },
];

/// The programs for a provider.
pub fn for_provider(provider: Provider) -> impl Iterator<Item = &'static Probe> {
    PROBES.iter().filter(move |probe| probe.provider.is_none_or(|only| only == provider))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_provider_has_programs_of_its_own_and_the_common_ones() {
        let names = |provider| for_provider(provider).map(|p| p.program).collect::<Vec<_>>();
        assert!(names(Provider::SocketTracepoints).contains(&"sock_send"));
        assert!(!names(Provider::SocketTracepoints).contains(&"sys_exit"));
        assert!(names(Provider::SyscallExit).contains(&"sys_exit"));
        assert!(names(Provider::SyscallExit).contains(&"tcp_state"));
    }
}
