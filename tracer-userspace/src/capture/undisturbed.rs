//! Maps that are used only while no ordinary thread can interrupt.
//!
//! While a system call reads or writes a map, the kernel runs no program on a trace event, on a kprobe or (before Linux 6.0) on a
//! function of a program on that processor (`bpf_disable_instrumentation` in kernel/bpf/syscall.c), lest they wait for each
//! other. If the tracer lost the processor in the middle of such a call, others' socket calls would be missed for as
//! long as they have it.

use std::mem::MaybeUninit;

/// How much is done at a time before others may have the processor again: a fraction of a millisecond.
pub(super) const AT_A_TIME: usize = 64;

/// Something whose use makes system calls on maps. There is no way to it but through these functions, which raise the thread above
/// ordinary ones for as long; so nobody can forget to.
pub(super) struct Guarded<M>(M);

impl<M> Guarded<M> {
    /// From now on.
    pub fn new(map: M) -> Self {
        Self(map)
    }

    /// Uses it for a moment: microseconds, not more.
    pub fn with<T>(&self, body: impl FnOnce(&M) -> T) -> T {
        let _undisturbed = Undisturbed::begin();
        body(&self.0)
    }

    /// Changes it, in a moment.
    pub fn with_mut<T>(&mut self, body: impl FnOnce(&mut M) -> T) -> T {
        let _undisturbed = Undisturbed::begin();
        body(&mut self.0)
    }

    /// Walks through something of it that may be long, [`AT_A_TIME`] items in a moment. They are handed to `handle` in between, when
    /// others may run.
    pub fn in_steps<'a, I: Iterator>(
        &'a self,
        begin: impl FnOnce(&'a M) -> I,
        mut handle: impl FnMut(I::Item),
    ) {
        let undisturbed = Undisturbed::begin();
        let mut items = begin(&self.0);
        drop(undisturbed);
        let mut some = Vec::with_capacity(AT_A_TIME);
        loop {
            let undisturbed = Undisturbed::begin();
            some.extend(items.by_ref().take(AT_A_TIME));
            drop(undisturbed);
            let is_last = some.len() < AT_A_TIME;
            some.drain(..).for_each(&mut handle);
            if is_last {
                return;
            }
        }
    }
}

/// While it lives, its thread has a real-time priority. Where that is not allowed (no CAP_SYS_NICE, or a control group
/// without real-time) nothing changes; what is missed then is counted.
struct Undisturbed {
    before: Option<(libc::c_int, libc::sched_param)>,
}

impl Undisturbed {
    /// From now on. To be held for microseconds: nothing else runs on the processor meanwhile.
    fn begin() -> Self {
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

    fn policy() -> libc::c_int {
        // SAFETY: no arguments but this thread.
        unsafe { libc::sched_getscheduler(0) & !libc::SCHED_RESET_ON_FORK }
    }

    /// What a thread has while it is undisturbed: where that is not allowed, what it had.
    fn raised() -> libc::c_int {
        let guard = Undisturbed::begin();
        if guard.before.is_some() { libc::SCHED_FIFO } else { policy() }
    }

    #[test]
    fn every_way_to_a_map_is_undisturbed_and_the_thread_is_as_before_afterwards() {
        let (before, raised) = (policy(), raised());
        let mut map = Guarded::new(());
        assert_eq!(map.with(|()| policy()), raised);
        assert_eq!(map.with_mut(|()| policy()), raised);
        assert_eq!(policy(), before);
    }

    #[test]
    fn long_walks_are_undisturbed_in_steps_and_what_is_found_is_handled_in_between() {
        let (before, raised) = (policy(), raised());
        for count in [0, 1, AT_A_TIME - 1, AT_A_TIME, AT_A_TIME + 1, 3 * AT_A_TIME] {
            let (map, mut handled) = (Guarded::new(0..count), 0);
            let begin = |range: &std::ops::Range<usize>| {
                assert_eq!(policy(), raised);
                range.clone().map(|number| (number, policy()))
            };
            map.in_steps(begin, |(number, within)| {
                assert_eq!((number, within, policy()), (handled, raised, before));
                handled += 1;
            });
            assert_eq!(handled, count);
        }
        assert_eq!(policy(), before);
    }
}
