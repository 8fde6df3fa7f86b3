//! What a static program for one processor is built with: target, compiler, linker, options.
//!
//! On this machine's own processor that is the compiler in use and its own target: every toolchain has it, while a
//! musl target would have to be installed first. glibc links statically as well, and its allocator and string
//! functions are the faster ones. What does not work in a static glibc (name service, character set conversion,
//! `dlopen`) the tracer does not use, and [`super::inspect`] refuses a program that does. A toolchain of a musl
//! distribution builds for musl, whose programs are just as static.

use std::path::PathBuf;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use tracer_tests::paths;

use super::foreign;
use crate::private::{self, Prefix};
use crate::run;

/// Processors that the tracer runs on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Arch {
    /// x86-64
    #[value(name = "x86_64")]
    X86_64,
    /// 64-bit ARM
    #[value(name = "aarch64")]
    Aarch64,
}

impl Arch {
    /// This machine's.
    pub fn host() -> Result<Self> {
        match std::env::consts::ARCH {
            "x86_64" => Ok(Self::X86_64),
            "aarch64" => Ok(Self::Aarch64),
            other => bail!("there are no probes for {other}: the tracer runs on x86_64 and aarch64"),
        }
    }

    /// Its name in target triples.
    pub fn name(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }
}

/// How to build for one processor.
#[derive(Debug)]
pub struct Target {
    triple: String,
    /// `None`: the one cargo finds.
    compiler: Option<PathBuf>,
    /// `None`: the compiler's default.
    linker: Option<&'static str>,
    /// Where the target's standard library lies, if not in the compiler's own sysroot.
    sysroot: Option<PathBuf>,
}

impl Target {
    /// Finds what is needed; for a foreign processor installs what is missing, where it can be installed.
    pub fn find(arch: Arch) -> Result<Self> {
        if arch == Arch::host()? {
            let triple = print(&PathBuf::from("rustc"), "host-tuple")?;
            return Ok(Self { triple, compiler: None, linker: None, sysroot: None });
        }
        let triple = format!("{}-unknown-linux-gnu", arch.name());
        let linker = foreign::linker(arch)?;
        if has_library(&triple)? {
            return Ok(Self { triple, compiler: None, linker: Some(linker), sysroot: None });
        }
        let (compiler, sysroot) = foreign::debian(arch, &triple)?;
        Ok(Self { triple, compiler: Some(compiler), linker: Some(linker), sysroot: Some(sysroot) })
    }

    /// The target triple.
    pub fn triple(&self) -> &str {
        &self.triple
    }

    /// A cargo that builds static programs for it; the caller adds the command, with `--target`.
    pub fn cargo(&self) -> Result<Command> {
        let mut flags = vec!["-Ctarget-feature=+crt-static".to_owned()];
        if let Some(sysroot) = &self.sysroot {
            flags.push(format!("--sysroot={}", sysroot.display()));
        }
        flags.extend(private::remap(&self.replaced()?));
        let mut command = run::cargo();
        // Takes the place of whatever flags the caller's environment has: what is shipped is the same everywhere. With
        // `--target` they do not reach build scripts and macros.
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")).env_remove("RUSTFLAGS");
        if let Some(compiler) = &self.compiler {
            command.env("RUSTC", compiler).env_remove("RUSTUP_TOOLCHAIN");
        }
        if let Some(linker) = self.linker {
            let triple = self.triple.to_uppercase().replace('-', "_");
            command.env(format!("CARGO_TARGET_{triple}_LINKER"), linker);
        }
        Ok(command)
    }

    /// Paths of this machine that must not get into a program. What a package put below `/usr` lies there on every
    /// machine that has it; Debian's standard library was compiled with such paths.
    pub fn private(&self) -> Result<Vec<Prefix>> {
        let mut prefixes = self.replaced()?;
        prefixes.retain(|(path, _)| !path.starts_with("/usr"));
        Ok(prefixes)
    }

    /// Paths that get another name in the program.
    fn replaced(&self) -> Result<Vec<Prefix>> {
        let mut more = vec![(paths::target_dir()?, "target")];
        // Where the compiler has its library's sources, it writes their real place into what it inlines from them.
        let compiler = self.compiler.clone().unwrap_or_else(|| "rustc".into());
        let sources = PathBuf::from(print(&compiler, "sysroot")?).join("lib/rustlib/src/rust");
        more.extend(sources.canonicalize().ok().map(|real| (real, "rust")));
        more.push((sources, "rust"));
        private::prefixes(&run::workspace(), more)
    }
}

/// Whether the compiler in use has the standard library of `triple` (`rustup target add`).
fn has_library(triple: &str) -> Result<bool> {
    let directory = PathBuf::from(print(&PathBuf::from("rustc"), "sysroot")?)
        .join("lib/rustlib")
        .join(triple)
        .join("lib");
    let Ok(entries) = std::fs::read_dir(directory) else { return Ok(false) };
    Ok(entries.flatten().any(|entry| entry.file_name().to_string_lossy().starts_with("libstd-")))
}

fn print(compiler: &PathBuf, what: &str) -> Result<String> {
    let output = Command::new(compiler)
        .args(["--print", what])
        .output()
        .with_context(|| format!("cannot start {}", compiler.display()))?;
    if !output.status.success() {
        bail!("{} does not say its {what}", compiler.display());
    }
    Ok(String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
