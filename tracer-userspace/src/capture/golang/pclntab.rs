//! The table of functions in a Go program (`.gopclntab`): names and entries. The runtime needs it for its own stack
//! traces, so it is there in stripped programs too.
//!
//! Format: go/src/debug/gosym/pclntab.go and runtime/symtab.go (`pcHeader`, `_func`). The head's magic number is
//! 0xfffffff0 since Go 1.18 and 0xfffffff1 since Go 1.20; what follows is the same for both. The table is read piece
//! by piece, in order; the work is bounded by its size.

use std::io;
use std::os::unix::fs::FileExt;

use super::elf::{Elf, MAX_TABLE, Part, Window};
use crate::capture::program_file::int;

const GO_1_18: &[u8] = &[0xf0, 0xff, 0xff, 0xff, 0, 0];
const GO_1_20: &[u8] = &[0xf1, 0xff, 0xff, 0xff, 0, 0];
/// Where the linker puts the table: position-independent programs have the longer name.
const SECTIONS: [&[u8]; 2] = [b".gopclntab", b".data.rel.ro.gopclntab"];
/// Tables begin at multiples of this at least.
const ALIGN: usize = 32;
/// Magic number, two zeros, the smallest instruction's size, a pointer's size; then eight words.
const HEAD: usize = 72;
/// Functions that are looked at: more than any program has.
const MAX_FUNCTIONS: u64 = 4 << 20;
/// Functions of interest.
const MAX_FOUND: usize = 64;

/// Where the table's parts stand in the file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    functions: u64,
    /// Where the text begins in memory, as the head says; 0 where it does not say (Go 1.26 and later, and
    /// position-independent programs).
    pub text: u64,
    names: u64,
    names_end: u64,
    entries: u64,
    end: u64,
}

/// A function.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Function {
    /// Its full name.
    pub name: String,
    /// Where it begins, from the beginning of the text.
    pub entry: u64,
    /// Where the next one begins.
    pub end: u64,
}

impl Table {
    /// Finds the table: by its section, or by its magic number in what is not written.
    pub fn find(elf: &Elf<'_, impl FileExt>) -> io::Result<Option<Self>> {
        for name in SECTIONS {
            if let Some(section) = elf.section(name)
                && let Some(table) = Self::at(elf, section.offset, section)?
            {
                return Ok(Some(table));
            }
        }
        // Without sections. Position-independent programs have it in what is written once, while they are loaded.
        for segment in elf.constant().chain(elf.writable()) {
            let mut from = segment.offset;
            let end = segment.offset.saturating_add(segment.size);
            while let Some(at) = next_magic(elf, from, end)? {
                if let Some(table) = Self::at(elf, at, segment)? {
                    return Ok(Some(table));
                }
                from = at.saturating_add(ALIGN as u64);
            }
        }
        Ok(None)
    }

    /// The table at an offset of the file, if there is one.
    fn at(elf: &Elf<'_, impl FileExt>, at: u64, within: Part) -> io::Result<Option<Self>> {
        let head = elf.bytes(at, HEAD as u64)?;
        let end = within.offset.saturating_add(within.size).min(at.saturating_add(MAX_TABLE));
        Ok(Self::parse(&head, at, end))
    }

    fn parse(head: &[u8], at: u64, end: u64) -> Option<Self> {
        let magic = head.get(..6)?;
        let (quantum, pointer) = (int(head, 6, 1)?, int(head, 7, 1)?);
        let fits = (magic == GO_1_18 || magic == GO_1_20) && matches!(quantum, 1 | 2 | 4) && pointer == 8;
        if !fits {
            return None;
        }
        let word = |number: usize| int(head, 8 + 8 * number, 8);
        // The number of functions, of files, the text, then where the parts begin: names, compilation units, files,
        // numbers by address, functions.
        let place = |number: usize| at.checked_add(word(number)?).filter(|place| *place < end);
        let table = Self {
            functions: word(0).filter(|count| *count > 0 && *count <= MAX_FUNCTIONS)?,
            text: word(2)?,
            names: place(3)?,
            names_end: place(4)?,
            entries: place(7)?,
            end,
        };
        let in_order = table.names < table.names_end && table.names_end < table.entries;
        (in_order && table.entries + 8 * table.functions < end).then_some(table)
    }

    /// The functions whose names are wanted, at most [`MAX_FOUND`].
    pub fn functions(
        &self,
        elf: &Elf<'_, impl FileExt>,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> io::Result<Vec<Function>> {
        let names = self.names(elf, wanted)?;
        let mut found = Vec::new();
        let (mut entries, mut functions) = (elf.window(), elf.window());
        for number in 0..self.functions {
            if found.len() == names.len() {
                break;
            }
            // Address and place of each, and the end of the last.
            let Some(entry) = entries.get(self.entries + 8 * number, 12)? else { break };
            let fields = (int(entry, 0, 4), int(entry, 4, 4), int(entry, 8, 4));
            let (Some(entry), Some(place), Some(end)) = fields else { break };
            let Some(name) = self.name_of(place, &mut functions)? else { continue };
            if let Some((_, name)) = names.iter().find(|(at, _)| *at == name) {
                found.push(Function { name: name.clone(), entry, end });
            }
        }
        Ok(found)
    }

    /// The name's place of the function that is described at a place.
    fn name_of(&self, place: u64, window: &mut Window<'_, impl FileExt>) -> io::Result<Option<u64>> {
        let at = self.entries.saturating_add(place);
        if at >= self.end {
            return Ok(None);
        }
        Ok(window.get(at, 8)?.and_then(|function| int(function, 4, 4)))
    }

    /// Places and texts of the wanted names.
    fn names(
        &self,
        elf: &Elf<'_, impl FileExt>,
        wanted: impl Fn(&[u8]) -> bool,
    ) -> io::Result<Vec<(u64, String)>> {
        /// Longer names are those of generated instances; none is wanted.
        const MAX_NAME: usize = 512;
        let mut window = elf.window();
        let mut found = Vec::new();
        let mut name = Vec::new();
        let (mut begin, mut at) = (self.names, self.names);
        while at < self.names_end {
            let Some(bytes) = window.rest(at)? else { break };
            let end = bytes.iter().position(|byte| *byte == 0);
            let part = bytes.get(..end.unwrap_or(bytes.len())).unwrap_or_default();
            let room = MAX_NAME.saturating_sub(name.len()).min(part.len());
            name.extend_from_slice(part.get(..room).unwrap_or_default());
            at += part.len() as u64;
            if end.is_some() {
                if found.len() < MAX_FOUND && wanted(&name) {
                    found.push((begin - self.names, String::from_utf8_lossy(&name).into_owned()));
                }
                name.clear();
                at += 1;
                begin = at;
            }
        }
        Ok(found)
    }
}

/// The next place that begins like a table.
fn next_magic(elf: &Elf<'_, impl FileExt>, from: u64, end: u64) -> io::Result<Option<u64>> {
    let mut window = elf.window();
    for at in (from..end.min(from.saturating_add(MAX_TABLE))).step_by(ALIGN) {
        match window.get(at, GO_1_20.len())? {
            Some(bytes) if bytes == GO_1_20 || bytes == GO_1_18 => return Ok(Some(at)),
            Some(_) => {}
            None => break,
        }
    }
    Ok(None)
}
