//! Apache with mod_php, prefork (`tests/services/apache.conf`, `app.php`).

use anyhow::{Context, Result};

use super::{Options, Service};
use crate::access_log::Unit;
use crate::process::Spec;
use crate::scratch::Scratch;
use crate::{net, paths};

/// Where Debian keeps Apache's modules.
pub const MODULES: &str = "/usr/lib/apache2/modules";

/// Starts it.
pub fn start(options: &Options) -> Result<Service> {
    let scratch = Scratch::new()?;
    let port = net::free_port()?;
    let php = paths::newest(MODULES, "libphp", ".so")
        .with_context(|| format!("no PHP module in {MODULES}; `cargo xtask setup` installs it"))?;
    std::fs::create_dir(scratch.join("files")).context("cannot make Apache's document root")?;
    scratch.stage("app.php")?;
    let truth = scratch.write("truth", "")?;
    // PHP writes it, as nobody.
    std::fs::set_permissions(&truth, std::os::unix::fs::PermissionsExt::from_mode(0o666))
        .context("cannot open the truth file to Apache's processes")?;
    let access_log = scratch.write("apache.access.log", "")?;
    let config = scratch.render(
        "apache.conf",
        &[
            ("DIR", &scratch.path().to_string_lossy()),
            ("PORT", &port.to_string()),
            ("MODULES", MODULES),
            ("PHP", &php.to_string_lossy()),
            ("BACKEND", &options.backend_or_nobody()),
        ],
    )?;
    let spec = Spec::new("apache2")?
        .args(["-f", &config.to_string_lossy(), "-DFOREGROUND"])
        .in_directory(scratch.path());
    let mut process = options.apply(spec).start(scratch.path())?;
    net::wait_for_port(port, &mut process)?;
    Ok(Service { process, port, access_log, truth, unit: Unit::Micros, scratch })
}
