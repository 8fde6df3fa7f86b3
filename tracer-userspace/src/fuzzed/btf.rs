//! Type information: the kernel's own is right, a file given with `--btf` may be anything.

use crate::capture::btf::Btf;

/// Paths of every form that is asked for.
const PATHS: [&str; 6] = [
    "outer.nested.inum",
    "outer.left",
    "sock.__sk_common.skc_portpair",
    "task_struct.tgid",
    "a.b.c.d.e.f.g.h",
    "a.",
];

/// Parses `data` and looks things up in it.
pub(super) fn run(data: &[u8]) {
    let Ok(btf) = Btf::parse(data) else { return };
    for path in PATHS {
        if let Some(offset) = btf.member_offset(path) {
            // The same question has the same answer.
            assert_eq!(btf.member_offset(path), Some(offset));
        }
    }
    let _ = (btf.has_typedef("btf_trace_x"), btf.has_function("f"), btf.has_function(""));
}
