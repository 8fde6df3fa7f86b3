//! The programs that gather evidence of causes beside the bytes: what threads waited for, and who woke them.
//!
//! None of them is needed in order to see requests. What cannot be hooked in is missing, and that is told.

use super::probes::{Function, Hook, Probe, Without};

/// Said where turns cannot be counted.
pub(super) const NO_TURNS: &str = "when event loops take turns (evidence of which request made which call)";

/// The kernel's function behind a system call, as it is called on this architecture.
#[cfg(target_arch = "x86_64")]
macro_rules! function {
    ($call:literal) => {
        concat!("__x64_sys_", $call)
    };
}
#[cfg(target_arch = "aarch64")]
macro_rules! function {
    ($call:literal) => {
        concat!("__arm64_sys_", $call)
    };
}

/// Who wakes whom. It runs at every wake of the host, and looks further only at those by threads that have read something.
pub(super) static WAKES: Probe = Probe {
    program: "waking",
    hook: Hook::RawTracepoint("sched_waking"),
    since: (4, 17),
    provider: None,
    without: Without::Misses("which thread woke which (evidence of which request made which call)"),
};

const fn entry(program: &'static str, function: &'static str, without: Without) -> Probe {
    Probe { program, hook: Hook::Fentry(function), since: (5, 5), provider: None, without }
}

const fn way(program: &'static str, hook: Hook) -> Probe {
    Probe { program, hook, since: (4, 17), provider: None, without: Without::Fails }
}

/// What can be waited in. All architectures have epoll_pwait; where epoll is not built in, nothing is counted.
const WAITS: &[Function] = &[
    Function(function!("epoll_pwait"), Without::Fails),
    Function(function!("epoll_wait"), Without::Nothing),
    Function(function!("epoll_pwait2"), Without::Nothing),
    Function(function!("poll"), Without::Nothing),
    Function(function!("ppoll"), Without::Nothing),
    Function(function!("select"), Without::Nothing),
    Function(function!("pselect6"), Without::Nothing),
    Function(function!("io_uring_enter"), Without::Nothing),
];

/// The exits of the same, as trace events.
const EXITS: &[&str] = &[
    "sys_exit_epoll_pwait",
    "sys_exit_epoll_wait",
    "sys_exit_epoll_pwait2",
    "sys_exit_poll",
    "sys_exit_ppoll",
    "sys_exit_select",
    "sys_exit_pselect6",
    "sys_exit_io_uring_enter",
];

/// How turns of event loops can be counted, in the order in which that is tried: the cheapest for the host first. Each is a
/// list of programs that are used together.
pub(super) const TURNS: &[&[Probe]] = &[
    // The functions' entries: other system calls pay nothing. Linux 5.5 and later with BTF and BPF trampolines; not on a kernel
    // locked down. Safe where function exits are not: such a program is over before the function sleeps.
    &[
        entry("turn_eppwait", function!("epoll_pwait"), Without::Fails),
        entry("turn_epwait", function!("epoll_wait"), Without::Nothing),
        entry("turn_eppwait2", function!("epoll_pwait2"), Without::Nothing),
        entry("turn_poll", function!("poll"), Without::Nothing),
        entry("turn_ppoll", function!("ppoll"), Without::Nothing),
        entry("turn_select", function!("select"), Without::Nothing),
        entry("turn_pselect", function!("pselect6"), Without::Nothing),
        entry("turn_uring", function!("io_uring_enter"), Without::Nothing),
    ],
    // The same by kprobes: a little dearer for those calls. They have no returns that could be missed.
    &[way("turn_call", Hook::Kprobe(WAITS))],
    // Trace events of single system calls (CONFIG_FTRACE_SYSCALLS): every system call of the host then takes a longer way.
    &[way("turn_event", Hook::SyscallEvents(EXITS))],
    // Every system call runs the program.
    &[way("turn_exit", Hook::RawTracepoint("sys_exit"))],
];

/// All programs, for what is told of a kernel.
pub fn all() -> impl Iterator<Item = &'static Probe> {
    TURNS.iter().copied().flatten().chain([&WAKES])
}

#[cfg(test)]
mod tests {
    use super::super::probes::PROBES;
    use super::*;

    #[test]
    fn no_program_is_named_twice() {
        let mut names: Vec<_> = all().chain(PROBES).map(|probe| probe.program).collect();
        let count = names.len();
        names.sort_unstable();
        names.dedup();
        assert_eq!(names.len(), count);
    }

    #[test]
    fn every_way_counts_the_same_calls() {
        let of = |way: &[Probe]| -> Vec<String> {
            let mut calls: Vec<String> = way
                .iter()
                .flat_map(|probe| match probe.hook {
                    Hook::SyscallEvents(events) => events.to_vec(),
                    hook => hook.functions(),
                })
                .map(|name| {
                    let name = name.trim_start_matches("__x64_sys_").trim_start_matches("__arm64_sys_");
                    name.trim_start_matches("sys_exit_").to_owned()
                })
                .collect();
            calls.sort();
            calls
        };
        let [entries, kprobes, events, _all] = TURNS else { panic!("a way is new") };
        assert_eq!(of(entries), of(kprobes));
        assert_eq!(of(entries), of(events));
        assert_eq!(of(entries).len(), 8);
    }
}
