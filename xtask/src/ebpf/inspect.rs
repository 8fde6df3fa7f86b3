//! What a committed object must not contain: a way into a panic, a path of the machine that built it, or anything that could change what
//! a traced process does.

use anyhow::{Result, bail};
use object::{Object, ObjectSection, ObjectSymbol, SectionKind};

use crate::private::{self, Prefix};

/// The helpers by which a tracing program can change a process, its system calls or its memory (include/uapi/linux/bpf.h, `__BPF_FUNC_MAPPER`).
const TOUCHING: [(i32, &str); 4] = [
    (36, "bpf_probe_write_user"),
    (58, "bpf_override_return"),
    (109, "bpf_send_signal"),
    (117, "bpf_send_signal_thread"),
];

/// Refuses an object with a panic path (the verifier would, on somebody's machine), an absolute path, a call by which a traced process
/// could be changed, or a probe at the return of a program's function: that changes the return address on the process's own stack, which
/// ends programs that move their stacks, as Go's do.
pub fn refuse_defects(bytes: &[u8], private: &[Prefix]) -> Result<()> {
    let file = object::File::parse(bytes)?;
    for symbol in file.symbols() {
        let name = symbol.name().unwrap_or_default();
        if name.contains("panic") || name.contains("unwrap_failed") || name.contains("slice_index_fail") {
            bail!("the probes contain a panic path, `{name}`: the kernel would refuse them");
        }
    }
    for section in file.sections() {
        let name = section.name().unwrap_or_default();
        if name.starts_with("uretprobe") {
            bail!("the probes contain `{name}`, at the return of a program's function");
        }
        let text = section.data()?;
        if section.kind() == SectionKind::Text
            && let Some((_, helper)) = TOUCHING.iter().find(|(number, _)| calls(text, *number))
        {
            bail!("the probes call {helper} in `{name}`: they must not change what they trace");
        }
    }
    if let Some(prefix) = private::find(bytes, private) {
        bail!("the object contains a path of this machine: {}", prefix.display());
    }
    if let Some(section) = file.section_by_name(".BTF") {
        let data = section.data()?;
        if let Some(path) = absolute_path(data) {
            bail!("the object's type information contains an absolute path: {path}");
        }
    }
    Ok(())
}

/// Whether these instructions call a helper (BPF_JMP | BPF_CALL with source register 0; RFC 9669 section 4.3.1).
fn calls(instructions: &[u8], helper: i32) -> bool {
    instructions.chunks_exact(8).any(|one| {
        matches!(one, [0x85, registers, _, _, number @ ..] if registers >> 4 == 0 && number == helper.to_le_bytes())
    })
}

/// A string that begins like an absolute path of a directory.
fn absolute_path(data: &[u8]) -> Option<String> {
    data.split(|byte| *byte == 0)
        .filter(|text| text.len() > 5 && text.first() == Some(&b'/') && text.is_ascii())
        .filter(|text| {
            text.get(1).is_some_and(u8::is_ascii_lowercase) && text.iter().skip(1).any(|b| *b == b'/')
        })
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .find(|text| !text.contains(' '))
}

#[cfg(test)]
mod tests {
    use object::{Object, ObjectSection, SectionKind};

    use super::{absolute_path, calls, refuse_defects};

    #[test]
    fn what_would_change_a_process_is_found() {
        let nothing = [0xb7, 0, 0, 0, 0, 0, 0, 0];
        let helper = |number: u8, source: u8| [0x85, source << 4, 0, 0, number, 0, 0, 0];
        assert!(calls(&[nothing, helper(36, 0)].concat(), 36));
        assert!(!calls(&[nothing, helper(36, 0)].concat(), 109));
        // A call of a function of the program itself.
        assert!(!calls(&helper(36, 1), 36));
        let root = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("../tracer-userspace/bpf");
        for object in ["tracer.x86_64.o", "tracer.aarch64.o", "peek.x86_64.o", "peek.aarch64.o"] {
            let bytes = std::fs::read(root.join(object)).unwrap();
            refuse_defects(&bytes, &[]).unwrap();
            // The check reads instructions: every probe asks for the time or a map's element.
            let file = object::File::parse(&*bytes).unwrap();
            let mut texts = file.sections().filter(|section| section.kind() == SectionKind::Text);
            assert!(
                texts.any(|text| calls(text.data().unwrap(), 1) || object.starts_with("peek")),
                "{object}"
            );
        }
    }

    #[test]
    fn paths_are_told_from_comments() {
        assert_eq!(absolute_path(b"\0src/main.rs\0// a comment\0"), None);
        assert_eq!(absolute_path(b"\0/home/me/x.rs\0").as_deref(), Some("/home/me/x.rs"));
    }
}
