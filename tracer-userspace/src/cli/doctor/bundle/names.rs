//! Which of the functions and tracepoints that probes can be put on this kernel has. Names, never addresses.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs::File;
use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};

use super::trials;
use crate::capture::btf::Btf;
use crate::capture::facts::Roots;

/// Functions besides those in use: others through which bytes of sockets pass on some kernel, so that a new way can be
/// made for a host that nobody can log in to.
const CANDIDATES: &[&str] = &[
    "inet6_recvmsg",
    "inet6_sendmsg",
    "inet_recvmsg",
    "inet_sendmsg",
    "inet_sendpage",
    "security_socket_recvmsg",
    "security_socket_sendmsg",
    "sock_recvmsg",
    "sock_sendmsg",
    "__sock_sendmsg",
    "sock_read_iter",
    "sock_write_iter",
    "tcp_cleanup_rbuf",
    "tcp_close",
    "tcp_recvmsg",
    "tcp_recvmsg_locked",
    "tcp_sendmsg",
    "tcp_sendmsg_locked",
    "tcp_splice_read",
    "unix_stream_recvmsg",
    "unix_stream_sendmsg",
    "unix_stream_sendpage",
];

/// Lines of kallsyms that are read: 200 000 on a large kernel.
const MAX_SYMBOLS: usize = 4_000_000;

/// A line for each name: whether it is among the kernel's symbols, in its type information, and open to ftrace.
pub fn table(roots: &Roots, types: Option<&Btf<'_>>) -> String {
    let mut functions: BTreeSet<&str> = CANDIDATES.iter().copied().collect();
    functions.extend(trials::functions());
    let tracepoints: BTreeSet<&str> = trials::tracepoints().into_iter().collect();
    // The function that calls a tracepoint's probes (include/linux/tracepoint.h, since Linux 5.10).
    let iterators: Vec<String> = tracepoints.iter().map(|name| format!("__traceiter_{name}")).collect();
    let wanted: BTreeSet<&str> =
        functions.iter().copied().chain(iterators.iter().map(String::as_str)).collect();

    let symbols = present(&roots.proc.join("kallsyms"), 2, &wanted);
    let filter = tracefs(roots).join("available_filter_functions");
    let filter = present(&filter, 0, &wanted);
    let mut text = String::from(
        "name: in kallsyms, in BTF, in tracefs (functions: available to ftrace; tracepoints: an event)\n\n",
    );
    for name in &functions {
        let in_types = types.map(|types| types.has_function(name));
        // Writing to a string does not fail.
        let _ = writeln!(
            text,
            "function {name}: {}, {}, {}",
            say(has(&symbols, name)),
            say(in_types),
            say(has(&filter, name))
        );
    }
    for (name, iterator) in tracepoints.iter().zip(&iterators) {
        let in_types = types.map(|types| types.has_typedef(&format!("btf_trace_{name}")));
        let _ = writeln!(
            text,
            "tracepoint {name}: {}, {}, {}",
            say(has(&symbols, iterator)),
            say(in_types),
            say(event(&tracefs(roots), name))
        );
    }
    for (what, found) in [("kallsyms", &symbols), ("available_filter_functions", &filter)] {
        if let Err(reason) = found {
            let _ = writeln!(text, "\n{what} unknown ({reason})");
        }
    }
    text
}

fn tracefs(roots: &Roots) -> PathBuf {
    let own = roots.sys.join("kernel/tracing");
    if own.join("events").exists() { own } else { roots.sys.join("kernel/debug/tracing") }
}

/// Which of the wanted names stand in a file, in the column of that number.
fn present(path: &Path, column: usize, wanted: &BTreeSet<&str>) -> Result<BTreeSet<String>, String> {
    let file = File::open(path).map_err(|error| format!("{}: {error}", path.display()))?;
    let mut found = BTreeSet::new();
    for line in BufReader::new(file).lines().take(MAX_SYMBOLS) {
        let line = line.map_err(|error| format!("{}: {error}", path.display()))?;
        if let Some(name) = line.split_ascii_whitespace().nth(column).filter(|name| wanted.contains(name)) {
            found.insert(name.to_owned());
        }
    }
    Ok(found)
}

fn has(found: &Result<BTreeSet<String>, String>, name: &str) -> Option<bool> {
    found.as_ref().ok().map(|found| found.contains(name))
}

/// Whether tracefs has the event, in whichever group; unknown where it is not mounted.
fn event(tracefs: &Path, name: &str) -> Option<bool> {
    let mut groups = std::fs::read_dir(tracefs.join("events")).ok()?;
    // The raw tracepoints of system calls have a group in tracefs, and their events are named after it.
    Some(groups.any(|group| group.is_ok_and(|group| group.path().join(name).is_dir())))
}

fn say(answer: Option<bool>) -> &'static str {
    match answer {
        Some(true) => "yes",
        Some(false) => "no",
        None => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::procfs::tests::TempTree;

    #[test]
    fn names_are_found_and_addresses_stay_out() {
        let tree = TempTree::new();
        let roots = Roots {
            proc: tree.path().join("proc"),
            sys: tree.path().join("sys"),
            root: tree.path().to_owned(),
        };
        let nothing = table(&roots, None);
        assert!(nothing.contains("function tcp_sendmsg: unknown, unknown, unknown\n"), "{nothing}");
        tree.file(
            "proc/kallsyms",
            b"ffffffff81a00000 T tcp_sendmsg\nffffffff81a01230 T __traceiter_inet_sock_set_state\n\
              ffffffffc0001000 t alices_module_start\t[alice]\n",
        );
        tree.file("sys/kernel/tracing/available_filter_functions", b"tcp_sendmsg\nx [y]\n");
        tree.file("sys/kernel/tracing/events/sock/inet_sock_set_state/id", b"7\n");
        let text = table(&roots, None);
        assert!(text.contains("function tcp_sendmsg: yes, unknown, yes\n"), "{text}");
        assert!(text.contains("function tcp_recvmsg: no, unknown, no\n"), "{text}");
        assert!(text.contains("tracepoint inet_sock_set_state: yes, unknown, yes\n"), "{text}");
        assert!(!text.contains("ffff") && !text.contains("alice"), "{text}");
    }
}
