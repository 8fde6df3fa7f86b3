//! Headers of a 64-bit ELF file (System V ABI, "Object Files"), and reading the rest piece by piece: programs of a
//! hundred megabytes are common, and some hundred kilobytes of them are needed.

use std::io;
use std::os::unix::fs::FileExt;

use crate::capture::program_file::{int, read};

/// Headers of one kind that are looked at.
const MAX_HEADERS: u64 = 4096;
/// Bytes that are read at once.
pub const BLOCK: usize = 64 << 10;

const PT_LOAD: u64 = 1;
const PT_TLS: u64 = 7;
const PF_X: u64 = 1;
const PF_W: u64 = 2;
const SHT_SYMTAB: u64 = 2;
const SHT_NOBITS: u64 = 8;
/// Of a symbol: name, info, other, section, value, size.
const SYMBOL_SIZE: u64 = 24;

/// Processors that Go programs are looked at for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Machine {
    /// EM_X86_64
    X86_64,
    /// EM_AARCH64
    Aarch64,
}

/// Part of the file, and where it lies in memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Part {
    /// In the file.
    pub offset: u64,
    /// Bytes of the file (of storage for threads: of memory).
    pub size: u64,
    /// In memory, before the program is moved as a whole.
    pub address: u64,
    /// Alignment in memory.
    pub align: u64,
    kind: u64,
    flags: u64,
    /// A section's name, or the section with its names.
    name: u64,
    link: u64,
}

/// A file's headers.
pub struct Elf<'a, F> {
    file: &'a F,
    /// The processor.
    pub machine: Machine,
    /// Where the program begins.
    pub entry: u64,
    segments: Vec<Part>,
    sections: Vec<Part>,
    /// The names of sections.
    names: Vec<u8>,
}

impl<'a, F: FileExt> Elf<'a, F> {
    /// Reads the headers; `None` if it is not a file of the kind.
    pub fn read(file: &'a F) -> io::Result<Option<Self>> {
        let header = read(file, 0, 64, BLOCK)?;
        let machine = match (header.get(..6), int(&header, 18, 2)) {
            (Some(b"\x7fELF\x02\x01"), Some(62)) => Machine::X86_64,
            (Some(b"\x7fELF\x02\x01"), Some(183)) => Machine::Aarch64,
            _ => return Ok(None),
        };
        let field = |at, len| int(&header, at, len).unwrap_or(0);
        let segments = table(file, field(32, 8), field(54, 2), field(56, 2), 56)?;
        let sections = table(file, field(40, 8), field(58, 2), field(60, 2), 64)?;
        let mut elf = Self {
            file,
            machine,
            entry: field(24, 8),
            segments: segments.iter().filter_map(|bytes| segment(bytes)).collect(),
            sections: sections.iter().filter_map(|bytes| section(bytes)).collect(),
            names: Vec::new(),
        };
        let names = usize::try_from(field(62, 2)).ok().and_then(|at| elf.sections.get(at).copied());
        if let Some(names) = names {
            elf.names = elf.bytes(names.offset, names.size.min(BLOCK as u64))?;
        }
        Ok(Some(elf))
    }

    /// The section of that name.
    pub fn section(&self, name: &[u8]) -> Option<Part> {
        self.sections.iter().copied().find(|section| self.name_of(section) == Some(name))
    }

    fn name_of(&self, section: &Part) -> Option<&[u8]> {
        let rest = self.names.get(usize::try_from(section.name).ok()?..)?;
        rest.split(|byte| *byte == 0).next()
    }

