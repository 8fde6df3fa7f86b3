//! Type information (BTF) of the test's own making: structures with members where the test says, true or not.
//! Format: Documentation/bpf/btf.rst of the kernel.

use std::collections::BTreeMap;

const MAGIC: u16 = 0xeb9f;
const KIND_INT: u32 = 1;
const KIND_STRUCT: u32 = 4;
/// The only type that is not a structure.
const INT_ID: u32 = 1;

/// Makes type information that has just these members: `struct.member` or `struct.member.member`, and bytes. Who reads it takes
/// the first structure of a name, so that all members of one must stand in it.
pub fn make(members: &[(String, u32)]) -> Vec<u8> {
    let mut out = Writer::default();
    out.add("int", KIND_INT, 0, 4, &[0x0100_0020]);
    let mut structures: BTreeMap<&str, Vec<(&str, u32, u32)>> = BTreeMap::new();
    for (path, at) in members {
        let mut parts = path.splitn(3, '.');
        let (structure, member) = (parts.next().unwrap_or_default(), parts.next().unwrap_or_default());
        let made = match parts.next() {
            None => (member, INT_ID, *at),
            Some(inner) => (member, out.structure("inner", &[(inner, INT_ID, *at)]), 0),
        };
        structures.entry(structure).or_default().push(made);
    }
    for (structure, members) in &structures {
        out.structure(structure, members);
    }
    out.finish()
}

#[derive(Default)]
struct Writer {
    types: Vec<u8>,
    strings: Vec<u8>,
    count: u32,
}

impl Writer {
    fn string(&mut self, text: &str) -> u32 {
        if self.strings.is_empty() {
            self.strings.push(0);
        }
        let at = self.strings.len() as u32;
        self.strings.extend(text.as_bytes());
        self.strings.push(0);
        at
    }

    fn add(&mut self, name: &str, kind: u32, members: u32, size: u32, rest: &[u32]) -> u32 {
        let name = self.string(name);
        for value in [name, kind << 24 | members, size].iter().chain(rest) {
            self.types.extend(value.to_ne_bytes());
        }
        self.count += 1;
        self.count
    }

    /// Name, type and byte of each member.
    fn structure(&mut self, name: &str, members: &[(&str, u32, u32)]) -> u32 {
        let mut rest = Vec::new();
        for (member, id, at) in members {
            rest.extend([self.string(member), *id, at * 8]);
        }
        self.add(name, KIND_STRUCT, members.len() as u32, 1 << 16, &rest)
    }

    fn finish(self) -> Vec<u8> {
        let (types, strings) = (self.types.len() as u32, self.strings.len() as u32);
        let mut out = Vec::new();
        out.extend(MAGIC.to_ne_bytes());
        // Version, flags; then the header's length and both sections, measured from its end.
        out.extend([1, 0]);
        for value in [24, 0, types, types, strings] {
            out.extend(value.to_ne_bytes());
        }
        out.extend(self.types);
        out.extend(self.strings);
        out
    }
}
