//! A file, read through a window that moves only forward: what was looked at and not taken is looked at again without
//! being copied, so that searching through garbage costs a constant amount of work for each byte.

use std::io::{self, ErrorKind, Read};

use memchr::memmem;

/// Bytes read at a time.
const STEP: usize = 256 << 10;
/// Room made for something before any of it has been read. What says that it is longer has to prove it.
const TRUST: usize = 64 << 10;

/// The window.
#[derive(Debug)]
pub(super) struct Window<R> {
    input: R,
    bytes: Vec<u8>,
    /// How many of `bytes` were taken.
    used: usize,
    offset: u64,
    ended: bool,
}

impl<R: Read> Window<R> {
    /// Before the first byte.
    pub fn new(input: R) -> Self {
        Self { input, bytes: Vec::new(), used: 0, offset: 0, ended: false }
    }

    /// Where the next byte stands in the file.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    fn rest(&self) -> &[u8] {
        self.bytes.get(self.used..).unwrap_or_default()
    }

    /// The next `len` bytes without taking them; fewer only at the end of the file. `len` is at most [`STEP`].
    pub fn look(&mut self, len: usize) -> io::Result<&[u8]> {
        while self.rest().len() < len && !self.ended {
            self.bytes.drain(..self.used);
            self.used = 0;
            let before = self.bytes.len();
            self.bytes.resize(before + STEP, 0);
            let got = match self.input.read(self.bytes.get_mut(before..).unwrap_or_default()) {
                Ok(got) => got,
                Err(error) if error.kind() == ErrorKind::Interrupted => {
                    self.bytes.truncate(before);
                    continue;
                }
                Err(error) => {
                    self.bytes.truncate(before);
                    return Err(error);
                }
            };
            self.bytes.truncate(before + got);
            self.ended = got == 0;
        }
        let rest = self.rest();
        Ok(rest.get(..len).unwrap_or(rest))
    }

    /// Passes over bytes that were looked at.
    pub fn skip(&mut self, len: usize) {
        let len = len.min(self.rest().len());
        self.used += len;
        self.offset += len as u64;
    }

    /// Passes over at least one byte, up to where `mark` begins or may begin. Returns how many.
    pub fn skip_towards(&mut self, mark: &[u8]) -> io::Result<usize> {
        let bytes = self.look(STEP)?;
        let found = bytes.get(1..).and_then(|rest| memmem::find(rest, mark)).map(|at| at + 1);
        // Its beginning may be what the window ends with.
        let len =
            found.unwrap_or_else(|| (bytes.len() + 1).saturating_sub(mark.len()).max(1)).min(bytes.len());
        self.skip(len);
        Ok(len)
    }

    /// Takes the next `len` bytes into `taken`, whose memory is used again; fewer only at the end of the file.
    pub fn take(&mut self, len: usize, taken: &mut Vec<u8>) -> io::Result<()> {
        let here = self.rest().get(..len).unwrap_or(self.rest());
        taken.clear();
        taken.reserve(len.min(TRUST.max(here.len())));
        taken.extend_from_slice(here);
        self.skip(taken.len());
        let missing = len - taken.len();
        if missing > 0 && !self.ended {
            let got = self.input.by_ref().take(missing as u64).read_to_end(taken)?;
            self.offset += got as u64;
            self.ended = got < missing;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives a few bytes at a time, and is interrupted now and then.
    struct Slow<'a>(&'a [u8], usize);

    impl Read for Slow<'_> {
        fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
            self.1 += 1;
            if self.1.is_multiple_of(3) {
                return Err(ErrorKind::Interrupted.into());
            }
            let len = into.len().min(3);
            self.0.read(&mut into[..len])
        }
    }

    fn take(window: &mut Window<impl Read>, len: usize) -> Vec<u8> {
        let mut taken = vec![1, 2, 3];
        window.take(len, &mut taken).unwrap();
        taken
    }

    #[test]
    fn looking_takes_nothing_and_taking_goes_on_behind() {
        let mut window = Window::new(Slow(b"0123456789abcdef", 0));
        assert_eq!(window.look(4).unwrap(), b"0123");
        assert_eq!(window.look(6).unwrap(), b"012345");
        window.skip(2);
        assert_eq!((take(&mut window, 9), window.offset()), (b"23456789a".to_vec(), 11));
        assert_eq!(window.look(100).unwrap(), b"bcdef");
        assert_eq!((take(&mut window, 100), window.offset()), (b"bcdef".to_vec(), 16));
        assert_eq!(window.look(1).unwrap(), b"");
    }

    #[test]
    fn a_mark_is_found_wherever_the_reads_cut_it() {
        for before in 0..40 {
            let bytes = [vec![b'F'; before + 1], b"FRM!".to_vec(), vec![b'x'; 9]].concat();
            let mut window = Window::new(Slow(&bytes, 0));
            let mut steps = 0;
            while !window.look(4).unwrap().starts_with(b"FRM!") {
                assert!(window.skip_towards(b"FRM!").unwrap() > 0);
                steps += 1;
                assert!(steps < 100);
            }
            assert_eq!(window.offset(), before as u64 + 1);
        }
        let mut window = Window::new(Slow(b"xxFRM", 0));
        let mut passed = 0;
        while !window.look(1).unwrap().is_empty() {
            passed += window.skip_towards(b"FRM!").unwrap();
        }
        assert_eq!(passed, 5);
        assert_eq!(window.skip_towards(b"FRM!").unwrap(), 0);
    }
}
