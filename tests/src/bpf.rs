//! Which BPF programs the kernel has loaded: what a tracer that is gone must not leave behind.

use std::collections::BTreeSet;
use std::io;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, bail};

/// `BPF_PROG_GET_NEXT_ID` (include/uapi/linux/bpf.h, since Linux 4.13).
const PROG_GET_NEXT_ID: libc::c_long = 11;

/// The part of `union bpf_attr` for that command.
#[repr(C)]
struct GetNextId {
    start_id: u32,
    next_id: u32,
    open_flags: u32,
}

/// The ids of all loaded programs. Needs root.
pub fn programs() -> Result<BTreeSet<u32>> {
    let mut ids = BTreeSet::new();
    let mut attr = GetNextId { start_id: 0, next_id: 0, open_flags: 0 };
    loop {
        // SAFETY: the kernel reads and writes `size_of::<GetNextId>()` bytes at `attr`, which lives through the call.
        let result =
            unsafe { libc::syscall(libc::SYS_bpf, PROG_GET_NEXT_ID, &raw mut attr, size_of::<GetNextId>()) };
        if result != 0 {
            let error = io::Error::last_os_error();
            match error.raw_os_error() {
                Some(libc::ENOENT) => return Ok(ids),
                _ => bail!("the kernel does not list its BPF programs: {error}"),
            }
        }
        ids.insert(attr.next_id);
        attr.start_id = attr.next_id;
    }
}

/// Waits until no program is loaded that was not in `before`.
pub fn wait_until_gone(before: &BTreeSet<u32>, limit: Duration) -> Result<()> {
    let deadline = Instant::now() + limit;
    loop {
        let left: Vec<u32> = programs()?.difference(before).copied().collect();
        if left.is_empty() {
            return Ok(());
        }
        if Instant::now() > deadline {
            bail!("{} BPF programs are still loaded after {limit:?}: {left:?}", left.len());
        }
        thread::sleep(Duration::from_millis(20));
    }
}
