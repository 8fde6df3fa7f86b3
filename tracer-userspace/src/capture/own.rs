//! What the tracer itself uses: processor time and memory.

use std::mem::MaybeUninit;
use std::time::Duration;

/// Processor time of the tracer so far, all its threads.
pub fn cpu() -> Duration {
    let usage = usage();
    let time = |time: libc::timeval| {
        Duration::from_secs(u64::try_from(time.tv_sec).unwrap_or(0))
            + Duration::from_micros(u64::try_from(time.tv_usec).unwrap_or(0))
    };
    time(usage.ru_utime) + time(usage.ru_stime)
}

/// The most memory that was resident at one time, bytes; 0 where /proc does not tell. (getrusage(2) will not do: its
/// maximum is inherited from the program that was there before exec.)
pub fn peak_rss() -> u64 {
    status("VmHWM:").unwrap_or(0)
}

/// The memory that is resident, bytes; `None` where /proc does not tell.
pub fn rss() -> Option<u64> {
    status("VmRSS:")
}

fn status(name: &str) -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix(name))?;
    let kib: u64 = line.trim().strip_suffix("kB")?.trim().parse().ok()?;
    Some(kib.saturating_mul(1024))
}

fn usage() -> libc::rusage {
    let mut usage = MaybeUninit::<libc::rusage>::zeroed();
    // SAFETY: a structure of this size is written, and all zeros is one.
    unsafe {
        libc::getrusage(libc::RUSAGE_SELF, usage.as_mut_ptr());
        usage.assume_init()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_used_shows() {
        // Other tests run in this process too: only what is held here is certain.
        let memory = vec![1u8; 64 << 20];
        assert!(memory.iter().all(|byte| *byte == 1));
        let held = rss().unwrap();
        assert!(held > 60 << 20, "{held}");
        assert!(peak_rss() > 60 << 20);
        drop(memory);
        assert!(cpu() > Duration::ZERO);
    }
}
