//! Programs on trace events. They are run by perf, so each hangs on a perf event, which is kept here.

use std::io;
use std::os::fd::{AsFd, AsRawFd, FromRawFd, OwnedFd};

use aya_obj::generated::{
    PERF_EVENT_IOC_ENABLE, PERF_EVENT_IOC_SET_BPF, PERF_FLAG_FD_CLOEXEC, perf_event_attr, perf_type_id,
};

use super::error::LoadError;
use super::tracefs::{Event, Tracefs};

/// The record of `sock_send_length` and `sock_recv_length` as the programs read it (`SockMsgLength` in
/// `tracer-ebpf/src/socket.rs`): name, offset, size in bytes.
pub(super) const SOCK_MSG_LENGTH: &[(&str, usize, usize)] = &[("sk", 8, 8), ("ret", 20, 4), ("flags", 24, 4)];

/// The record of `inet_sock_set_state` likewise (`SetState` in `tracer-ebpf/src/tcp.rs`).
const INET_SOCK_SET_STATE: &[(&str, usize, usize)] = &[("skaddr", 8, 8), ("newstate", 20, 4)];

/// What the programs expect of an event's record.
pub(super) fn expected(name: &str) -> &'static [(&'static str, usize, usize)] {
    if name == "inet_sock_set_state" { INET_SOCK_SET_STATE } else { SOCK_MSG_LENGTH }
}

/// The kernel's events, and what holds programs on them.
#[derive(Default)]
pub(super) struct Events {
    tracefs: Option<Tracefs>,
    held: Vec<OwnedFd>,
}

impl Events {
    /// An event of the running kernel; `None` if it has no such.
    pub fn find(&mut self, group: &str, name: &str) -> Result<Option<Event>, LoadError> {
        let unreadable = |error: io::Error| LoadError::NoEvents(error.to_string());
        let tracefs = match &mut self.tracefs {
            Some(tracefs) => tracefs,
            none => none.insert(Tracefs::open().map_err(unreadable)?),
        };
        tracefs.event(group, name).map_err(unreadable)
    }

    /// Puts a loaded program on an event: it runs for every task on every processor.
    pub fn attach(&mut self, event: &Event, program: impl AsFd) -> io::Result<()> {
        // SAFETY: a C structure of integers, in which zero is "not asked for".
        let mut attr: perf_event_attr = unsafe { std::mem::zeroed() };
        attr.type_ = perf_type_id::PERF_TYPE_TRACEPOINT as u32;
        attr.size = size_of::<perf_event_attr>() as u32;
        attr.config = event.id;
        // The event itself is on one processor and records nothing: the program says so. Programs run on all of them
        // (perf_trace_run_bpf_submit in kernel/events/core.c).
        let (any_task, first_processor, no_group) = (-1, 0, -1);
        // SAFETY: a pointer to a local that says its own size, and integers.
        let fd = unsafe {
            libc::syscall(
                libc::SYS_perf_event_open,
                &raw mut attr,
                any_task,
                first_processor,
                no_group,
                libc::c_ulong::from(PERF_FLAG_FD_CLOEXEC),
            )
        };
        let fd = i32::try_from(fd).ok().filter(|fd| *fd >= 0).ok_or_else(io::Error::last_os_error)?;
        // SAFETY: a descriptor that was just made and belongs to nobody else.
        let held = unsafe { OwnedFd::from_raw_fd(fd) };
        ioctl(&held, PERF_EVENT_IOC_SET_BPF, program.as_fd().as_raw_fd())?;
        ioctl(&held, PERF_EVENT_IOC_ENABLE, 0)?;
        self.held.push(held);
        Ok(())
    }

    /// How many programs it holds on events.
    pub fn count(&self) -> usize {
        self.held.len()
    }

    /// Takes the programs off that came after the first so many.
    pub fn keep(&mut self, count: usize) {
        self.held.truncate(count);
    }

    /// Takes the programs off.
    pub fn detach(&mut self) {
        self.held.clear();
    }
}

fn ioctl(fd: &OwnedFd, request: u32, argument: libc::c_int) -> io::Result<()> {
    // SAFETY: both requests take an integer.
    let result = unsafe { libc::ioctl(fd.as_raw_fd(), request as _, argument) };
    if result < 0 { Err(io::Error::last_os_error()) } else { Ok(()) }
}
