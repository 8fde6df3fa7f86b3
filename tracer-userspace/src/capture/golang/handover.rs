//! Where `net/http` hands a request from the goroutine that asks for it to the one that writes it: the two functions,
//! the place in each where a probe costs least, and the address by which a writing goroutine is known.

use std::fmt;
use std::io;
use std::os::unix::fs::FileExt;

use super::elf::{Elf, Machine};
use super::pclntab::{Function, Table};
use crate::capture::program_file::int;

const ROUND_TRIP: &str = "net/http.(*persistConn).roundTrip";
const WRITE_LOOP: &str = "net/http.(*persistConn).writeLoop";
/// `go pconn.writeLoop()` stands there, in a function of its own that the compiler makes (`dialConn.gowrap3`, `dialConn.func6`).
const STARTERS: &str = "net/http.(*Transport).dialConn.";
/// A function that starts a goroutine is a few dozen bytes long.
const MAX_STARTER: u64 = 1024;

/// What the probes need to know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Handover {
    /// A goroutine asks.
    pub round_trip: Place,
    /// A goroutine begins to write for a connection.
    pub write_loop: Place,
    /// Where such a goroutine's first function begins in memory, before the program is moved as a whole; 0: not known.
    pub writer: u64,
}

/// A place for a probe.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// In the file.
    pub offset: u64,
    /// The kernel carries the instruction there out itself, which is some ten times faster than letting the program do
    /// it in single steps.
    pub emulated: bool,
}

/// Why they cannot be probed: a sentence's end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Missing {
    /// The program has no HTTP client of the standard library, and needs no probe.
    NotUsed,
    /// There is no table of functions.
    Table,
    /// The code is not where the table says.
    Code,
}

impl fmt::Display for Missing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::NotUsed => "it has no client of net/http",
            Self::Table => "its table of functions was not found",
            Self::Code => "its functions do not look as expected",
        })
    }
}

/// Finds the places in a program.
pub fn find(elf: &Elf<'_, impl FileExt>) -> io::Result<Result<Handover, Missing>> {
    let Some(table) = Table::find(elf)? else { return Ok(Err(Missing::Table)) };
    let functions = table.functions(elf, |name| {
        name == ROUND_TRIP.as_bytes()
            || name == WRITE_LOOP.as_bytes()
            || name.starts_with(STARTERS.as_bytes())
    })?;
    let named = |name: &str| functions.iter().find(|function| function.name == name);
    let (Some(round_trip), Some(write_loop)) = (named(ROUND_TRIP), named(WRITE_LOOP)) else {
        return Ok(Err(Missing::NotUsed));
    };
    // Where the text begins: as the table says, as the symbols say, or where the section begins. Whatever it is, it is
    // believed only if the code there is that of these functions.
    let section = elf.section(b".text").map(|section| section.address);
    let texts = [Some(table.text).filter(|text| *text != 0), elf.symbol(b"runtime.text")?, section];
    for text in texts.into_iter().flatten() {
        let code = Code { elf, text };
        let (Some(asks), Some(writes)) = (code.place(round_trip)?, code.place(write_loop)?) else { continue };
        let mut writer = 0;
        for starter in functions.iter().filter(|function| function.name.starts_with(STARTERS)) {
            if code.calls(starter, write_loop)? {
                writer = text.wrapping_add(starter.entry);
            }
        }
        // Without the caller there is nothing that a wrong beginning would contradict but a few bytes.
        if writer != 0 || Some(text) == elf.symbol(b"runtime.text")? {
            return Ok(Ok(Handover { round_trip: asks, write_loop: writes, writer }));
        }
    }
    Ok(Err(Missing::Code))
}

/// A program's code, if its text begins there.
struct Code<'a, 'b, F> {
    elf: &'a Elf<'b, F>,
    text: u64,
}

impl<F: FileExt> Code<'_, '_, F> {
    /// Where to probe a function; `None` if what stands there is not a function's beginning.
    fn place(&self, function: &Function) -> io::Result<Option<Place>> {
        let Some(address) = self.text.checked_add(function.entry) else { return Ok(None) };
        let Some(offset) = self.elf.offset_of_code(address) else { return Ok(None) };
        let into = match self.elf.machine {
            Machine::X86_64 => prologue(&self.elf.code(address, 32)?),
            // The first instruction loads the stack's limit: nothing is gained behind it.
            Machine::Aarch64 => Some((0, false)),
        };
        Ok(into.map(|(into, emulated)| Place { offset: offset + into, emulated }))
    }

    /// Whether one function calls another.
    fn calls(&self, caller: &Function, callee: &Function) -> io::Result<bool> {
        let (Some(from), Some(to)) =
            (self.text.checked_add(caller.entry), self.text.checked_add(callee.entry))
        else {
            return Ok(false);
        };
        let len = caller.end.saturating_sub(caller.entry).min(MAX_STARTER);
        let code = self.elf.code(from, len)?;
        Ok(match self.elf.machine {
            Machine::X86_64 => calls_x86(&code, from, to),
            Machine::Aarch64 => calls_arm(&code, from, to),
        })
    }
}

