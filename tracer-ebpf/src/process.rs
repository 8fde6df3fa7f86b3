//! `sched:sched_process_fork`, `_exec` and `_exit`: which processes there are. Children of a recorded process are
//! recorded from their first instruction, so that a process of a few milliseconds is not missed.

use aya_ebpf::macros::raw_tracepoint;
use aya_ebpf::programs::RawTracePointContext;
use tracer_common::abi::{kind, mode, select};

use crate::golang;
use crate::kernel::read_kernel;
use crate::record;
use crate::select::{Who, current, is_marked, mark, mode_now, selected};
use crate::settings::{config, offset};
use crate::{thread, wake};

/// Arguments: `struct task_struct *parent, struct task_struct *child`.
#[raw_tracepoint(tracepoint = "sched_process_fork")]
pub fn process_fork(ctx: RawTracePointContext) -> i32 {
    let Some(parent) = selected() else { return 0 };
    let child: u64 = ctx.arg(1);
    let (Some(tid), Some(tgid)) =
        (read_kernel::<u32>(child + offset!(task_pid)), read_kernel::<u32>(child + offset!(task_tgid)))
    else {
        return 0;
    };
    if tid != tgid {
        wake::created(parent, Who { tgid, tid });
        return 0;
    }
    if config!(adopt_fork) != 0 && is_marked(parent.tgid) {
        mark(tgid);
    }
    record::process(kind::FORK, Who { tgid, tid }, parent.tgid);
    0
}

/// Arguments: `struct task_struct *task, pid_t old_pid, struct linux_binprm *bprm`.
#[raw_tracepoint(tracepoint = "sched_process_exec")]
pub fn process_exec(_ctx: RawTracePointContext) -> i32 {
    if mode_now() != mode::ON {
        return 0;
    }
    let who = current();
    if who.tgid == config!(self_tgid) {
        return 0;
    }
    golang::forget(who.tgid);
    if config!(adopt_exec) != 0 {
        mark(who.tgid);
    }
    if config!(select) == select::ALL || is_marked(who.tgid) {
        record::process(kind::EXEC, who, 0);
    }
    0
}

/// Arguments: `struct task_struct *task`. Runs for each thread; the leader's end is taken for the process's.
#[raw_tracepoint(tracepoint = "sched_process_exit")]
pub fn process_exit(_ctx: RawTracePointContext) -> i32 {
    let Some(who) = selected() else { return 0 };
    thread::ends(who);
    if who.tid == who.tgid {
        golang::forget(who.tgid);
        record::process(kind::EXIT, who, 0);
    }
    0
}
