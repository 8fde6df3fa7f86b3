//! Header blocks (RFC 7541), of which a part may not have been captured, with a dynamic table of which the older part may
//! not be known ([`table`]). What depends on the unknown is unknown; nothing is ever another field's.

#[cfg(any(test, feature = "test-support"))]
pub(crate) mod encoder;
mod fields;
mod huffman;
mod statics;
mod table;

#[cfg(test)]
mod tests;

pub(super) use fields::Fields;
use table::Found;
pub(super) use table::Table;

/// Largest number in a block: lengths and indices are far smaller, and what is larger is hostile.
const MAX_INTEGER: u64 = 1 << 28;

/// Why a block cannot be read to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Stop {
    /// It ends in the middle of a field.
    End,
    /// It is no header block.
    Invalid,
}

/// Reads a block. `cut`: a part of it is missing at its end. What was read is in `out`; false: the block is none, and the table has
/// been given up with it.
pub(super) fn decode(table: &mut Table, block: &[u8], cut: bool, out: &mut Fields) -> bool {
    out.clear();
    let mut rest = block;
    let stop = loop {
        if rest.is_empty() {
            break None;
        }
        match field(table, rest, out) {
            Ok(after) => rest = after,
            Err(stop) => break Some(stop),
        }
    };
    if cut || stop.is_some() {
        // What the missing part would have inserted is not known.
        out.cut = true;
        table.hole();
    }
    match stop {
        None => true,
        Some(Stop::End) => cut,
        Some(Stop::Invalid) => false,
    }
}

/// Reads one representation (RFC 7541 section 6).
fn field<'a>(table: &mut Table, block: &'a [u8], out: &mut Fields) -> Result<&'a [u8], Stop> {
    let first = *block.first().ok_or(Stop::End)?;
    if first & 0x80 != 0 {
        let (index, rest) = integer(block, 7)?;
        let mark = out.mark();
        let (name, value) = match at(table, index)? {
            Found::Entry(name, value) => (name.map(|name| out.text(name)), Some(out.text(value))),
            Found::Unknown | Found::Beyond => (None, None),
        };
        out.push(mark, name, value);
        return Ok(rest);
    }
    if first & 0xe0 == 0x20 {
        let (size, rest) = integer(block, 5)?;
        table.resize(size);
        return Ok(rest);
    }
    let inserts = first & 0x40 != 0;
    let (index, rest) = integer(block, if inserts { 6 } else { 4 })?;
    let mark = out.mark();
    let (name, rest) = if index == 0 {
        let (name, rest) = string(rest, out)?;
        (Some(name), rest)
    } else {
        let name = match at(table, index)? {
            Found::Entry(name, _) => name.map(|name| out.text(name)),
            Found::Unknown | Found::Beyond => None,
        };
        (name, rest)
    };
    let (value, rest) = string(rest, out)?;
    if inserts {
        table.insert(name.map(|name| out.get(name)), out.get(value));
    }
    out.push(mark, name, Some(value));
    Ok(rest)
}

/// The entry of either table (RFC 7541 section 2.3.3).
fn at(table: &Table, index: u64) -> Result<Found<'_>, Stop> {
    let before = index.checked_sub(1).ok_or(Stop::Invalid)?;
    let known = usize::try_from(before).ok().and_then(|before| statics::ENTRIES.get(before));
    let found = match known {
        Some((name, value)) => Found::Entry(Some(name), value),
        None => table.get(before.saturating_sub(statics::ENTRIES.len() as u64)),
    };
    if found == Found::Beyond { Err(Stop::Invalid) } else { Ok(found) }
}

/// A number whose first part are the lowest `bits` of the first byte (RFC 7541 section 5.1).
fn integer(block: &[u8], bits: u32) -> Result<(u64, &[u8]), Stop> {
    let (first, mut rest) = block.split_first().ok_or(Stop::End)?;
    let most = (1u64 << bits) - 1;
    let mut value = u64::from(*first) & most;
    if value < most {
        return Ok((value, rest));
    }
    let mut shift = 0;
    loop {
        let (byte, after) = rest.split_first().ok_or(Stop::End)?;
        rest = after;
        value += u64::from(byte & 0x7f) << shift;
        shift += 7;
        if value > MAX_INTEGER || shift > 35 {
            return Err(Stop::Invalid);
        }
        if byte & 0x80 == 0 {
            return Ok((value, rest));
        }
    }
}

/// A string, appended to the texts (RFC 7541 section 5.2).
fn string<'a>(block: &'a [u8], out: &mut Fields) -> Result<(fields::Text, &'a [u8]), Stop> {
    let is_coded = block.first().ok_or(Stop::End)? & 0x80 != 0;
    let (len, rest) = integer(block, 7)?;
    let len = usize::try_from(len).map_err(|_| Stop::Invalid)?;
    let (bytes, rest) = rest.split_at_checked(len).ok_or(Stop::End)?;
    let text = if is_coded { out.coded(bytes).ok_or(Stop::Invalid)? } else { out.text(bytes) };
    Ok((text, rest))
}
