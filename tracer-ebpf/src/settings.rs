//! Read-only data that userspace writes before load. The verifier treats it as constants and removes what it switches
//! off. Read through volatile loads, because the compiler would fold the initial values.

use tracer_common::abi::{Config, DEFAULT_CALL_BYTES, DEFAULT_HEAD_BYTES, select};
use tracer_common::offsets::Offsets;

#[unsafe(no_mangle)]
#[used]
pub(crate) static CONFIG: Config = Config {
    self_tgid: 0,
    select: select::ALL,
    head_bytes: DEFAULT_HEAD_BYTES,
    ports: [0; 16],
    has_task_pt_regs: 0,
    adopt_exec: 0,
    adopt_fork: 0,
    pt_regs_offset: 0,
    may_miss: 0,
    evidence: 0,
    turns_at_exit: 0,
    call_bytes: DEFAULT_CALL_BYTES,
};

#[unsafe(no_mangle)]
#[used]
pub(crate) static OFFSETS: Offsets = Offsets::ABSENT;

/// Reads one field of the configuration.
macro_rules! config {
    ($field:ident) => {
        $crate::settings::load(&raw const $crate::settings::CONFIG.$field)
    };
}

/// Reads one offset, in bytes, as an address difference.
macro_rules! offset {
    ($field:ident) => {
        $crate::settings::load(&raw const $crate::settings::OFFSETS.$field) as u64
    };
}

pub(crate) use {config, offset};

/// Volatile, because userspace patches what the compiler believes to know.
#[inline(always)]
pub(crate) fn load<T: Copy>(field: *const T) -> T {
    // SAFETY: only called by the macros above, with fields of statics.
    unsafe { core::ptr::read_volatile(field) }
}
