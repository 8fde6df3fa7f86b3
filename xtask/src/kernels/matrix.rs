//! The table of what is tried where, and what is expected of it.
//!
//! A variant is one guest: a way to boot a kernel and to prepare it. In it the stages run one after the other: a tracer
//! with some arguments, as some user, and the tests that it has to pass.

use std::fmt;

use tracer_guest::plan::{Cgroup, Root};

use super::versions::Flavour;

/// The kernels that are tried if none are named. Debian's oldest that is still supported, those of its releases and of
/// backports, and whatever is the newest.
pub const SERIES: &[&str] = &["5.10", "6.1", "6.12", "6.18", "newest"];

/// The kernels that are tried for every change: the oldest, a common one, the newest.
pub const FOR_EVERY_CHANGE: &[&str] = &["5.10", "6.1", "newest"];

/// On which kernels a variant is tried.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum On {
    /// On all flavours.
    Every,
    /// On cloud kernels, for every change only: the variant without a difference has all of it and more.
    Change,
    /// On cloud kernels: the code in question does not differ between flavours.
    Cloud,
}

impl On {
    /// Whether kernels of that flavour are among them.
    pub fn includes(self, flavour: Flavour) -> bool {
        match self {
            On::Every => true,
            On::Cloud => flavour == Flavour::Cloud,
            On::Change => false,
        }
    }
}

/// One guest.
#[derive(Clone, Copy, Debug)]
pub struct Variant {
    /// As `--variant` takes it.
    pub name: &'static str,
    /// For the report: what is different in it.
    pub about: &'static str,
    /// Where it is tried.
    pub on: On,
    /// Added to the kernel's command line.
    pub append: &'static str,
    /// The version of control groups.
    pub cgroup: Cgroup,
    /// The userland.
    pub root: Root,
    /// A line of shell, run first; must succeed.
    pub prepare: &'static str,
    /// What runs in it.
    pub stages: &'static [Stage],
}

impl Variant {
    /// The kernel is as Debian boots it and the tracer is run by root: what the verifier says there is its budget.
    pub fn is_ordinary(&self) -> bool {
        (self.append, self.cgroup, self.root, self.prepare)
            == (BASE.append, BASE.cgroup, BASE.root, BASE.prepare)
            && self.stages.iter().all(|stage| stage.user == User::Root)
    }
}

/// One way to run the tracer.
#[derive(Clone, Copy, Debug)]
pub struct Stage {
    /// What is different in it; empty where the variant has only one.
    pub label: &'static str,
    /// For `tracer doctor` and `tracer record`.
    pub arguments: &'static [&'static str],
    /// Who runs it.
    pub user: User,
    /// What must come of it.
    pub expect: Expect,
    /// What it has to pass where it traces.
    pub tests: Tests,
}

/// Who runs the tracer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum User {
    /// Root.
    Root,
    /// `nobody`, with [`MINIMUM`].
    Capable,
}

/// The capabilities without which tracing is not whole (setpriv's names): the first two load and attach, the next two
/// read other users' processes in /proc, the last is for kernels before 5.11, which charge BPF maps to locked memory.
pub const MINIMUM: &[&str] = &["bpf", "perfmon", "sys_ptrace", "dac_read_search", "sys_resource"];

