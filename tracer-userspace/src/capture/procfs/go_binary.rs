//! Is a program made by Go?
//!
//! Go moves goroutines between threads, so that the thread which read a request says nothing about who answers it, and
//! evidence by thread must not be believed. Read from the file's section headers (System V ABI, "Object Files"), or,
//! where they were stripped, from the mark that the Go linker leaves at the start of the data segment. At most a few
//! hundred KiB are read, whatever the size of the file.

use std::io;
use std::os::unix::fs::FileExt;

use crate::capture::program_file::{GO_MAGIC, GO_MAGIC_ALIGN, GO_MAGIC_SEARCH, int, read};
use crate::service::Runtime;

/// Sections that only the Go linker makes; position-independent programs have the longer name.
const SECTIONS: &[&[u8]] = &[b".go.buildinfo", b".gopclntab", b".data.rel.ro.gopclntab", b".note.go.buildid"];
const MAX_HEADERS: u64 = 4096;
/// Bytes of names, and of any other piece, that are read.
const MAX_NAMES: usize = 1 << 20;

/// Where the fields lie in the 32-bit and the 64-bit form.
struct Layout {
    wide: bool,
    phoff: usize,
    shoff: usize,
    phentsize: usize,
    shentsize: usize,
    section_offset: usize,
    section_size: usize,
    section_link: usize,
    segment_flags: usize,
    segment_offset: usize,
    segment_size: usize,
}

const ELF64: Layout = Layout {
    wide: true,
    phoff: 32,
    shoff: 40,
    phentsize: 54,
    shentsize: 58,
    section_offset: 24,
    section_size: 32,
    section_link: 40,
    segment_flags: 4,
    segment_offset: 8,
    segment_size: 32,
};

const ELF32: Layout = Layout {
    wide: false,
    phoff: 28,
    shoff: 32,
    phentsize: 42,
    shentsize: 46,
    section_offset: 16,
    section_size: 20,
    section_link: 24,
    segment_flags: 24,
    segment_offset: 4,
    segment_size: 16,
};

/// The runtime of a program. Only failures to read are errors: a file that is not in the expected form is no sign of
/// Go.
pub(super) fn runtime_of(file: &impl FileExt) -> io::Result<Runtime> {
    let header = read(file, 0, 64, MAX_NAMES)?;
    let layout = match (header.get(..4), header.get(4), header.get(5)) {
        (Some(b"\x7fELF"), Some(2), Some(1)) => ELF64,
        (Some(b"\x7fELF"), Some(1), Some(1)) => ELF32,
        _ => return Ok(Runtime::Other),
    };
    let is_go = match has_go_section(file, &header, &layout)? {
        Some(answer) => answer,
        None => has_magic(file, &header, &layout)?,
    };
    Ok(if is_go { Runtime::Go } else { Runtime::Other })
}

/// `None` when the file has no section headers to look at.
fn has_go_section(file: &impl FileExt, header: &[u8], layout: &Layout) -> io::Result<Option<bool>> {
    let (Some(offset), Some(size)) = (layout.word(header, layout.shoff), int(header, layout.shentsize, 2))
    else {
        return Ok(None);
    };
    let (Some(mut count), Some(mut names_at)) =
        (int(header, layout.shentsize + 2, 2), int(header, layout.shentsize + 4, 2))
    else {
        return Ok(None);
    };
    if offset == 0 || size < 40 {
        return Ok(None);
    }
    // Numbers too large for the header stand in the first section's.
    let first = read(file, offset, size, MAX_NAMES)?;
    if count == 0 {
        count = layout.word(&first, layout.section_size).unwrap_or(0);
    }
    if names_at == 0xffff {
        names_at = int(&first, layout.section_link, 4).unwrap_or(0);
    }
    let headers = read(file, offset, size.saturating_mul(count.min(MAX_HEADERS)), MAX_NAMES)?;
    let step = usize::try_from(size).unwrap_or(usize::MAX);
    let names_header = usize::try_from(names_at).ok().and_then(|at| headers.chunks_exact(step).nth(at));
    let Some(names_header) = names_header else { return Ok(None) };
    let (Some(names_offset), Some(names_size)) =
        (layout.word(names_header, layout.section_offset), layout.word(names_header, layout.section_size))
    else {
        return Ok(None);
    };
    let names = read(file, names_offset, names_size, MAX_NAMES)?;
    let found = headers.chunks_exact(step).any(|section| {
        let at = int(section, 0, 4).and_then(|at| usize::try_from(at).ok());
        let name = at.and_then(|at| names.get(at..)).and_then(|rest| rest.split(|byte| *byte == 0).next());
        name.is_some_and(|name| SECTIONS.contains(&name))
    });
    Ok(Some(found))
}

