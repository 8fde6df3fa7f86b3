//! `/proc` as it is here, and as it could be.

use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use super::*;
use crate::service::{ContainerRuntime, NameSource, service_name};

/// A directory tree that is removed at the end.
pub(crate) struct TempTree(PathBuf);

impl TempTree {
    pub fn new() -> Self {
        static NEXT: AtomicU32 = AtomicU32::new(0);
        let name = format!("tracer-test-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
        let path = std::env::temp_dir().join(name);
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    pub fn path(&self) -> &Path {
        &self.0
    }

    pub fn file(&self, path: &str, bytes: &[u8]) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, bytes).unwrap();
    }

    pub fn link(&self, path: &str, to: &str) {
        let path = self.0.join(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(to, path).unwrap();
    }
}

impl Drop for TempTree {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

const STAT: &str = "S 7 42 42 0 -1 4194304 1 2 3 4 5 6 7 8 20 0 1 0 987654 1000 200 1 1 1 0";

fn tree_with_process(cgroup: &str, environ: &[u8]) -> TempTree {
    let tree = TempTree::new();
    tree.file("sys/kernel/hostname", b"node-1\n");
    tree.file("42/stat", format!("42 (no) de)) {STAT}").as_bytes());
    tree.file("42/cmdline", b"node\0server.js\0--key=\xff\0");
    tree.file("42/environ", environ);
    tree.file("42/cgroup", cgroup.as_bytes());
    tree.link("42/exe", "/usr/bin/no-such-node (deleted)");
    tree.link("42/ns/net", "net:[4026531840]");
    tree
}

#[test]
fn a_process_is_read_from_its_files() {
    let tree = tree_with_process("0::/system.slice/shop.service\n", b"A=1\0OTEL_SERVICE_NAME=x\0");
    let mut proc = ProcFs::at(tree.path(), tree.path());
    let facts = proc.facts(42);
    assert_eq!((facts.pid, facts.ppid, facts.start_ticks), (42, 7, 987_654));
    assert_eq!(facts.comm, "no) de)");
    assert_eq!((facts.exe.as_deref(), facts.exe_deleted), (Some("/usr/bin/no-such-node"), true));
    assert_eq!(facts.args, ["node", "server.js", "--key=\u{fffd}"]);
    assert_eq!(facts.env.otel_service_name.as_deref(), Some("x"));
    assert_eq!(facts.unit.as_deref(), Some("shop.service"));
    assert_eq!(facts.netns, Some(4_026_531_840));
    assert_eq!(facts.missing, [Missing { part: Part::Runtime, reason: Reason::Gone }]);
    assert_eq!(proc.pids(), Pids { pids: vec![42], incomplete: None });
    assert_eq!(proc.parents(), [(42, 7)]);
}

#[test]
fn what_is_missing_has_a_reason() {
    let tree = TempTree::new();
    let facts = ProcFs::at(tree.path(), tree.path()).facts(1);
    for part in
        [Part::Stat, Part::Exe, Part::Cmdline, Part::Environ, Part::Cgroup, Part::NetNs, Part::Runtime]
    {
        assert_eq!(facts.why_missing(part), Some(Reason::Gone), "{part:?}");
    }
    assert_eq!(service_name(&facts, []).source, NameSource::Comm);
    let nowhere = ProcFs::at(tree.path().join("nowhere"), tree.path());
    assert_eq!(nowhere.pids(), Pids { pids: vec![], incomplete: Some(Reason::Gone) });
    tree.file("9/stat", b"9 (x");
    tree.link("9/ns/net", "weird");
    let facts = ProcFs::at(tree.path(), tree.path()).facts(9);
    assert_eq!(facts.why_missing(Part::Stat), Some(Reason::Malformed));
    assert_eq!(facts.why_missing(Part::NetNs), Some(Reason::Malformed));
}

#[test]
fn the_pods_name_is_the_containers_hostname_unless_it_is_the_hosts() {
    let id = "a".repeat(64);
    let cgroup = format!("0::/kubepods.slice/kubepods-pod1.slice/cri-containerd-{id}.scope\n");
    let named = |environ: &[u8]| {
        let tree = tree_with_process(&cgroup, environ);
        let facts = ProcFs::at(tree.path(), tree.path()).facts(42);
        assert!(facts.in_pod);
        assert_eq!(facts.container.as_ref().map(|c| c.runtime), Some(ContainerRuntime::Containerd));
        facts.pod_name
    };
    assert_eq!(named(b"HOSTNAME=shop-6d4b75cb6d-hk5tz\0"), Some("shop-6d4b75cb6d-hk5tz".into()));
    assert_eq!(named(b"HOSTNAME=node-1\0"), None);
    assert_eq!(named(b""), None);
}

#[test]
fn variables_of_kubernetes_outside_of_a_container_mean_nothing() {
    let tree = tree_with_process(
        "0::/user.slice/session-1.scope\n",
        b"HOSTNAME=x\0KUBERNETES_SERVICE_HOST=10.0.0.1\0",
    );
    let facts = ProcFs::at(tree.path(), tree.path()).facts(42);
    assert_eq!((facts.in_pod, facts.pod_name), (false, None));
}

#[test]
fn a_containers_name_is_found_on_the_host() {
    let id = "b".repeat(64);
    let tree = tree_with_process(&format!("0::/system.slice/docker-{id}.scope\n"), b"");
    tree.file(&format!("var/lib/docker/containers/{id}/config.v2.json"), br#"{"Name":"/shop"}"#);
    let facts = ProcFs::at(tree.path(), tree.path()).facts(42);
    assert_eq!(facts.container.unwrap().name.as_deref(), Some("shop"));
}

#[test]
fn command_lines_are_bounded() {
    let long = "x".repeat(10_000);
    let (args, cut) = split_args(format!("java\0-cp\0{long}\0Main\0").as_bytes());
    assert_eq!((args.len(), args[2].len(), args[3].as_str(), cut), (4, MAX_ARG_BYTES, "Main", false));
    let (args, cut) = split_args("a\0".repeat(5000).as_bytes());
    assert_eq!((args.len(), cut), (MAX_ARGS, true));
    let (args, cut) = split_args(format!("{long}\0").repeat(100).as_bytes());
    assert!(cut && args.iter().map(String::len).sum::<usize>() <= MAX_ARGS_BYTES);
    assert_eq!(split_args(b""), (vec![], false));
    assert_eq!(split_args(b"a\0\0b\0").0, ["a", "", "b"]);
    assert_eq!(split_args(b"nginx: worker process").0, ["nginx: worker process"]);
}

#[test]
fn an_environment_is_read_up_to_its_limit() {
    let mut environ = b"PAD=".to_vec();
    environ.resize(MAX_ENVIRON as usize + 10, b'x');
    environ.extend(b"\0OTEL_SERVICE_NAME=late\0");
    let tree = tree_with_process("0::/\n", &environ);
    let facts = ProcFs::at(tree.path(), tree.path()).facts(42);
    assert_eq!(facts.env.otel_service_name, None);
    assert_eq!(facts.why_missing(Part::Environ), Some(Reason::Cut));
}

#[test]
fn this_process_is_read_as_it_is() {
    let mut proc = ProcFs::default();
    let facts = proc.facts(std::process::id());
    assert_eq!(facts.exe.as_deref(), std::env::current_exe().unwrap().to_str());
    assert_eq!(facts.args, std::env::args().collect::<Vec<_>>());
    assert_eq!(facts.ppid, std::os::unix::process::parent_id());
    assert_eq!(facts.runtime, Some(Runtime::Other));
    assert_eq!(facts.missing, []);
    assert!(facts.start_ticks > 0 && facts.netns.is_some());
    assert!(proc.pids().pids.contains(&std::process::id()));
}

#[test]
fn a_thread_is_led_back_to_its_process() {
    let (tx, rx) = std::sync::mpsc::channel();
    let thread = std::thread::spawn(move || {
        let link = std::fs::read_link("/proc/thread-self").unwrap();
        tx.send(link.file_name().unwrap().to_str().unwrap().parse::<u32>().unwrap()).unwrap();
        std::thread::sleep(std::time::Duration::from_millis(300));
    });
    let tid = rx.recv().unwrap();
    let proc = ProcFs::default();
    assert_eq!(proc.process_of(tid), Ok(std::process::id()));
    assert!(tid != std::process::id() && !proc.pids().pids.contains(&tid));
    thread.join().unwrap();
    assert_eq!(proc.process_of(u32::MAX), Err(Reason::Gone));
}

#[test]
fn every_process_of_this_host_gets_a_name() {
    let mut proc = ProcFs::default();
    for pid in proc.pids().pids {
        let name = service_name(&proc.facts(pid), []).name;
        assert!(!name.is_empty() && name.chars().count() <= 64, "{pid}: {name}");
    }
}

#[test]
fn kernel_threads_miss_nothing() {
    let mut proc = ProcFs::default();
    let facts = proc.facts(2);
    // In a pid namespace of its own, process 2 is something else.
    if facts.kernel_thread {
        assert_eq!((facts.comm.as_str(), facts.missing.as_slice()), ("kthreadd", [].as_slice()));
    }
}
