//! Reads the kernel's type information (BTF) as far as needed to find where a structure's member lies.
//!
//! Format: Documentation/bpf/btf.rst and include/uapi/linux/btf.h. `/sys/kernel/btf/vmlinux` has some 150 000 types in
//! 5 MB; it is walked once, remembering where each type starts, and dropped after the look-ups.

use thiserror::Error;

/// Why type information could not be used.
#[derive(Debug, Error, PartialEq, Eq)]
pub enum BtfError {
    /// Not BTF, or of another byte order.
    #[error("this is not BTF of this machine's byte order (magic {0:#06x})")]
    Magic(u16),
    /// It ends in the middle of something.
    #[error("the BTF is cut off at byte {0}")]
    Truncated(usize),
    /// A kind that this reader does not know the length of.
    #[error("the BTF has a type of unknown kind {0}")]
    UnknownKind(u32),
}

const MAGIC: u16 = 0xeb9f;
/// Type kinds of include/uapi/linux/btf.h.
mod kind {
    pub const INT: u32 = 1;
    pub const PTR: u32 = 2;
    pub const ARRAY: u32 = 3;
    pub const STRUCT: u32 = 4;
    pub const UNION: u32 = 5;
    pub const ENUM: u32 = 6;
    pub const FWD: u32 = 7;
    pub const TYPEDEF: u32 = 8;
    pub const VOLATILE: u32 = 9;
    pub const CONST: u32 = 10;
    pub const RESTRICT: u32 = 11;
    pub const FUNC: u32 = 12;
    pub const FUNC_PROTO: u32 = 13;
    pub const VAR: u32 = 14;
    pub const DATASEC: u32 = 15;
    pub const FLOAT: u32 = 16;
    pub const DECL_TAG: u32 = 17;
    pub const TYPE_TAG: u32 = 18;
    pub const ENUM64: u32 = 19;
}

/// How deep anonymous members and typedefs are followed; real ones nest less than five deep.
const MAX_DEPTH: u32 = 32;
/// Members that are looked at for one question. `task_struct` has some 300; anonymous structures that hold each other would
/// have more than can be counted.
const MAX_MEMBERS: u32 = 100_000;

/// Parsed type information, borrowing the file's bytes.
pub struct Btf<'a> {
    bytes: &'a [u8],
    strings: &'a [u8],
    /// Byte offset of each type; type ids start at 1.
    types: Vec<u32>,
}

struct Type {
    name: u32,
    kind: u32,
    vlen: u32,
    kind_flag: bool,
    /// Referenced type, or size.
    target: u32,
    /// Byte offset of what follows.
    rest: usize,
}

