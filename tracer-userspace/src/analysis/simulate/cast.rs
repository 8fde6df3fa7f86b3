//! The processes of the simulated host.

use crate::analysis::{Observation, Seen};
use crate::event::{ProcessChange, Stamp};
use crate::process::Window;
use crate::service::{EnvFacts, ProcessFacts};
use crate::time::Nanos;

use super::BEGIN;

/// Workers of the proxy.
pub const PROXY: [u32; 2] = [200, 201];
/// The shop.
pub const SHOP: u32 = 300;
/// Stock keepers.
pub const STOCK: [u32; 2] = [600, 601];
/// Short-lived processes are numbered from here.
pub const JOBS: u32 = 10_000;

/// All that are there from the beginning.
pub fn everybody() -> Vec<Seen> {
    let nginx = |pid| seen(pid, 199, "nginx", &["nginx: worker process"], Some(80));
    let shop = seen(SHOP, 1, "java", &["java", "-jar", "/srv/shop.jar"], Some(8080));
    let stock = |pid| seen(pid, 599, "node", &["node", "/srv/stock/server.js"], Some(9000));
    PROXY.into_iter().map(nginx).chain([shop]).chain(STOCK.into_iter().map(stock)).collect()
}

/// What is told when a short-lived process begins.
pub fn begins(pid: u32, now: u64) -> [Observation; 3] {
    let change = |change| Observation::Change {
        stamp: main_thread(pid, now),
        change,
        comm: *b"curl\0\0\0\0\0\0\0\0\0\0\0\0",
    };
    let curl = Seen {
        window: Window { begin: Nanos(now), end: Nanos(now) },
        ..seen(pid, 1, "curl", &["curl", "http://localhost/health"], None)
    };
    [
        change(ProcessChange::Fork { parent: 1 }),
        change(ProcessChange::Exec),
        Observation::Process(Box::new(curl)),
    ]
}

/// What is told when it ends.
pub fn ends(pid: u32, now: u64) -> Observation {
    Observation::Change { stamp: main_thread(pid, now), change: ProcessChange::Exit, comm: [0; 16] }
}

/// Something that a process's first thread does.
pub fn main_thread(pid: u32, at: u64) -> Stamp {
    Stamp { at: Nanos(at), tgid: pid, tid: pid, ..Stamp::default() }
}

fn seen(pid: u32, ppid: u32, comm: &str, args: &[&str], port: Option<u16>) -> Seen {
    let facts = ProcessFacts {
        pid,
        ppid,
        start_ticks: 1000,
        exe: Some(format!("/usr/bin/{comm}")),
        comm: comm.to_owned(),
        args: args.iter().map(|&arg| arg.to_owned()).collect(),
        env: EnvFacts::default(),
        cgroups: vec![format!("/system.slice/{comm}.service")],
        unit: port.map(|_| format!("{comm}.service")),
        listening: port.into_iter().collect(),
        ..ProcessFacts::default()
    };
    let window = Window { begin: Nanos(BEGIN - 2_000_000), end: Nanos(BEGIN - 1_000_000) };
    Seen { facts, window, moves_work: false }
}
