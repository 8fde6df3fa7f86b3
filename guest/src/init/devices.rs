//! Modules, disks, the loopback interface, limits.

use std::fs::{self, File};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use nix::errno::Errno;
use nix::kmod::{ModuleInitFlags, finit_module};
use tracer_guest::plan::{DISK, MODULES};

use crate::report;

/// Loads the modules in the order given. One that the kernel has already, or whose device is not there, is no error.
pub fn load_modules(names: &[String]) -> Result<()> {
    for name in names {
        let path = Path::new(MODULES).join(name);
        let file = File::open(&path).with_context(|| format!("no module {}", path.display()))?;
        match finit_module(&file, c"", ModuleInitFlags::empty()) {
            Ok(()) | Err(Errno::EEXIST | Errno::ENODEV) => {}
            // What needs it will say what is missing; here is why.
            Err(error) => report::console(&format!("guest-init: module {name}: {error}")),
        }
    }
    Ok(())
}

/// Asks again and again until there is an answer.
pub fn wait_for<T>(what: &str, limit: Duration, find: impl Fn() -> Option<T>) -> Result<T> {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = find() {
            return Ok(found);
        }
        if Instant::now() > deadline {
            bail!("{what} did not come up within {limit:?}");
        }
        thread::sleep(Duration::from_millis(20));
    }
}

/// The disk whose serial number is [`DISK`].
pub fn root_disk() -> Result<PathBuf> {
    wait_for("the root disk", Duration::from_secs(30), || {
        fs::read_dir("/sys/block").ok()?.flatten().find_map(|entry| {
            let serial = fs::read_to_string(entry.path().join("serial")).ok()?;
            let device = PathBuf::from("/dev").join(entry.file_name());
            (serial.trim() == DISK && device.exists()).then_some(device)
        })
    })
}

/// Brings the loopback interface up; the kernel gives it its addresses.
pub fn loopback_up() -> Result<()> {
    // SAFETY: an ifreq is plain data, for which all zeros is a value.
    let mut request: libc::ifreq = unsafe { std::mem::zeroed() };
    for (to, &from) in request.ifr_name.iter_mut().zip(b"lo") {
        *to = libc::c_char::from_ne_bytes([from]);
    }
    request.ifr_ifru.ifru_flags = (libc::IFF_UP | libc::IFF_RUNNING) as i16;
    let socket = std::net::UdpSocket::bind("0.0.0.0:0").context("cannot make a socket")?;
    let fd = std::os::fd::AsRawFd::as_raw_fd(&socket);
    // SAFETY: the descriptor is open through the call, and SIOCSIFFLAGS reads one ifreq, which `request` is.
    let result = unsafe { libc::ioctl(fd, libc::SIOCSIFFLAGS, &raw const request) };
    if result != 0 {
        bail!("cannot bring the loopback interface up: {}", std::io::Error::last_os_error());
    }
    Ok(())
}

/// Open files as on a server; inherited by the jobs. And memory that is promised, not used, as on a larger one: Lua's
/// allocator, which wrk uses, reserves more than this machine has.
pub fn raise_limits() -> Result<()> {
    fs::write("/proc/sys/vm/overcommit_memory", "1").context("cannot allow memory to be promised")?;
    let limit = libc::rlimit { rlim_cur: 65_536, rlim_max: 65_536 };
    // SAFETY: setrlimit reads one rlimit, which lives through the call.
    if unsafe { libc::setrlimit(libc::RLIMIT_NOFILE, &raw const limit) } != 0 {
        bail!("cannot raise the limit of open files: {}", std::io::Error::last_os_error());
    }
    Ok(())
}
