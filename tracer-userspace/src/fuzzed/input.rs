//! Takes choices out of a fuzzer's input.

/// Reads an input from its front; zeros when it is used up.
pub(crate) struct Input<'a>(&'a [u8]);

impl<'a> Input<'a> {
    pub fn new(data: &'a [u8]) -> Self {
        Self(data)
    }

    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    pub fn byte(&mut self) -> u8 {
        match self.0.split_first() {
            Some((first, rest)) => {
                self.0 = rest;
                *first
            }
            None => 0,
        }
    }

    pub fn word(&mut self) -> u16 {
        u16::from(self.byte()) << 8 | u16::from(self.byte())
    }

    pub fn long(&mut self) -> u64 {
        (0..8).fold(0, |value, _| value << 8 | u64::from(self.byte()))
    }

    /// A number that is small in most cases, and sometimes at the end of the range.
    pub fn number(&mut self) -> u64 {
        match self.byte() {
            small @ 0..=199 => u64::from(small),
            200..=219 => u64::from(self.word()),
            220..=239 => u64::MAX - u64::from(self.byte()),
            _ => self.long(),
        }
    }

    /// One of these. There must be at least one.
    pub fn of<T: Copy>(&mut self, all: &[T]) -> T {
        let at = usize::from(self.byte()) % all.len().max(1);
        match all.get(at) {
            Some(chosen) => *chosen,
            None => panic!("nothing to choose from"),
        }
    }

    pub fn take(&mut self, len: usize) -> &'a [u8] {
        let (taken, rest) = self.0.split_at_checked(len).unwrap_or((self.0, b""));
        self.0 = rest;
        taken
    }

    /// A few bytes: as many as the next byte says.
    pub fn bytes(&mut self) -> &'a [u8] {
        let len = usize::from(self.byte());
        self.take(len)
    }

    pub fn rest(&mut self) -> &'a [u8] {
        std::mem::take(&mut self.0)
    }
}