impl<'a> Btf<'a> {
    /// Indexes BTF as found in `/sys/kernel/btf/vmlinux`.
    pub fn parse(bytes: &'a [u8]) -> Result<Self, BtfError> {
        let magic = u16::from_ne_bytes([byte(bytes, 0)?, byte(bytes, 1)?]);
        if magic != MAGIC {
            return Err(BtfError::Magic(magic));
        }
        let header = word(bytes, 4)? as usize;
        let section = |offset: usize, len: usize| -> Result<&'a [u8], BtfError> {
            let start = header + word(bytes, offset)? as usize;
            let end = start + word(bytes, len)? as usize;
            bytes.get(start..end).ok_or(BtfError::Truncated(bytes.len()))
        };
        let types_start = header + word(bytes, 8)? as usize;
        let types_end = types_start + section(8, 12)?.len();
        let strings = section(16, 20)?;
        let mut btf = Self { bytes, strings, types: Vec::with_capacity(160_000) };
        let mut at = types_start;
        while at < types_end {
            btf.types.push(u32::try_from(at).map_err(|_| BtfError::Truncated(at))?);
            let found = btf.type_at(at)?;
            at = found.rest + trailer(found.kind, found.vlen)?;
        }
        Ok(btf)
    }

    fn type_at(&self, at: usize) -> Result<Type, BtfError> {
        let info = word(self.bytes, at + 4)?;
        Ok(Type {
            name: word(self.bytes, at)?,
            kind: info >> 24 & 0x1f,
            vlen: info & 0xffff,
            kind_flag: info >> 31 != 0,
            target: word(self.bytes, at + 8)?,
            rest: at + 12,
        })
    }

    fn type_by_id(&self, id: u32) -> Option<Type> {
        let at = *self.types.get(id.checked_sub(1)? as usize)?;
        self.type_at(at as usize).ok()
    }

    fn name(&self, offset: u32) -> &'a [u8] {
        let rest = self.strings.get(offset as usize..).unwrap_or_default();
        let end = rest.iter().position(|b| *b == 0).unwrap_or(rest.len());
        rest.get(..end).unwrap_or_default()
    }

    /// Whether a typedef of that name exists. The kernel has `btf_trace_X` for each tracepoint X.
    pub fn has_typedef(&self, name: &str) -> bool {
        self.find(name, kind::TYPEDEF).is_some()
    }

    /// Whether there is a function of that name. The kernel lists those that fexit can be put on.
    pub fn has_function(&self, name: &str) -> bool {
        self.find(name, kind::FUNC).is_some()
    }

    fn find(&self, name: &str, wanted: u32) -> Option<Type> {
        self.types.iter().find_map(|at| {
            let found = self.type_at(*at as usize).ok()?;
            (found.kind == wanted && self.name(found.name) == name.as_bytes()).then_some(found)
        })
    }

    /// Byte offset of a member: `struct.member[.member…]`. Descends into anonymous structures and unions. `None` when
    /// the structure or the member does not exist, or the member is a bit field that starts inside a byte.
    pub fn member_offset(&self, path: &str) -> Option<u32> {
        let mut parts = path.split('.');
        let mut current = self.find(parts.next()?, kind::STRUCT)?;
        let mut offset = 0u32;
        let mut left = MAX_MEMBERS;
        for member in parts {
            let (at, of) = self.member(&current, member, 0, &mut left)?;
            offset = offset.checked_add(at)?;
            // The last one may be of any type; only a following part needs a structure.
            current = self.resolve(of)?;
        }
        Some(offset)
    }

    /// Byte offset and type id of a direct or anonymously nested member.
    fn member(&self, of: &Type, name: &str, depth: u32, left: &mut u32) -> Option<(u32, u32)> {
        if depth > MAX_DEPTH || (of.kind != kind::STRUCT && of.kind != kind::UNION) {
            return None;
        }
        for index in 0..of.vlen as usize {
            *left = left.checked_sub(1)?;
            let at = of.rest + index * 12;
            let (member_name, type_id) = (word(self.bytes, at).ok()?, word(self.bytes, at + 4).ok()?);
            let raw = word(self.bytes, at + 8).ok()?;
            // With the kind flag the upper eight bits hold the size of a bit field.
            let bits = if of.kind_flag { raw & 0x00ff_ffff } else { raw };
            let found = self.name(member_name);
            if found == name.as_bytes() {
                return (bits % 8 == 0).then_some((bits / 8, type_id));
            }
            if found.is_empty() {
                let inner = self.resolve(type_id)?;
                if let Some((deeper, id)) = self.member(&inner, name, depth + 1, left) {
                    return Some((deeper.checked_add(bits / 8)?, id));
                }
            }
        }
        None
    }

    /// Follows typedefs and qualifiers.
    fn resolve(&self, id: u32) -> Option<Type> {
        let mut found = self.type_by_id(id)?;
        for _ in 0..MAX_DEPTH {
            match found.kind {
                kind::TYPEDEF | kind::VOLATILE | kind::CONST | kind::RESTRICT | kind::TYPE_TAG => {
                    found = self.type_by_id(found.target)?;
                }
                _ => return Some(found),
            }
        }
        None
    }
}

/// Bytes that follow the common part of a type.
fn trailer(of: u32, vlen: u32) -> Result<usize, BtfError> {
    let vlen = vlen as usize;
    Ok(match of {
        kind::PTR
        | kind::FWD
        | kind::TYPEDEF
        | kind::VOLATILE
        | kind::CONST
        | kind::RESTRICT
        | kind::FUNC
        | kind::FLOAT
        | kind::TYPE_TAG => 0,
        kind::INT | kind::VAR | kind::DECL_TAG => 4,
        kind::ARRAY => 12,
        kind::STRUCT | kind::UNION | kind::DATASEC | kind::ENUM64 => vlen * 12,
        kind::ENUM | kind::FUNC_PROTO => vlen * 8,
        other => return Err(BtfError::UnknownKind(other)),
    })
}

fn byte(bytes: &[u8], at: usize) -> Result<u8, BtfError> {
    bytes.get(at).copied().ok_or(BtfError::Truncated(at))
}