/// What must come of a stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// It traces: doctor says so, the check on its own connections passes, and so do the tests.
    Traces,
    /// As [`Expect::Traces`], all offsets being known from what the text says.
    TracesWith(&'static str),
    /// It traces from that kernel on, and refuses before.
    TracesFrom(u32, u32),
    /// It traces on kernels from the first up to, and without, the second, and refuses on others.
    TracesBetween((u32, u32), (u32, u32)),
    /// It traces before that kernel. From it on its programs are interrupted by each other and calls are missed, which is
    /// counted and told: it has to load and to pass the check on its own connections, and no test is run.
    ExactBefore(u32, u32),
    /// It traces from that kernel on. Before, calls are missed (counted and told), as above.
    ExactFrom(u32, u32),
    /// It loads, and the check on its own connections passes.
    Loads,
    /// It refuses: doctor and `record` end with exit code 1, `record` with a sentence that has this word in it.
    Refuses(&'static str),
}

impl Expect {
    /// What is expected on a kernel of that series.
    pub fn on(self, series: (u32, u32)) -> Expect {
        match self {
            Expect::TracesFrom(major, minor) if series < (major, minor) => Expect::Refuses(""),
            Expect::TracesFrom(..) => Expect::Traces,
            Expect::TracesBetween(from, until) if series < from || series >= until => Expect::Refuses(""),
            Expect::TracesBetween(..) => Expect::Traces,
            Expect::ExactBefore(major, minor) if series >= (major, minor) => Expect::Loads,
            Expect::ExactFrom(major, minor) if series < (major, minor) => Expect::Loads,
            Expect::ExactBefore(..) | Expect::ExactFrom(..) => Expect::Traces,
            other => other,
        }
    }
}

/// What has to pass.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tests {
    /// All of [`CORE`].
    Core,
    /// Those of [`CORE`] for every change.
    Change,
    /// Those of [`CORE`] for variants in which only the way in differs.
    Brief,
    /// A line of shell that exits with 0, for a userland in which the tests do not run.
    Script(&'static str),
}

impl Tests {
    /// The end-to-end tests to run.
    pub fn chosen(self) -> impl Iterator<Item = &'static EndToEnd> {
        CORE.iter().filter(move |test| match self {
            Tests::Core => true,
            Tests::Change => test.depth <= Depth::Change,
            Tests::Brief => test.depth == Depth::Brief,
            Tests::Script(_) => false,
        })
    }
}

/// A test of the end-to-end suite.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct EndToEnd {
    /// `tests/e2e/FILE.rs`
    pub file: &'static str,
    /// Its name in that file.
    pub test: &'static str,
    /// How soon it is among those that run.
    pub depth: Depth,
}

/// How much is tested: each includes the ones before it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Depth {
    /// In every variant.
    Brief,
    /// For every change.
    Change,
    /// Once for each kernel.
    Core,
}

impl fmt::Display for EndToEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}::{}", self.file, self.test)
    }
}

const fn whole(file: &'static str, test: &'static str) -> EndToEnd {
    EndToEnd { file, test, depth: Depth::Core }
}

const fn brief(file: &'static str, test: &'static str) -> EndToEnd {
    EndToEnd { file, test, depth: Depth::Brief }
}

const fn change(file: &'static str, test: &'static str) -> EndToEnd {
    EndToEnd { file, test, depth: Depth::Change }
}

/// The core of the end-to-end suite: what the services of the root image can serve.
pub const CORE: &[EndToEnd] = &[
    brief("nginx", "static_1"),
    whole("nginx", "static_8"),
    change("gunicorn", "sync_1"),
    whole("gunicorn", "threads_8"),
    brief("bodies", "responses_without_a_body"),
    change("bodies", "chunked"),
    whole("bodies", "ended_by_the_close"),
    whole("bodies", "connection_close_per_request"),
    whole("bodies", "upload_after_100_continue_gunicorn"),
    whole("shapes", "pipelining_of_16"),
    whole("shapes", "identical_requests_back_to_back"),
    whole("shapes", "head_one_byte_at_a_time_nginx"),
    whole("shapes", "response_one_byte_at_a_time"),
    whole("shapes", "unanswered_requests"),
    whole("shapes", "a_call_of_two_seconds"),
    whole("hostile", "garbage_on_the_port"),
    whole("hostile", "a_mebibyte_of_headers"),
    whole("hostile", "a_response_nobody_asked_for"),
    whole("hostile", "a_response_that_is_noise"),
    change("unix_sockets", "sync_1"),
    whole("unix_sockets", "threads_8"),
    change("namespaces", "two_namespaces_joined_by_veth"),
    brief("attach", "late_nginx"),
    change("evidence", "turns_are_counted"),
    whole("evidence", "a_woken_worker_names_its_waker"),
    change("evidence", "a_new_thread_names_its_creator"),
    whole("evidence", "a_lock_hands_nothing_over"),
    whole("evidence", "who_moved_the_last_byte"),
    whole("attach", "late_gunicorn"),
    brief("attach", "short_lived_clients"),
    whole("attach", "command"),
    whole("attach", "children_of_a_pid"),
    whole("attach", "executable"),
    whole("attach", "target_that_exits"),
    whole("chains", "gunicorn_sync_before_gunicorn"),
    whole("cli", "sigint"),
    change("cli", "kill_9_leaves_nothing"),
];

