//! What a shipped program must be: for the right processor, alone, small, and silent about the machine that built it.

use anyhow::{Context, Result, bail, ensure};
use object::read::elf::{Dyn, FileHeader, ProgramHeader, SectionHeader};
use object::{LittleEndian, elf};

use super::target::Arch;
use crate::private::{self, Prefix};

/// What a person waits for when copying it over a bad line.
const MAX_BYTES: usize = 12 << 20;

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
    for segment in header.program_headers(endian, bytes).context("its program headers are broken")? {
        ensure!(segment.p_type(endian) != elf::PT_INTERP, "it asks for a dynamic loader (PT_INTERP)");
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