fn word(bytes: &[u8], at: usize) -> Result<u32, BtfError> {
    match bytes.get(at..at + 4) {
        Some(&[a, b, c, d]) => Ok(u32::from_ne_bytes([a, b, c, d])),
        _ => Err(BtfError::Truncated(at)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Builds tiny BTF by hand.
    #[derive(Default)]
    struct Builder {
        types: Vec<u8>,
        strings: Vec<u8>,
    }

    impl Builder {
        fn string(&mut self, text: &str) -> u32 {
            if self.strings.is_empty() {
                self.strings.push(0);
            }
            if text.is_empty() {
                return 0;
            }
            let at = self.strings.len() as u32;
            self.strings.extend(text.as_bytes());
            self.strings.push(0);
            at
        }

        fn add(&mut self, name: &str, kind: u32, vlen: u32, flag: bool, target: u32, rest: &[u32]) {
            let name = self.string(name);
            let info = kind << 24 | vlen | u32::from(flag) << 31;
            for value in [name, info, target].iter().chain(rest) {
                self.types.extend(value.to_ne_bytes());
            }
        }

        fn structure(&mut self, name: &str, kind: u32, flag: bool, members: &[(&str, u32, u32)]) {
            let mut rest = Vec::new();
            for (member, id, bits) in members {
                rest.extend([self.string(member), *id, *bits]);
            }
            self.add(name, kind, members.len() as u32, flag, 64, &rest);
        }

        fn build(&self) -> Vec<u8> {
            let mut out = Vec::new();
            out.extend(MAGIC.to_ne_bytes());
            out.extend([1, 0]);
            for value in [24, 0, self.types.len() as u32, self.types.len() as u32, self.strings.len() as u32]
            {
                out.extend(value.to_ne_bytes());
            }
            out.extend(&self.types);
            out.extend(&self.strings);
            out
        }
    }

    fn sample() -> Vec<u8> {
        let mut b = Builder::default();
        b.add("int", kind::INT, 0, false, 4, &[0x0100_0020]); // 1
        b.structure("inner", kind::STRUCT, false, &[("first", 1, 0), ("inum", 1, 96)]); // 2
        b.add("inner_t", kind::TYPEDEF, 0, false, 2, &[]); // 3
        b.structure("", kind::UNION, false, &[("left", 1, 0), ("right", 1, 32)]); // 4
        b.structure(
            "outer",
            kind::STRUCT,
            true,
            &[("bit", 1, 3 | 1 << 24), ("byte", 1, 8 | 8 << 24), ("", 4, 64), ("nested", 3, 128)],
        ); // 5
        b.add("btf_trace_sock_send_length", kind::TYPEDEF, 0, false, 1, &[]);
        b.build()
    }

    #[test]
    fn members_are_found_through_unions_typedefs_and_nesting() {
        let bytes = sample();
        let btf = Btf::parse(&bytes).unwrap();
        assert_eq!(btf.member_offset("inner.inum"), Some(12));
        assert_eq!(btf.member_offset("outer.left"), Some(8));
        assert_eq!(btf.member_offset("outer.right"), Some(12));
        assert_eq!(btf.member_offset("outer.nested"), Some(16));
        assert_eq!(btf.member_offset("outer.nested.inum"), Some(28));
        assert_eq!(btf.member_offset("outer.byte"), Some(1));
        assert!(btf.has_typedef("btf_trace_sock_send_length"));
        assert!(!btf.has_typedef("btf_trace_sock_recv_length"));
    }

    #[test]
    fn what_does_not_exist_is_none() {
        let bytes = sample();
        let btf = Btf::parse(&bytes).unwrap();
        assert_eq!(btf.member_offset("outer.missing"), None);
        assert_eq!(btf.member_offset("missing.left"), None);
        assert_eq!(btf.member_offset("outer.bit"), None, "a bit field inside a byte has no byte offset");
    }

    #[test]
    fn structures_that_hold_themselves_do_not_take_forever() {
        let mut b = Builder::default();
        // Twice itself, without a name: 2^32 ways to go down.
        b.structure("outer", kind::STRUCT, false, &[("", 1, 0), ("", 1, 64)]);
        let bytes = b.build();
        assert_eq!(Btf::parse(&bytes).unwrap().member_offset("outer.missing"), None);
    }

    #[test]
    fn offsets_beyond_all_measure_are_none() {
        let mut b = Builder::default();
        let far = u32::MAX - 7;
        b.structure("a", kind::STRUCT, false, &[("b", 1, far)]);
        let bytes = b.build();
        let path = format!("a{}", ".b".repeat(9));
        assert_eq!(Btf::parse(&bytes).unwrap().member_offset(&path), None);
    }

    #[test]
    fn cut_off_or_foreign_bytes_are_refused_and_never_panic() {
        let bytes = sample();
        for len in 0..bytes.len() {
            let _ = Btf::parse(&bytes[..len]).map(|btf| btf.member_offset("outer.nested.inum"));
        }
        assert_eq!(Btf::parse(&[0x7f, b'E', b'L', b'F']).err(), Some(BtfError::Magic(0x457f)));
    }
}