    /// What is loaded into memory and not written: code and constants.
    pub fn constant(&self) -> impl Iterator<Item = Part> + '_ {
        self.loaded().filter(|segment| segment.flags & PF_W == 0)
    }

    /// What is loaded and written.
    pub fn writable(&self) -> impl Iterator<Item = Part> + '_ {
        self.loaded().filter(|segment| segment.flags & PF_W != 0)
    }

    fn loaded(&self) -> impl Iterator<Item = Part> + '_ {
        self.segments.iter().copied().filter(|segment| segment.kind == PT_LOAD)
    }

    /// What each thread has for itself.
    pub fn thread_storage(&self) -> Option<Part> {
        self.segments.iter().copied().find(|segment| segment.kind == PT_TLS)
    }

    /// Where code at an address in memory stands in the file.
    pub fn offset_of_code(&self, address: u64) -> Option<u64> {
        self.loaded().filter(|segment| segment.flags & PF_X != 0).find_map(|segment| {
            let into = address.checked_sub(segment.address)?;
            (into < segment.size).then(|| segment.offset.checked_add(into))?
        })
    }

    /// Up to `len` bytes of code at an address; fewer at the end.
    pub fn code(&self, address: u64, len: u64) -> io::Result<Vec<u8>> {
        match self.offset_of_code(address) {
            Some(offset) => self.bytes(offset, len.min(BLOCK as u64)),
            None => Ok(Vec::new()),
        }
    }

    /// Up to `len` bytes, at most [`BLOCK`], from an offset; fewer at the end of the file.
    pub fn bytes(&self, offset: u64, len: u64) -> io::Result<Vec<u8>> {
        read(self.file, offset, len, BLOCK)
    }

    /// A way to read many small pieces in order.
    pub fn window(&self) -> Window<'a, F> {
        Window { file: self.file, at: 0, bytes: Vec::new() }
    }

    /// Whether a place of a piece holds `wanted`, at multiples of `align`: the first, as an offset in the file.
    pub fn search(&self, part: Part, wanted: &[u8], align: usize, limit: u64) -> io::Result<Option<u64>> {
        let mut window = self.window();
        let end = part.offset.saturating_add(part.size.min(limit));
        for at in (part.offset..end).step_by(align.max(1)) {
            match window.get(at, wanted.len())? {
                Some(found) if found == wanted => return Ok(Some(at)),
                Some(_) => {}
                None => break,
            }
        }
        Ok(None)
    }

    /// The value of a symbol.
    pub fn symbol(&self, name: &[u8]) -> io::Result<Option<u64>> {
        let table = |section: &&Part| section.kind == SHT_SYMTAB;
        let Some(symbols) = self.sections.iter().find(table) else { return Ok(None) };
        let strings = usize::try_from(symbols.link).ok().and_then(|at| self.sections.get(at));
        let Some(strings) = strings else { return Ok(None) };
        let wanted = [name, b"\0"].concat();
        // The end of a longer name may serve for a shorter one.
        let Some(at) = self.search(*strings, &wanted, 1, MAX_TABLE)? else { return Ok(None) };
        let number = at - strings.offset;
        let mut window = self.window();
        let end = symbols.offset.saturating_add(symbols.size.min(MAX_TABLE));
        let mut at = symbols.offset;
        while at < end {
            let Some(symbol) = window.get(at, SYMBOL_SIZE as usize)? else { break };
            if int(symbol, 0, 4) == Some(number) {
                return Ok(int(symbol, 8, 8));
            }
            at = at.saturating_add(SYMBOL_SIZE);
        }
        Ok(None)
    }
}

/// Bytes of a table that is searched from one end to the other.
pub const MAX_TABLE: u64 = 256 << 20;

/// A block of the file that was read last.
pub struct Window<'a, F> {
    file: &'a F,
    at: u64,
    bytes: Vec<u8>,
}

impl<F: FileExt> Window<'_, F> {
    /// `len` bytes from an offset; `None` if the file ends before.
    pub fn get(&mut self, offset: u64, len: usize) -> io::Result<Option<&[u8]>> {
        let within = |at: u64, have: usize| {
            let from = usize::try_from(offset.checked_sub(at)?).ok()?;
            let to = from.checked_add(len).filter(|to| *to <= have)?;
            Some(from..to)
        };
        if within(self.at, self.bytes.len()).is_none() {
            self.bytes = read(self.file, offset, BLOCK as u64, BLOCK)?;
            self.at = offset;
        }
        Ok(within(self.at, self.bytes.len()).and_then(|range| self.bytes.get(range)))
    }

    /// What is left of the block at an offset, at least one byte; `None` at the end of the file.
    pub fn rest(&mut self, offset: u64) -> io::Result<Option<&[u8]>> {
        if self.get(offset, 1)?.is_none() {
            return Ok(None);
        }
        let from = usize::try_from(offset - self.at).unwrap_or(usize::MAX);
        Ok(self.bytes.get(from..))
    }
}

fn table<F: FileExt>(file: &F, offset: u64, size: u64, count: u64, least: u64) -> io::Result<Vec<Vec<u8>>> {
    if offset == 0 || size < least || size > 1024 {
        return Ok(Vec::new());
    }
    let mut window = Window { file, at: 0, bytes: Vec::new() };
    let mut all = Vec::new();
    for number in 0..count.min(MAX_HEADERS) {
        let Some(at) = offset.checked_add(number * size) else { break };
        match window.get(at, size as usize)? {
            Some(bytes) => all.push(bytes.to_vec()),
            None => break,
        }
    }
    Ok(all)
}

fn segment(bytes: &[u8]) -> Option<Part> {
    let kind = int(bytes, 0, 4)?;
    let size = int(bytes, if kind == PT_TLS { 40 } else { 32 }, 8)?;
    let (flags, offset, address, align) =
        (int(bytes, 4, 4)?, int(bytes, 8, 8)?, int(bytes, 16, 8)?, int(bytes, 48, 8)?);
    Some(Part { offset, size, address, align, kind, flags, name: 0, link: 0 })
}

fn section(bytes: &[u8]) -> Option<Part> {
    let kind = int(bytes, 4, 4)?;
    let size = if kind == SHT_NOBITS { 0 } else { int(bytes, 32, 8)? };
    Some(Part {
        offset: int(bytes, 24, 8)?,
        size,
        address: int(bytes, 16, 8)?,
        align: int(bytes, 48, 8)?,
        kind,
        flags: 0,
        name: int(bytes, 0, 4)?,
        link: int(bytes, 40, 4)?,
    })
}
