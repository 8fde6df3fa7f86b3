//! Data as text that a browser unpacks by itself.

use std::io::{self, Write};

use base64::prelude::{BASE64_STANDARD, Engine};
use flate2::Compression;
use flate2::write::ZlibEncoder;

/// Deflated (zlib's format, which browsers call `deflate`), then base64.
pub(super) fn pack(data: &[u8]) -> io::Result<String> {
    let mut encoder = ZlibEncoder::new(Vec::new(), Compression::default());
    encoder.write_all(data)?;
    Ok(BASE64_STANDARD.encode(encoder.finish()?))
}
