//! nginx: file server, reverse proxy, fast backend (`tests/services/nginx.conf`).

use anyhow::{Context, Result};

use super::{Options, Service};
use crate::access_log::Unit;
use crate::net;
use crate::process::Spec;
use crate::scratch::Scratch;

/// Size of `/big.bin`.
pub const BIG: u64 = 128 * 1024 * 1024;

/// Starts nginx with one worker.
pub fn start(options: &Options) -> Result<Service> {
    start_on(options, "127.0.0.1", 1)
}

/// Starts nginx on an address of the test's choice (a network namespace has others), with `workers` processes.
pub fn start_on(options: &Options, address: &str, workers: u32) -> Result<Service> {
    let scratch = Scratch::new()?;
    let port = net::free_port()?;
    let files = scratch.join("files");
    std::fs::create_dir(&files).context("cannot make the directory of nginx's files")?;
    scratch.write("files/small.txt", "ok\n")?;
    let access_log = scratch.write("nginx.access.log", "")?;
    let truth = scratch.write("nginx.truth", "")?;
    let config = scratch.render(
        "nginx.conf",
        &[
            ("DIR", &scratch.path().to_string_lossy()),
            ("LISTEN", &format!("{address}:{port}")),
            ("WORKERS", &workers.to_string()),
            ("BACKEND", &options.backend_or_nobody()),
        ],
    )?;
    let error_log = scratch.join("nginx.error.log");
    let spec = Spec::new("nginx")?
        // -e: not even before it has read its configuration does it touch /var/log.
        .args(["-e", &error_log.to_string_lossy(), "-c", &config.to_string_lossy()])
        .in_directory(scratch.path());
    let mut process = options.apply(spec).start(scratch.path())?;
    if options.namespace.is_none() {
        net::wait_for_port(port, &mut process)?;
    } else {
        // Out of our reach; nginx writes this file after it has bound its port.
        let pid_file = scratch.join("nginx.pid");
        net::wait("its port", &mut process, || std::fs::read(&pid_file).is_ok_and(|pid| !pid.is_empty()))?;
    }
    Ok(Service { process, port, access_log, truth, unit: Unit::SecondsToMillis, scratch })
}

/// Makes `/big.bin`, [`BIG`] bytes: sparse, so that only the reader's memory bandwidth is used.
pub fn add_big_file(nginx: &Service) -> Result<()> {
    let path = nginx.directory().join("files/big.bin");
    let file = std::fs::File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    file.set_len(BIG).context("cannot size the big file")
}
