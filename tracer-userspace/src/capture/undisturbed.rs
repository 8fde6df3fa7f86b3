//! A thread that ordinary ones do not interrupt, for moments.
//!
//! While a system call reads or writes a map, the kernel runs no program on a trace event or a kprobe on that processor
//! (`bpf_disable_instrumentation` in kernel/bpf/syscall.c), lest they wait for each other. If the tracer lost the processor
//! in the middle of such a call, others' socket calls would be missed for as long as they have it.

use std::mem::MaybeUninit;

/// While it lives, its thread has a real-time priority. Where that is not allowed (no CAP_SYS_NICE, or a control group
/// without real-time) nothing changes; what is missed then is counted.
pub(super) struct Undisturbed {
    before: Option<(libc::c_int, libc::sched_param)>,
}

impl Undisturbed {
    /// From now on. To be held for microseconds, not more: nothing else runs on the processor meanwhile.
    pub fn begin() -> Self {
        let mut param = MaybeUninit::<libc::sched_param>::zeroed();
        // SAFETY: no arguments but this thread.
        let policy = unsafe { libc::sched_getscheduler(0) };
        // SAFETY: a structure of this size is written, and all zeros is one.
        let param = unsafe {
            libc::sched_getparam(0, param.as_mut_ptr());
            param.assume_init()
        };
        if policy != libc::SCHED_OTHER && policy != libc::SCHED_BATCH && policy != libc::SCHED_IDLE {
            return Self { before: None };
        }
        // The lowest of the real-time priorities is above all ordinary threads. Children do not inherit it.
        let raised =
            set(libc::SCHED_FIFO | libc::SCHED_RESET_ON_FORK, libc::sched_param { sched_priority: 1 });
        Self { before: raised.then_some((policy, param)) }
    }
}

impl Drop for Undisturbed {
    fn drop(&mut self) {
        if let Some((policy, param)) = self.before {
            set(policy, param);
        }
    }
}

fn set(policy: libc::c_int, param: libc::sched_param) -> bool {
    // SAFETY: this thread, and a pointer to a local.
    unsafe { libc::sched_setscheduler(0, policy, &raw const param) == 0 }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_thread_is_as_before_afterwards() {
        // SAFETY: no arguments but this thread.
        let policy = || unsafe { libc::sched_getscheduler(0) } & !libc::SCHED_RESET_ON_FORK;
        let before = policy();
        let guard = Undisturbed::begin();
        let within = policy();
        assert!(within == libc::SCHED_FIFO || guard.before.is_none());
        drop(guard);
        assert_eq!(policy(), before);
    }
}
