//! Kernel memory as calibration sees it, and how far it may go: a pointer is followed only into memory that is known
//! to be RAM, because reading a device's registers may have effects.

use std::io;
use std::ops::Range;

use super::super::peek::Peek;

/// Memory of the kernel, or of a test.
pub trait KernelMemory {
    /// Reads up to `len` bytes; fewer where a page is missing, `None` if the first cannot be read.
    fn read(&self, address: u64, len: usize) -> Option<Vec<u8>>;
    /// Whether a value may be taken for a pointer and followed.
    fn follows(&self, value: u64) -> bool;

    /// The pointer at an address, if it may be followed.
    fn pointer(&self, address: u64) -> Option<u64> {
        word(&self.read(address, 8)?, 0).filter(|value| self.follows(*value))
    }
}

/// The eight bytes at an offset.
pub fn word(bytes: &[u8], at: usize) -> Option<u64> {
    Some(u64::from_ne_bytes(bytes.get(at..at.checked_add(8)?)?.try_into().ok()?))
}

/// The four bytes at an offset.
pub fn half(bytes: &[u8], at: usize) -> Option<u32> {
    Some(u32::from_ne_bytes(bytes.get(at..at.checked_add(4)?)?.try_into().ok()?))
}

/// Offsets and values of all aligned words.
pub fn words(bytes: &[u8]) -> impl Iterator<Item = (u32, u64)> + '_ {
    (0..).step_by(8).map_while(|at| Some((at as u32, word(bytes, at)?)))
}

/// Offsets and values of all words that may be followed.
pub fn pointers<'a>(memory: &'a dyn KernelMemory, bytes: &'a [u8]) -> impl Iterator<Item = (u32, u64)> + 'a {
    words(bytes).filter(|(_, value)| memory.follows(*value))
}

/// The running kernel's memory.
pub struct Live<'a> {
    peek: &'a Peek,
    /// An address in the direct mapping of RAM: that of a task.
    anchor: u64,
    /// Physical memory ends here, so no address of the direct mapping is farther from another.
    span: u64,
    /// The kernel's image, where `init_net` lies.
    image: Range<u64>,
}

impl<'a> Live<'a> {
    /// Finds out where RAM is.
    pub fn new(peek: &'a Peek) -> io::Result<Self> {
        let zones = std::fs::read_to_string("/proc/zoneinfo")
            .map_err(|error| io::Error::other(format!("/proc/zoneinfo: {error}")))?;
        // SAFETY: no pointers.
        let page = u64::try_from(unsafe { libc::sysconf(libc::_SC_PAGESIZE) }).unwrap_or(4096);
        let span = last_page(&zones)
            .and_then(|last| last.checked_mul(page))
            .ok_or_else(|| io::Error::other("/proc/zoneinfo does not say where memory ends".to_owned()))?;
        Ok(Self { peek, anchor: peek.current()?.task, span, image: image() })
    }
}

impl KernelMemory for Live<'_> {
    fn read(&self, address: u64, len: usize) -> Option<Vec<u8>> {
        self.peek.read(address, len)
    }

    fn follows(&self, value: u64) -> bool {
        value.is_multiple_of(8) && (value.abs_diff(self.anchor) < self.span || self.image.contains(&value))
    }
}

/// The number after the last page frame, from /proc/zoneinfo.
fn last_page(zones: &str) -> Option<u64> {
    let mut spanned = 0;
    let mut last = None;
    for line in zones.lines() {
        let mut parts = line.split_whitespace();
        match (parts.next(), parts.next().and_then(|number| number.parse::<u64>().ok())) {
            (Some("spanned"), Some(pages)) => spanned = pages,
            // Follows in the same zone's lines.
            (Some("start_pfn:"), Some(start)) => last = last.max(start.checked_add(spanned)),
            _ => {}
        }
    }
    last
}

/// Where the kernel's image is mapped: a fixed gigabyte on x86-64 (Documentation/arch/x86/x86_64/mm.rst).
#[cfg(target_arch = "x86_64")]
fn image() -> Range<u64> {
    0xffff_ffff_8000_0000..0xffff_ffff_c000_0000
}

/// Where the kernel's image is mapped: only its symbols tell. Empty where they are hidden.
#[cfg(not(target_arch = "x86_64"))]
fn image() -> Range<u64> {
    use std::io::BufRead;
    let (mut start, mut end) = (0, 0);
    if let Ok(file) = std::fs::File::open("/proc/kallsyms") {
        for line in io::BufReader::new(file).lines().map_while(Result::ok) {
            let mut parts = line.split(' ');
            let address = parts.next().and_then(|text| u64::from_str_radix(text, 16).ok()).unwrap_or(0);
            match parts.nth(1) {
                Some("_text") => start = address,
                Some("_end") => end = address,
                _ => {}
            }
        }
    }
    start..end
}

/// Bytes of a `struct task_struct`, so that the next object in memory, another task perhaps, is not taken for part
/// of it. What is assumed where the kernel does not say is less than any has.
pub fn task_size() -> usize {
    let sysfs = std::fs::read_to_string("/sys/kernel/slab/task_struct/object_size")
        .ok()
        .and_then(|text| text.trim().parse().ok());
    let proc = || {
        let text = std::fs::read_to_string("/proc/slabinfo").ok()?;
        let line = text.lines().find(|line| line.starts_with("task_struct "))?;
        line.split_whitespace().nth(3)?.parse().ok()
    };
    sysfs.or_else(proc).unwrap_or(4096).clamp(2048, 16_384)
}

#[cfg(test)]
mod tests {
    use super::last_page;

    #[test]
    fn memory_ends_with_the_highest_zone() {
        let zones = "Node 0, zone DMA\n        spanned  4095\n  start_pfn:           1\n\
                     Node 0, zone   Normal\n        spanned  5505024\n        present 1\n  start_pfn:           1048576\n\
                     Node 0, zone  Movable\n        spanned  0\n";
        assert_eq!(last_page(zones), Some(1_048_576 + 5_505_024));
        assert_eq!(last_page("nothing"), None);
    }
}
