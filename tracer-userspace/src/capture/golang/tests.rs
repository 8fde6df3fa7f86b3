//! Programs made here, with what matters of those that Go makes. Real ones are looked at by the end-to-end tests.

use super::elf::Elf;
use super::*;
use crate::capture::program_file::InMemory;

/// What a program is made of.
#[derive(Clone)]
struct Made {
    version: &'static str,
    sections: bool,
    /// The text's beginning in the table of functions.
    text: u64,
    /// What stands before the functions in the section with the code.
    before: u64,
    names: Vec<&'static str>,
    /// Size of thread-local storage.
    storage: u64,
}

const TEXT: u64 = 0x40_1000;
const ENTRY: u64 = TEXT + 7;
/// Offsets in the file.
const CODE: u64 = 0x1000;
const PCLNTAB: u64 = 0x2000;
const DATA: u64 = 0x3000;
const NAMES: u64 = 0x3800;

impl Default for Made {
    fn default() -> Self {
        Self {
            version: "go1.24.11",
            sections: true,
            text: TEXT,
            before: 0,
            names: vec![
                "runtime.main",
                "net/http.(*persistConn).roundTrip",
                "net/http.(*Transport).dialConn.gowrap2",
                "net/http.(*Transport).dialConn.gowrap3",
                "net/http.(*persistConn).writeLoop",
            ],
            storage: 8,
        }
    }
}

impl Made {
    /// Each function is 0x40 bytes long, in the order of the names.
    fn file(&self) -> Vec<u8> {
        let mut file = vec![0; 0x4000];
        let put = |file: &mut Vec<u8>, at: u64, bytes: &[u8]| {
            file[at as usize..at as usize + bytes.len()].copy_from_slice(bytes);
        };
        let words = |list: &[u64]| list.iter().flat_map(|word| word.to_le_bytes()).collect::<Vec<_>>();
        put(&mut file, 0, b"\x7fELF\x02\x01\x01");
        put(&mut file, 16, &[2, 0, 62, 0]);
        let sections: (u64, u16) = if self.sections { (0x200, 5) } else { (0, 0) };
        put(&mut file, 24, &words(&[ENTRY, 64, sections.0]));
        put(&mut file, 54, &[56, 0, 4, 0, 64, 0]);
        put(&mut file, 60, &sections.1.to_le_bytes());
        put(&mut file, 62, &[4, 0]);
        // Code, constants, data, threads' storage.
        let segments: [(u32, u32, u64, u64, u64); 4] = [
            (1, 5, CODE, TEXT, 0x1000),
            (1, 4, PCLNTAB, TEXT + 0x1000, 0x1000),
            (1, 6, DATA, TEXT + 0x2000, 0x800),
            (7, 4, 0, 0, self.storage),
        ];
        for (number, (kind, flags, offset, address, size)) in (0u64..).zip(segments) {
            let at = 64 + 56 * number;
            put(&mut file, at, &kind.to_le_bytes());
            put(&mut file, at + 4, &flags.to_le_bytes());
            put(&mut file, at + 8, &words(&[offset, address, address, size, size, 8]));
        }
        let names = b"\0.text\0.gopclntab\0.go.buildinfo\0.shstrtab\0";
        put(&mut file, NAMES, names);
        let headers: [(u32, u64, u64, u64); 4] = [
            (1, CODE, TEXT, 0x1000),
            (7, PCLNTAB, TEXT + 0x1000, 0x1000),
            (18, DATA, TEXT + 0x2000, 0x100),
            (32, NAMES, 0, names.len() as u64),
        ];
        for (number, (name, offset, address, size)) in (1u64..).zip(headers) {
            let at = 0x200 + 64 * number;
            put(&mut file, at, &name.to_le_bytes());
            put(&mut file, at + 4, &1u32.to_le_bytes());
            put(&mut file, at + 16, &words(&[address, offset, size]));
        }
        // Functions: at the start, the check of the stack; in each `gowrap`, a call of the last one (of another one in
        // `gowrap2`).
        let at = |number: u64| CODE + self.before + 0x40 * number;
        for (number, name) in (0u64..).zip(&self.names) {
            put(&mut file, at(number), &[0x49, 0x3b, 0x66, 0x10, 0x76, 0x20, 0x55, 0x48, 0x89, 0xe5]);
            let callee = match name.rsplit('.').next() {
                Some("gowrap2") => at(0),
                Some("gowrap3") => at(self.names.len() as u64 - 1),
                _ => continue,
            };
            let from = at(number) + 12;
            put(&mut file, from, &[0xe8]);
            put(&mut file, from + 1, &(callee.wrapping_sub(from + 5) as u32).to_le_bytes());
        }
        self.table(&mut file);
        put(&mut file, DATA + 16, b"\xff Go buildinf:\x08\x02");
        put(&mut file, DATA + 16 + 32, &[self.version.len() as u8]);
        put(&mut file, DATA + 16 + 33, self.version.as_bytes());
        file
    }