/// As every variant is, but for what it is about.
const BASE: Variant = Variant {
    name: "plain",
    about: "as Debian boots it",
    on: On::Every,
    append: "",
    cgroup: Cgroup::V2,
    root: Root::Image,
    prepare: "true",
    stages: &[STAGE],
};

const STAGE: Stage =
    Stage { label: "", arguments: &[], user: User::Root, expect: Expect::Traces, tests: Tests::Core };

const BRIEF: Stage = Stage { tests: Tests::Brief, ..STAGE };

const fn provider(arguments: &'static [&'static str], label: &'static str, expect: Expect) -> Stage {
    Stage { label, arguments, expect, ..BRIEF }
}

/// Every variant there is.
pub const VARIANTS: &[Variant] = &[
    BASE,
    Variant {
        name: "change",
        about: "as Debian boots it, with the tests that run for every change",
        on: On::Change,
        stages: &[Stage { tests: Tests::Change, ..STAGE }],
        ..BASE
    },
    Variant {
        name: "providers",
        about: "each provider by itself, `--provider NAME`",
        on: On::Cloud,
        stages: &[
            provider(&["--provider", "tracepoint"], "tracepoint", Expect::TracesBetween((6, 3), (7, 0))),
            provider(&["--provider", "event"], "event", Expect::TracesFrom(6, 3)),
            // From Linux 6.13 on Debian's ordinary kernels switch tasks inside the kernel (PREEMPT_LAZY).
            provider(&["--provider", "fexit"], "fexit", Expect::ExactBefore(6, 13)),
            // Older kernels keep room for as many returns as they have processors, and a guest has one.
            provider(&["--provider", "kprobe"], "kprobe", Expect::ExactFrom(6, 1)),
            provider(&["--provider", "syscall"], "syscall", Expect::ExactBefore(7, 0)),
        ],
        ..BASE
    },
    Variant {
        name: "no-jit",
        about: "BPF programs are interpreted (`net.core.bpf_jit_enable=0`)",
        on: On::Cloud,
        prepare: "echo 0 > /proc/sys/net/core/bpf_jit_enable",
        stages: &[BRIEF],
        ..BASE
    },
    Variant {
        name: "lockdown-integrity",
        about: "booted with `lockdown=integrity`",
        on: On::Cloud,
        append: "lockdown=integrity",
        prepare: "grep -F '[integrity]' /sys/kernel/security/lockdown",
        stages: &[BRIEF],
        ..BASE
    },
    Variant {
        name: "lockdown-confidentiality",
        about: "booted with `lockdown=confidentiality`: nothing of the kernel can be read",
        on: On::Cloud,
        append: "lockdown=confidentiality",
        prepare: "grep -F '[confidentiality]' /sys/kernel/security/lockdown",
        stages: &[Stage { expect: Expect::Refuses("lockdown"), ..BRIEF }],
        ..BASE
    },
    Variant {
        name: "cgroup-v1",
        about: "control groups of version 1",
        on: On::Cloud,
        cgroup: Cgroup::V1,
        prepare: "grep -E 'name=systemd' /proc/self/cgroup",
        stages: &[BRIEF],
        ..BASE
    },
    Variant {
        name: "no-btf",
        about: "no type information: offsets by calibration",
        on: On::Cloud,
        prepare: "mount -t tmpfs none /sys/kernel/btf",
        stages: &[Stage { expect: Expect::TracesWith("calibrat"), ..BRIEF }],
        ..BASE
    },
    Variant {
        name: "capabilities",
        about: "as `nobody` with CAP_BPF, CAP_PERFMON, CAP_SYS_PTRACE, CAP_DAC_READ_SEARCH and CAP_SYS_RESOURCE only",
        on: On::Cloud,
        // Debian lets perf events to administrators only, so from 7.0 on what is left (fexit) can miss calls.
        stages: &[Stage { user: User::Capable, expect: Expect::ExactBefore(7, 0), ..BRIEF }],
        ..BASE
    },
    Variant {
        name: "busybox",
        about: "no userland but a static busybox: no C library, no loader, no shell of a distribution",
        on: On::Cloud,
        root: Root::Busybox,
        stages: &[Stage { tests: Tests::Script(BUSYBOX), ..STAGE }],
        ..BASE
    },
];

