//! What a committed object must not contain: a way into a panic, or a path of the machine that built it.

use anyhow::{Result, bail};
use object::{Object, ObjectSection, ObjectSymbol};

use crate::private::{self, Prefix};

/// Refuses an object with a panic path (the verifier would, on somebody's machine) or an absolute path.
pub fn refuse_defects(bytes: &[u8], private: &[Prefix]) -> Result<()> {
    let file = object::File::parse(bytes)?;
    for symbol in file.symbols() {
        let name = symbol.name().unwrap_or_default();
        if name.contains("panic") || name.contains("unwrap_failed") || name.contains("slice_index_fail") {
            bail!("the probes contain a panic path, `{name}`: the kernel would refuse them");
        }
    }
    if let Some(prefix) = private::find(bytes, private) {
        bail!("the object contains a path of this machine: {}", prefix.display());
    }
    if let Some(section) = file.section_by_name(".BTF") {
        let data = section.data()?;
        if let Some(path) = absolute_path(data) {
            bail!("the object's type information contains an absolute path: {path}");
        }
    }
    Ok(())
}

/// A string that begins like an absolute path of a directory.
fn absolute_path(data: &[u8]) -> Option<String> {
    data.split(|byte| *byte == 0)
        .filter(|text| text.len() > 5 && text.first() == Some(&b'/') && text.is_ascii())
        .filter(|text| {
            text.get(1).is_some_and(u8::is_ascii_lowercase) && text.iter().skip(1).any(|b| *b == b'/')
        })
        .map(|text| String::from_utf8_lossy(text).into_owned())
        .find(|text| !text.contains(' '))
}

#[cfg(test)]
mod tests {
    use super::absolute_path;

    #[test]
    fn paths_are_told_from_comments() {
        assert_eq!(absolute_path(b"\0src/main.rs\0// a comment\0"), None);
        assert_eq!(absolute_path(b"\0/home/me/x.rs\0").as_deref(), Some("/home/me/x.rs"));
    }
}