    fn table(&self, file: &mut [u8]) {
        let mut names = Vec::new();
        let count = self.names.len();
        let mut entries = Vec::new();
        let mut functions = Vec::new();
        for (number, name) in self.names.iter().enumerate() {
            let entry = 0x40 * number as u32;
            let place = (8 * count + 8 + functions.len()) as u32;
            entries.extend([entry, place].iter().flat_map(|half| half.to_le_bytes()));
            functions.extend([entry, names.len() as u32].iter().flat_map(|half| half.to_le_bytes()));
            names.extend(name.bytes().chain([0]));
        }
        entries.extend((0x40 * count as u32).to_le_bytes());
        entries.extend([0; 4]);
        let names_at = 72u64;
        let entries_at = (names_at + names.len() as u64 + 8).next_multiple_of(8);
        let mut head = vec![0xf1, 0xff, 0xff, 0xff, 0, 0, 1, 8];
        let parts = [
            count as u64,
            0,
            self.text,
            names_at,
            entries_at - 4,
            entries_at - 3,
            entries_at - 2,
            entries_at,
        ];
        head.extend(parts.iter().flat_map(|word| word.to_le_bytes()));
        let table = [head, names, vec![0; 16]].concat();
        let table = [&table[..entries_at as usize], &entries, &functions].concat();
        file[PCLNTAB as usize..PCLNTAB as usize + table.len()].copy_from_slice(&table);
    }

    fn examined(&self) -> Result<Program, Unknown> {
        examine(&InMemory(&self.file()))
    }
}

#[test]
fn the_functions_are_found_by_the_section_and_without_sections() {
    for sections in [true, false] {
        let program = Made { sections, ..Made::default() }.examined().unwrap();
        assert_eq!((program.version.minor, program.slot, program.entry), (24, -8, ENTRY));
        let found = program.handover.unwrap();
        // Behind the check of the stack; the caller is the second of the two.
        assert_eq!((found.round_trip.offset, found.round_trip.emulated), (CODE + 0x40 + 6, true));
        assert_eq!(found.write_loop.offset, CODE + 0x100 + 6);
        assert_eq!(found.writer, TEXT + 0xc0);
    }
}

#[test]
fn the_text_begins_where_its_functions_are() {
    // The table does not say (Go 1.26, position-independent programs): where the section begins.
    let silent = Made { text: 0, ..Made::default() };
    assert_eq!(silent.examined().unwrap().handover.unwrap().writer, TEXT + 0xc0);
    // Neither is right: nothing is believed.
    let shifted = Made { text: 0, before: 0x20, ..Made::default() };
    assert_eq!(shifted.examined().unwrap().handover, Err(Missing::Code));
    let lying = Made { text: TEXT + 0x40, ..Made::default() };
    assert_eq!(lying.examined().unwrap().handover.unwrap().writer, TEXT + 0xc0, "the section is right");
}

#[test]
fn a_program_that_calls_nobody_needs_no_probe() {
    let names = vec!["runtime.main", "net/http.(*conn).serve"];
    assert_eq!(Made { names, ..Made::default() }.examined().unwrap().handover, Err(Missing::NotUsed));
}

#[test]
fn what_is_not_known_is_said() {
    for (version, said) in
        [("go1.20.14", "structures of go1.20.14"), ("devel +abc", "devel +abc"), ("", "structures")]
    {
        let error = Made { version, ..Made::default() }.examined().unwrap_err().to_string();
        assert!(error.contains(said), "{version}: {error}");
    }
    assert!(matches!(Made { storage: 24, ..Made::default() }.examined(), Err(Unknown::Storage)));
    assert!(matches!(examine(&InMemory(b"#!/bin/sh\n")), Err(Unknown::Foreign)));
    let mut silent = Made::default().file();
    silent[DATA as usize + 16] = 0;
    assert!(matches!(examine(&InMemory(&silent)), Err(Unknown::NoVersion)));
}

#[test]
fn symbols_are_found_and_their_ends_serve_for_shorter_names() {
    // Symbols where the data is, their names behind.
    let mut file = Made::default().file();
    let header = 0x200 + 64 * 3;
    file[header + 4] = 2;
    file[header + 24..header + 32].copy_from_slice(&(DATA + 0x200).to_le_bytes());
    file[header + 32..header + 40].copy_from_slice(&48u64.to_le_bytes());
    file[header + 40] = 4;
    let names = b"\0.text\0x.runtime.tlsg\0";
    file[NAMES as usize..NAMES as usize + names.len()].copy_from_slice(names);
    file[0x200 + 64 * 4 + 32] = names.len() as u8;
    file[DATA as usize + 0x200 + 24] = 9;
    file[DATA as usize + 0x200 + 32] = 16;
    let file = InMemory(&file);
    let elf = Elf::read(&file).unwrap().unwrap();
    assert_eq!(elf.symbol(b"runtime.tlsg").unwrap(), Some(16));
    assert_eq!(elf.symbol(b"tlsg.runtime").unwrap(), None);
}

#[test]
fn files_that_were_cut_or_damaged_are_read_to_no_harm() {
    let whole = Made::default().file();
    let mut state = 7u64;
    let mut next = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        state >> 33
    };
    for round in 0..2_000 {
        let mut file = whole.clone();
        // Where something stands: heads, table, code, version.
        for _ in 0..1 + round % 8 {
            let (from, len) = [(0, 0x340), (PCLNTAB, 0x180), (CODE, 0x140), (DATA, 0x50), (NAMES, 0x40)]
                [next() as usize % 5];
            file[(from + next() % len) as usize] = next() as u8;
        }
        if round % 3 == 0 {
            file.truncate((next() % 0x4000) as usize);
        }
        fuzzed(&InMemory(&file));
    }
}