/// The linker's mark at the start of the first writable segment.
fn has_magic(file: &impl FileExt, header: &[u8], layout: &Layout) -> io::Result<bool> {
    const PT_LOAD: u64 = 1;
    const PF_W: u64 = 2;
    let fields = (
        layout.word(header, layout.phoff),
        int(header, layout.phentsize, 2),
        int(header, layout.phentsize + 2, 2),
    );
    let (Some(offset), Some(size @ 32..), Some(count)) = fields else { return Ok(false) };
    let headers = read(file, offset, size.saturating_mul(count.min(MAX_HEADERS)), MAX_NAMES)?;
    let step = usize::try_from(size).unwrap_or(usize::MAX);
    for segment in headers.chunks_exact(step) {
        let writable = int(segment, layout.segment_flags, 4).is_some_and(|flags| flags & PF_W != 0);
        if int(segment, 0, 4) != Some(PT_LOAD) || !writable {
            continue;
        }
        let (Some(offset), Some(size)) =
            (layout.word(segment, layout.segment_offset), layout.word(segment, layout.segment_size))
        else {
            return Ok(false);
        };
        let data = read(file, offset, size.min(GO_MAGIC_SEARCH), MAX_NAMES)?;
        return Ok(data.chunks(GO_MAGIC_ALIGN).any(|chunk| chunk.starts_with(GO_MAGIC)));
    }
    Ok(false)
}

impl Layout {
    /// An address-sized number.
    fn word(&self, bytes: &[u8], at: usize) -> Option<u64> {
        int(bytes, at, if self.wide { 8 } else { 4 })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::capture::program_file::InMemory;

    fn put(file: &mut Vec<u8>, at: usize, value: u64, len: usize) {
        if file.len() < at + len {
            file.resize(at + len, 0);
        }
        file[at..at + len].copy_from_slice(&value.to_le_bytes()[..len]);
    }

    /// A program with one section of that name, and a writable segment that begins with `data`.
    fn elf(layout: &Layout, section: Option<&[u8]>, data: &[u8]) -> Vec<u8> {
        let word = if layout.wide { 8 } else { 4 };
        let mut file = b"\x7fELF".to_vec();
        file.extend([if layout.wide { 2 } else { 1 }, 1]);
        file.resize(4096, 0);
        // One segment header at 128, its data at 1024.
        put(&mut file, layout.phoff, 128, word);
        put(&mut file, layout.phentsize, 56, 2);
        put(&mut file, layout.phentsize + 2, 1, 2);
        put(&mut file, 128, 1, 4);
        put(&mut file, 128 + layout.segment_flags, 6, 4);
        put(&mut file, 128 + layout.segment_offset, 1024, word);
        put(&mut file, 128 + layout.segment_size, data.len() as u64, word);
        file[1024..1024 + data.len()].copy_from_slice(data);
        if let Some(name) = section {
            // Three section headers at 256, the names at 512.
            put(&mut file, layout.shoff, 256, word);
            put(&mut file, layout.shentsize, 64, 2);
            put(&mut file, layout.shentsize + 2, 3, 2);
            put(&mut file, layout.shentsize + 4, 2, 2);
            let names = [b"\0.text\0".as_slice(), name, b"\0"].concat();
            put(&mut file, 256 + 64, 7, 4);
            put(&mut file, 256 + 128, 1, 4);
            put(&mut file, 256 + 128 + layout.section_offset, 512, word);
            put(&mut file, 256 + 128 + layout.section_size, names.len() as u64, word);
            file[512..512 + names.len()].copy_from_slice(&names);
        }
        file
    }

    #[test]
    fn go_is_seen_by_its_sections() {
        for layout in [&ELF64, &ELF32] {
            for name in SECTIONS {
                assert_eq!(runtime_of(&InMemory(&elf(layout, Some(name), b""))).unwrap(), Runtime::Go);
            }
            for name in [b".data".as_slice(), b".go.buildinfo2", b".gopclnta", b""] {
                assert_eq!(runtime_of(&InMemory(&elf(layout, Some(name), b""))).unwrap(), Runtime::Other);
            }
        }
    }

    #[test]
    fn go_without_section_headers_is_seen_by_its_mark() {
        for layout in [&ELF64, &ELF32] {
            let data = [[0u8; 32].as_slice(), GO_MAGIC, b"rest"].concat();
            assert_eq!(runtime_of(&InMemory(&elf(layout, None, &data))).unwrap(), Runtime::Go);
            let unaligned = [b"x".as_slice(), GO_MAGIC].concat();
            assert_eq!(runtime_of(&InMemory(&elf(layout, None, &unaligned))).unwrap(), Runtime::Other);
        }
    }

    #[test]
    fn the_tests_own_program_is_not_go() {
        let file = std::fs::File::open("/proc/self/exe").unwrap();
        assert_eq!(runtime_of(&file).unwrap(), Runtime::Other);
    }

    #[test]
    fn broken_files_are_no_sign_of_go() {
        for bytes in [b"".as_slice(), b"\x7fELF", b"#!/bin/sh\n", &[0xff; 64]] {
            assert_eq!(runtime_of(&InMemory(bytes)).unwrap(), Runtime::Other);
        }
        let whole = elf(&ELF64, Some(b".data"), GO_MAGIC);
        let mut state = 7u64;
        for cut in (0..whole.len()).step_by(7) {
            let mut file = whole[..cut].to_vec();
            for _ in 0..16 {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                let at = (state >> 33) as usize % 640;
                if let Some(byte) = file.get_mut(at).filter(|_| at > 5) {
                    *byte = (state >> 20) as u8;
                }
            }
            runtime_of(&InMemory(&file)).unwrap();
        }
    }
}
