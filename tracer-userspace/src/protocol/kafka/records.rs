//! How many messages are handed over: the headers of record batches (format version 2, "Record Batch" in Kafka's documentation).

/// Bytes of a batch before its length counts, and of its header.
const PREFIX: usize = 12;
const HEADER: usize = 61;

/// A number at a place of a batch's header.
fn int(batch: &[u8], at: usize) -> Option<i32> {
    batch.get(at..)?.first_chunk::<4>().map(|four| i32::from_be_bytes(*four))
}

/// Messages in these batches, of which `len` bytes there are and perhaps fewer in sight; control batches have none. `None`: not all of them are
/// known, or they are in an older format.
pub(super) fn count(len: usize, mut batches: &[u8]) -> Option<u32> {
    let (mut left, mut count) = (len, 0u32);
    while left > 0 {
        let size = PREFIX + usize::try_from(int(batches, 8)?).ok()?;
        let (magic, is_control) = (*batches.get(16)?, *batches.get(22)? & 1 << 5 != 0);
        if magic != 2 || size < HEADER {
            return None;
        }
        let records = u32::try_from(int(batches, 57)?).ok()?;
        if size > left {
            // Answers to Fetch may end within a batch, which is then asked for again.
            break;
        }
        count = count.checked_add(if is_control { 0 } else { records })?;
        left -= size;
        batches = batches.get(size..).unwrap_or_default();
    }
    Some(count)
}
