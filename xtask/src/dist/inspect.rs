//! What a shipped program must be: for the right processor, alone, small, and silent about the machine that built it.

use anyhow::{Context, Result, bail, ensure};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader};
use object::{LittleEndian, elf};

use super::target::Arch;
use crate::private::{self, Prefix};

/// What a person waits for when copying it over a bad line. TLS, HTTP/2 and OTLP's messages, for `--push`, are a quarter of it.
const MAX_BYTES: usize = 16 << 20;

/// What a program contains that asks the name service of a static glibc (`getaddrinfo`, `getpwnam`): it would look
/// for shared libraries of the very same glibc at run time, and find other ones, or none.
const NAME_SERVICE: &[u8] = b"/etc/nsswitch.conf";

/// Refuses a program that could not run elsewhere, or should not.
pub fn refuse_defects(bytes: &[u8], arch: Arch, private: &[Prefix]) -> Result<()> {
    ensure!(bytes.len() <= MAX_BYTES, "it has {} bytes, more than {MAX_BYTES}", bytes.len());
    let header = elf::FileHeader64::<LittleEndian>::parse(bytes).context("it is no 64-bit ELF file")?;
    let endian = header.endian().context("it is not little-endian")?;
    let machine = match arch {
        Arch::X86_64 => elf::EM_X86_64,
        Arch::Aarch64 => elf::EM_AARCH64,
    };
    ensure!(header.e_machine(endian) == machine, "it is for another processor than {}", arch.name());
    refuse_loader(bytes)?;
    for segment in header.program_headers(endian, bytes).context("its program headers are broken")? {
        let dynamic = segment.dynamic(endian, bytes).context("its dynamic part is cut off")?;
        for entry in dynamic.unwrap_or_default() {
            ensure!(entry.tag(endian) != elf::DT_NEEDED, "it asks for a shared library (DT_NEEDED)");
        }
    }
    for section in header.section_headers(endian, bytes).context("its section headers are broken")? {
        ensure!(section.sh_type(endian) != elf::SHT_SYMTAB, "it is not stripped");
    }
    if bytes.windows(NAME_SERVICE.len()).any(|window| window == NAME_SERVICE) {
        bail!(
            "it uses the name service, which does not work in a static program (getaddrinfo, getpwnam, ...)"
        );
    }
    if let Some(prefix) = private::find(bytes, private) {
        bail!("it contains a path of this machine: {}", prefix.display());
    }
    Ok(())
}

/// Refuses a program that wants a loader of its own, which the place where it is to run may not have.
pub fn refuse_loader(bytes: &[u8]) -> Result<()> {
    let header = elf::FileHeader64::<LittleEndian>::parse(bytes).context("it is no 64-bit ELF file")?;
    let endian = header.endian().context("it is not little-endian")?;
    for segment in header.program_headers(endian, bytes).context("its program headers are broken")? {
        ensure!(segment.p_type(endian) != elf::PT_INTERP, "it asks for a dynamic loader (PT_INTERP)");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::PathBuf;

    /// A program without segments and sections, with some bytes in it.
    fn program(machine: u16, content: &[u8]) -> Vec<u8> {
        let mut bytes = vec![0; 64];
        // Magic, 64-bit, little-endian, version.
        bytes[..7].copy_from_slice(b"\x7fELF\x02\x01\x01");
        bytes[16] = 2;
        bytes[18..20].copy_from_slice(&machine.to_le_bytes());
        bytes[20] = 1;
        // Sizes of the headers.
        bytes[52] = 64;
        bytes[54] = 56;
        bytes[58] = 64;
        bytes.extend(content);
        bytes
    }

    fn complaint(bytes: &[u8]) -> String {
        let private = [(PathBuf::from("/home/me/tracer"), "tracer")];
        match refuse_defects(bytes, Arch::X86_64, &private) {
            Ok(()) => "none".into(),
            Err(error) => format!("{error:#}"),
        }
    }

    #[test]
    fn what_cannot_be_shipped_is_refused_for_its_reason() {
        let x86 = elf::EM_X86_64;
        assert_eq!(complaint(&program(x86, b"/proc/self/exe")), "none");
        assert!(complaint(b"#!/bin/sh\n").contains("no 64-bit ELF"));
        assert!(complaint(&program(elf::EM_AARCH64, b"")).contains("another processor"));
        assert!(complaint(&program(x86, b"\0/etc/nsswitch.conf\0")).contains("name service"));
        assert!(
            complaint(&program(x86, b"at/home/me/tracer/src/main.rs")).contains("a path of this machine")
        );
        assert!(complaint(&program(x86, &vec![0; MAX_BYTES])).contains("more than"));
    }

    #[test]
    fn a_loader_and_a_library_are_refused() {
        // One program header right behind the file's, and one entry of a dynamic segment behind that: DT_NEEDED.
        let mut bytes = program(elf::EM_X86_64, &[0; 56 + 16]);
        bytes[32] = 64;
        bytes[56] = 1;
        bytes[72] = 120;
        bytes[96] = 16;
        bytes[120] = 1;
        for (kind, expected) in [(1, "none"), (2, "DT_NEEDED"), (3, "PT_INTERP")] {
            bytes[64] = kind;
            assert!(complaint(&bytes).contains(expected), "{}", complaint(&bytes));
        }
    }
}
