//! The outer form: a magic number, then frames, each of which says how long it is and proves that it is whole.
//!
//! ```text
//! file   = magic "\x89tcap\r\n\x1a" (8 bytes), major u16, minor u16, frame*
//! frame  = sync "\xf7FRM", kind u8, packing u8, reserved u16, stored u32, plain u32, payload CRC-32 u32, head CRC-32 u32, payload
//! ```
//! Numbers are little-endian; CRC-32 is that of IEEE 802.3 (zlib's). The head's checksum covers the bytes before it, so a
//! length is never believed that is not as it was written; after a broken frame the next sync with a right checksum
//! is searched.

/// The first bytes of a file. As with PNG's, a transfer that treats it as text shows.
pub const MAGIC: [u8; 8] = *b"\x89tcap\r\n\x1a";
/// Magic and version.
pub const PREAMBLE: usize = 12;
/// The first bytes of a frame.
pub const SYNC: [u8; 4] = *b"\xf7FRM";
/// Bytes of a frame before its payload.
pub const HEAD: usize = 24;
/// No frame is longer, packed or not: what says so is broken.
pub const MAX_PAYLOAD: u32 = 16 << 20;

/// What a frame holds. Unknown kinds are passed over and counted.
pub mod kind {
    /// A `Description`: the first frame.
    pub const DESCRIPTION: u8 = 1;
    /// A `Batch` of observations.
    pub const BATCH: u8 = 2;
    /// A `Clock`: another reading of both clocks.
    pub const CLOCK: u8 = 3;
    /// The ledger, JSON.
    pub const LEDGER: u8 = 4;
    /// The capture's orderly end, empty: a file without it was cut off.
    pub const END: u8 = 5;
    /// A `Raw`: payload, for people and other programs. The analysis does not need it.
    pub const RAW: u8 = 6;
    /// A `Learned`: what the analysis that ran beside the recording had learned of the services. Of several the last counts.
    pub const LEARNED: u8 = 7;
}

/// How a payload is packed.
pub mod packing {
    /// Not at all.
    pub const PLAIN: u8 = 0;
    /// One LZ4 block (lz4_Block_format.md).
    pub const LZ4: u8 = 1;
}

/// A frame's head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Head {
    /// One of [`kind`].
    pub kind: u8,
    /// One of [`packing`].
    pub packing: u8,
    /// Bytes of the payload as it stands in the file.
    pub stored: u32,
    /// Bytes of it unpacked.
    pub plain: u32,
    /// Checksum of the payload as it stands in the file.
    pub crc: u32,
}

impl Head {
    /// As it is written.
    pub fn to_bytes(self) -> [u8; HEAD] {
        let mut bytes = [0; HEAD];
        let parts: [&[u8]; 6] = [
            &SYNC,
            &[self.kind, self.packing, 0, 0],
            &self.stored.to_le_bytes(),
            &self.plain.to_le_bytes(),
            &self.crc.to_le_bytes(),
            &[0; 4],
        ];
        for (to, from) in bytes.iter_mut().zip(parts.into_iter().flatten()) {
            *to = *from;
        }
        let (covered, check) = bytes.split_at_mut(HEAD - 4);
        check.copy_from_slice(&crc32fast::hash(covered).to_le_bytes());
        bytes
    }

    /// Reads one; `None` if it is none, or not as it was written.
    pub fn parse(bytes: &[u8; HEAD]) -> Option<Self> {
        let (covered, check) = bytes.split_last_chunk::<4>()?;
        if !covered.starts_with(&SYNC) || crc32fast::hash(covered) != u32::from_le_bytes(*check) {
            return None;
        }
        let number =
            |at: usize| covered.get(at..)?.first_chunk::<4>().map(|bytes| u32::from_le_bytes(*bytes));
        let head = Self {
            kind: *covered.get(4)?,
            packing: *covered.get(5)?,
            stored: number(8)?,
            plain: number(12)?,
            crc: number(16)?,
        };
        (head.stored <= MAX_PAYLOAD && head.plain <= MAX_PAYLOAD).then_some(head)
    }
}

/// A whole frame. A payload longer than [`MAX_PAYLOAD`] is an error of the caller's, and gives an empty frame.
pub fn pack(kind: u8, payload: &[u8], out: &mut Vec<u8>) {
    debug_assert!(payload.len() <= MAX_PAYLOAD as usize);
    let packed = lz4_flex::block::compress(payload);
    let (packing, stored) = if packed.len() < payload.len() {
        (packing::LZ4, packed.as_slice())
    } else {
        (packing::PLAIN, payload)
    };
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let head =
        Head { kind, packing, stored: length(stored), plain: length(payload), crc: crc32fast::hash(stored) };
    out.extend_from_slice(&head.to_bytes());
    out.extend_from_slice(stored);
}

/// Puts the payload of a frame, unpacked, into `plain`; `false` if it is not as it was written.
pub fn unpack(head: &Head, stored: &[u8], plain: &mut Vec<u8>) -> bool {
    if crc32fast::hash(stored) != head.crc {
        return false;
    }
    match head.packing {
        packing::PLAIN => {
            plain.clear();
            plain.extend_from_slice(stored);
            true
        }
        packing::LZ4 => {
            plain.resize(head.plain as usize, 0);
            lz4_flex::block::decompress_into(stored, plain).is_ok_and(|length| length == plain.len())
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_comes_back_as_it_was() {
        for payload in [b"".to_vec(), b"short".to_vec(), vec![7; 100_000]] {
            let mut bytes = Vec::new();
            pack(kind::BATCH, &payload, &mut bytes);
            let head = Head::parse(bytes.first_chunk().unwrap()).unwrap();
            assert_eq!(bytes.len(), HEAD + head.stored as usize);
            let mut plain = vec![9; 50];
            assert!(unpack(&head, &bytes[HEAD..], &mut plain));
            assert_eq!(plain, payload);
        }
    }

    #[test]
    fn any_flipped_bit_shows() {
        let mut bytes = Vec::new();
        pack(kind::LEDGER, b"some payload that is some payload", &mut bytes);
        for bit in 0..bytes.len() * 8 {
            let mut broken = bytes.clone();
            broken[bit / 8] ^= 1 << (bit % 8);
            let read = Head::parse(broken.first_chunk().unwrap())
                .is_some_and(|head| unpack(&head, &broken[HEAD..], &mut Vec::new()));
            assert!(!read, "bit {bit}");
        }
    }
}
