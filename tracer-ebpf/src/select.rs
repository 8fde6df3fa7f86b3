//! Which calls are looked at: the tracer's own never are (it would trace its own output), except during the check at
//! start.

use aya_ebpf::helpers::generated::bpf_get_current_pid_tgid;
use tracer_common::abi::{mode, select};

use crate::maps::{MODE, PROCESSES};
use crate::settings::config;

/// A thread and its process.
#[derive(Clone, Copy)]
pub struct Who {
    /// Process id.
    pub tgid: u32,
    /// Thread id.
    pub tid: u32,
}

/// The current task.
#[inline(always)]
pub fn current() -> Who {
    // SAFETY: no arguments, no conditions.
    let id = unsafe { bpf_get_current_pid_tgid() };
    Who { tgid: (id >> 32) as u32, tid: id as u32 }
}

/// One of `abi::mode`.
#[inline(always)]
pub fn mode_now() -> u32 {
    match MODE.get(0) {
        Some(value) => *value,
        None => mode::OFF,
    }
}

/// Whether calls of the current task are looked at, and by whom they are made.
#[inline(always)]
pub fn selected() -> Option<Who> {
    let mode = mode_now();
    if mode == mode::OFF {
        return None;
    }
    let who = current();
    if mode == mode::SELF_CHECK {
        return if who.tgid == config!(self_tgid) { Some(who) } else { None };
    }
    if who.tgid == config!(self_tgid) {
        return None;
    }
    if config!(select) == select::PROCESSES && !is_marked(who.tgid) {
        return None;
    }
    Some(who)
}

/// Whether the process was chosen by its id.
#[inline(always)]
pub fn is_marked(tgid: u32) -> bool {
    match PROCESSES.get(tgid >> 3) {
        Some(bytes) => bytes[(tgid & 7) as usize] != 0,
        None => false,
    }
}

/// Chooses a process.
#[inline(always)]
pub fn mark(tgid: u32) {
    if let Some(bytes) = PROCESSES.get_ptr_mut(tgid >> 3) {
        // SAFETY: the index is below 8; a byte store is atomic, and neighbours are not touched.
        unsafe { (bytes as *mut u8).add((tgid & 7) as usize).write_volatile(1) };
    }
}

/// Whether a connection with these ports is wanted. Only asked where ports were given.
#[inline(always)]
pub fn port_wanted(local: u16, remote: u16) -> bool {
    let ports = config!(ports);
    let mut at = 0;
    while at < ports.len() {
        let port = ports[at];
        if port != 0 && (port == local || port == remote) {
            return true;
        }
        at += 1;
    }
    false
}
