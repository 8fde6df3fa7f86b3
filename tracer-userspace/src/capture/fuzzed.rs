//! The bodies of the fuzz targets for what the kernel says, in text and in netlink's messages.

use super::{golang, procfs, program_file, sockets, tracefs};
use crate::fuzzed::Input;

/// Files of `/proc`, `/sys` and tracefs. The first byte says which.
pub(crate) fn kernel_text(data: &[u8]) {
    let mut input = Input::new(data);
    match input.byte() % 6 {
        0 => procfs::fuzzed::stat(input.rest()),
        1 => procfs::fuzzed::command_line(input.rest()),
        2 => procfs::fuzzed::program(input.rest()),
        3 => sockets::fuzzed::lines(input.rest()),
        4 => procfs::fuzzed::cgroup(input.rest()),
        _ => {
            let text = String::from_utf8_lossy(input.rest());
            if let Some(event) = tracefs::Event::parse(&text) {
                assert!(event.has(&[]));
            }
        }
    }
}

/// Replies of sock_diag.
pub(crate) fn netlink(data: &[u8]) {
    sockets::fuzzed::datagram(data);
}

/// Program files that Go may have made.
pub(crate) fn go_programs(data: &[u8]) {
    golang::fuzzed(&program_file::InMemory(data));
}
