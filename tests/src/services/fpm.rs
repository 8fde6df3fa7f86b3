//! PHP-FPM behind nginx (`tests/services/fpm.conf`, `nginx-fastcgi.conf`, `page.php`).

use anyhow::{Context, Result};

use super::{Options, Service};
use crate::access_log::Unit;
use crate::process::Spec;
use crate::scratch::Scratch;
use crate::{net, paths};

/// Where Debian keeps PHP-FPM, and how its name begins.
pub const PROGRAM: (&str, &str) = ("/usr/sbin", "php-fpm");

/// How nginx reaches PHP-FPM.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Way {
    /// A unix socket, a connection for each request: Debian's default.
    Unix,
    /// TCP, connections that are kept.
    Tcp,
}

/// Both servers. PHP-FPM's port is nginx's, which is where its requests come from.
#[derive(Debug)]
pub struct Pair {
    /// nginx.
    pub nginx: Service,
    /// PHP-FPM, with its own access log.
    pub fpm: Service,
}

/// Starts both.
pub fn start(way: Way) -> Result<Pair> {
    let scratch = Scratch::new()?;
    let program = paths::newest(PROGRAM.0, PROGRAM.1, "").context("PHP-FPM is not installed")?;
    let directory = scratch.path().to_string_lossy().into_owned();
    let (listen, upstream) = match way {
        Way::Unix => (format!("{directory}/fpm.sock"), format!("unix:{directory}/fpm.sock")),
        Way::Tcp => {
            let address = format!("127.0.0.1:{}", net::free_port()?);
            (address.clone(), address)
        }
    };
    scratch.stage("page.php")?;
    let access_log = scratch.write("fpm.access.log", "")?;
    let config = scratch.render("fpm.conf", &[("DIR", &directory), ("LISTEN", &listen)])?;
    let spec = Spec::new(program)?
        .args(["--nodaemonize", "--allow-to-run-as-root", "--fpm-config", &config.to_string_lossy()])
        .in_directory(scratch.path());
    let mut fpm = Options::default().apply(spec).start(scratch.path())?;
    match way {
        Way::Unix => net::wait_for_unix(listen.as_ref(), &mut fpm)?,
        Way::Tcp => {
            let port = listen.rsplit(':').next().unwrap_or_default().parse().context("a port")?;
            net::wait_for_port(port, &mut fpm)?;
        }
    }
    let nginx = nginx(&scratch, way, &upstream)?;
    let (port, truth) = (nginx.port, scratch.join("no.truth"));
    Ok(Pair { nginx, fpm: Service { process: fpm, port, access_log, truth, unit: Unit::Micros, scratch } })
}

/// Starts nginx in a directory of its own; the script is PHP-FPM's.
fn nginx(pages: &Scratch, way: Way, upstream: &str) -> Result<Service> {
    let scratch = Scratch::new()?;
    let port = net::free_port()?;
    let access_log = scratch.write("nginx.access.log", "")?;
    let page = pages.join("page.php");
    let directory = scratch.path().to_string_lossy().into_owned();
    let (keep, keep_conn) = if way == Way::Tcp { ("8", "on") } else { ("1", "off") };
    let config = scratch.render(
        "nginx-fastcgi.conf",
        &[
            ("PAGE", &page.to_string_lossy()),
            ("DIR", &directory),
            ("PORT", &port.to_string()),
            ("FPM", upstream),
            ("KEEP_CONN", keep_conn),
            ("KEEP", keep),
        ],
    )?;
    let error_log = scratch.join("nginx.error.log");
    let spec = Spec::new("nginx")?
        .args(["-e", &error_log.to_string_lossy(), "-c", &config.to_string_lossy()])
        .in_directory(scratch.path());
    let mut process = Options::default().apply(spec).start(scratch.path())?;
    net::wait_for_port(port, &mut process)?;
    let truth = scratch.join("no.truth");
    Ok(Service { process, port, access_log, truth, unit: Unit::SecondsToMillis, scratch })
}
