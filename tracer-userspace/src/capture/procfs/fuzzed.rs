//! Files of `/proc/PID`, as bytes of a fuzzer's.

use super::{MAX_ARG_BYTES, MAX_ARGS, MAX_ARGS_BYTES, go_binary, split_args, stat};
use crate::capture::program_file::InMemory;
use crate::service;

/// `stat`: a name may hold anything and changes nothing about the numbers.
pub(crate) fn stat(data: &[u8]) {
    let Some(found) = stat::parse(data) else { return };
    let close = data.iter().rposition(|byte| *byte == b')').unwrap_or(0);
    let renamed = [b"1 (x".as_slice(), data.get(close..).unwrap_or_default()].concat();
    match stat::parse(&renamed) {
        Some(other) => assert_eq!((other.ppid, other.start_ticks), (found.ppid, found.start_ticks)),
        None => panic!("a shorter name made it unreadable: {data:?}"),
    }
}

/// `cmdline`: bounded whatever it is.
pub(crate) fn command_line(data: &[u8]) {
    let (args, missing) = split_args(data);
    assert!(args.len() <= MAX_ARGS);
    assert!(args.iter().map(String::len).sum::<usize>() <= MAX_ARGS_BYTES);
    // What is no UTF-8 takes three bytes for one.
    assert!(args.iter().all(|arg| arg.len() <= 3 * MAX_ARG_BYTES));
    assert!(
        missing
            || args.len() == data.strip_suffix(b"\0").unwrap_or(data).split(|byte| *byte == 0).count()
            || args.is_empty()
    );
}

/// `cgroup`.
pub(crate) fn cgroup(data: &[u8]) {
    let facts = service::cgroup::parse(&String::from_utf8_lossy(data));
    assert!(facts.paths.len() <= 4 && facts.paths.iter().all(|path| path.len() <= 1024));
    for path in &facts.paths {
        assert!(service::cgroup::groups_around(path).count() <= path.len() + 1);
    }
}

/// `exe`.
pub(crate) fn program(data: &[u8]) {
    assert!(go_binary::runtime_of(&InMemory(data)).is_ok(), "reading memory does not fail");
}