/// Where in a function's first instructions the receiver is still where the caller put it and the kernel carries the
/// instruction out itself: `push %rbp` after the stack's limit was checked, or (before Go 1.21) the conditional jump of
/// that check. `None` if it does not begin with the check (cmd/internal/obj/x86/obj6.go, `stacksplit`).
fn prologue(code: &[u8]) -> Option<(u64, bool)> {
    /// `cmp 0x10(%r14),%rsp`
    const SMALL: &[u8] = &[0x49, 0x3b, 0x66, 0x10];
    /// `cmp 0x10(%r14),%r12`
    const LARGE: &[u8] = &[0x4d, 0x3b, 0x66, 0x10];
    /// `lea -N(%rsp),%r12`, with a byte or four.
    const FRAME: [(&[u8], usize); 2] = [(&[0x4c, 0x8d, 0x64, 0x24], 5), (&[0x4c, 0x8d, 0xa4, 0x24], 8)];
    const PUSH_RBP: u8 = 0x55;
    let checked = if code.starts_with(SMALL) {
        SMALL.len()
    } else {
        let (_, lea) = FRAME.into_iter().find(|(bytes, _)| code.starts_with(bytes))?;
        if !code.get(lea..)?.starts_with(LARGE) {
            return None;
        }
        lea + LARGE.len()
    };
    // `jbe`, near or far.
    let jump = match code.get(checked..)? {
        [0x76, ..] => 2,
        [0x0f, 0x86, ..] => 6,
        _ => return None,
    };
    let into = if code.get(checked + jump) == Some(&PUSH_RBP) { checked + jump } else { checked };
    Some((into as u64, true))
}

/// Whether code at an address has a `call` of another.
fn calls_x86(code: &[u8], from: u64, to: u64) -> bool {
    (0..code.len()).any(|at| {
        let relative = || Some(int(code, at + 1, 4)? as u32 as i32);
        code.get(at) == Some(&0xe8)
            && relative().is_some_and(|relative| {
                from.wrapping_add(at as u64 + 5).wrapping_add(i64::from(relative) as u64) == to
            })
    })
}

/// Likewise `bl`.
fn calls_arm(code: &[u8], from: u64, to: u64) -> bool {
    code.chunks_exact(4).zip((from..).step_by(4)).any(|(bytes, at)| {
        let instruction = int(bytes, 0, 4).unwrap_or(0) as u32;
        // Six bits say what it is, and 26 how many instructions away.
        let words = i64::from((instruction << 6) as i32 >> 6);
        instruction >> 26 == 0b10_0101 && at.wrapping_add((words * 4) as u64) == to
    })
}

#[cfg(test)]
mod code_tests {
    use super::*;

    #[test]
    fn the_place_for_a_probe_is_behind_the_check_of_the_stack() {
        // Go 1.27, roundTrip and writeLoop; Go 1.19, without a push.
        let large = [
            0x4c, 0x8d, 0xa4, 0x24, 0, 0xfe, 0xff, 0xff, 0x4d, 0x3b, 0x66, 0x10, 0x0f, 0x86, 1, 2, 0, 0, 0x55,
        ];
        assert_eq!(prologue(&large), Some((18, true)));
        let middle = [0x4c, 0x8d, 0x64, 0x24, 0x88, 0x4d, 0x3b, 0x66, 0x10, 0x76, 9, 0x55, 0x48];
        assert_eq!(prologue(&middle), Some((11, true)));
        assert_eq!(prologue(&[0x49, 0x3b, 0x66, 0x10, 0x76, 9, 0x55]), Some((6, true)));
        let old = [0x49, 0x3b, 0x66, 0x10, 0x0f, 0x86, 1, 2, 0, 0, 0x48, 0x83, 0xec];
        assert_eq!(prologue(&old), Some((4, true)), "the jump");
        for no in [
            &large[..13],
            &[0x55, 0x48, 0x89, 0xe5],
            &[],
            &[0x4c, 0x8d, 0x64, 0x24],
            &[0x49, 0x3b, 0x66, 0x10, 0x90],
        ] {
            assert_eq!(prologue(no), None, "{no:x?}");
        }
    }

    #[test]
    fn calls_are_seen_where_they_lead() {
        let code = [0x90, 0xe8, 0xfb, 0xff, 0xff, 0xff, 0xc3];
        assert!(calls_x86(&code, 0x1000, 0x1001));
        assert!(!calls_x86(&code, 0x1000, 0x1002));
        assert!(!calls_x86(&code[..4], 0x1000, 0x1001));
        let bl = 0x97ff_ffff_u32.to_le_bytes();
        assert!(calls_arm(&bl, 0x1000, 0xffc));
        assert!(!calls_arm(&bl, 0x1000, 0x1004));
        assert!(!calls_arm(&0x17ff_ffff_u32.to_le_bytes(), 0x1000, 0xffc), "a jump is no call");
    }
}