/// A server and a client of busybox's, and their call in the trace: once as the client and once as the server saw it.
const BUSYBOX: &str = r#"
mkdir /tmp/www && echo hello > /tmp/www/page && httpd -p 127.0.0.1:8080 -h /tmp/www || exit 2
/job/tracer record -o /tmp/traces.json 2> /tmp/said &
tracer=$!
until grep -q '^tracing ' /tmp/said; do kill -0 $tracer || break; sleep 0.1; done
wget -q -O - http://127.0.0.1:8080/page
kill -TERM $tracer
wait $tracer
ended=$?
cat /tmp/said
cat /tmp/traces.json
[ $ended = 0 ] && grep -q '"server"' /tmp/traces.json && grep -q '"client"' /tmp/traces.json && grep -q /page /tmp/traces.json
"#;

/// The variant of that name.
pub fn variant(name: &str) -> Option<&'static Variant> {
    VARIANTS.iter().find(|variant| variant.name == name)
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::BTreeSet;

    #[test]
    fn a_provider_is_expected_only_where_its_kernel_has_it() {
        let event = Expect::TracesFrom(6, 3);
        assert_eq!(event.on((6, 1)), Expect::Refuses(""));
        assert_eq!(event.on((6, 3)), Expect::Traces);
        let tracepoint = Expect::TracesBetween((6, 3), (7, 0));
        assert_eq!(tracepoint.on((6, 1)), Expect::Refuses(""));
        assert_eq!(tracepoint.on((6, 18)), Expect::Traces);
        assert_eq!(tracepoint.on((7, 0)), Expect::Refuses(""));
        assert_eq!(Expect::ExactBefore(7, 0).on((6, 18)), Expect::Traces);
        assert_eq!(Expect::ExactBefore(7, 0).on((7, 0)), Expect::Loads);
        assert_eq!(Expect::ExactFrom(6, 1).on((5, 10)), Expect::Loads);
        assert_eq!(Expect::ExactFrom(6, 1).on((6, 1)), Expect::Traces);
        assert_eq!(Expect::Traces.on((5, 10)), Expect::Traces);
    }

    #[test]
    fn variants_have_names_of_their_own_and_stages() {
        let names: BTreeSet<&str> = VARIANTS.iter().map(|variant| variant.name).collect();
        assert_eq!(names.len(), VARIANTS.len());
        assert!(VARIANTS.iter().all(|variant| !variant.stages.is_empty()));
        assert_eq!(variant("no-jit").map(|variant| variant.append), Some(""));
        assert!(variant("jit").is_none());
        let ordinary: Vec<_> = VARIANTS.iter().filter(|one| one.is_ordinary()).map(|one| one.name).collect();
        assert_eq!(ordinary, ["plain", "change", "providers"]);
    }

    #[test]
    fn brief_tests_are_some_of_the_core_and_a_script_has_none() {
        let brief = Tests::Brief.chosen().count();
        assert!(brief >= 3 && brief < CORE.len());
        assert_eq!(Tests::Script("true").chosen().count(), 0);
    }

    #[test]
    fn every_test_of_the_core_exists_in_its_file() {
        for test in CORE {
            let path = crate::run::workspace().join(format!("tests/e2e/{}.rs", test.file));
            let source = std::fs::read_to_string(&path).unwrap_or_else(|_| panic!("no {}", path.display()));
            // Some names are made of a beginning and a number of connections.
            let stem = test.test.trim_end_matches(|c: char| c.is_ascii_digit());
            let known = source.contains(&format!("\"{}\"", test.test))
                || source.contains(&format!("\"{stem}{{"))
                || source.contains(&format!("(\"{}\"", stem.trim_end_matches('_')));
            assert!(known, "{test} is not in {}", path.display());
        }
    }
}
