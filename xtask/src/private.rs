//! Paths of the machine that builds: replaced by names in everything that leaves it, and refused where they are found.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// A path of this machine, and what stands for it.
pub type Prefix = (PathBuf, &'static str);

/// The prefixes that every build has, with those of one build between them. Of several that fit, rustc takes the last.
pub fn prefixes(workspace: &Path, more: impl IntoIterator<Item = Prefix>) -> Result<Vec<Prefix>> {
    let home = std::env::var_os("HOME").map(PathBuf::from).context("HOME is not set")?;
    let cargo_home = std::env::var_os("CARGO_HOME").map_or_else(|| home.join(".cargo"), PathBuf::from);
    let sources = cargo_home.join("registry/src");
    let mut prefixes = vec![(workspace.to_owned(), "tracer"), (cargo_home, "cargo")];
    prefixes.extend(more);
    // The registry's directory is named after its host and cargo's version.
    if let Ok(registries) = std::fs::read_dir(&sources) {
        prefixes.extend(registries.flatten().map(|registry| (registry.path(), "crates")));
    }
    Ok(prefixes)
}

/// The compiler's options that replace them.
pub fn remap(prefixes: &[Prefix]) -> impl Iterator<Item = String> + '_ {
    prefixes.iter().map(|(prefix, name)| format!("--remap-path-prefix={}={name}", prefix.display()))
}

/// The first of the prefixes that occurs in `bytes` as the beginning of a path.
pub fn find<'a>(bytes: &[u8], prefixes: &'a [Prefix]) -> Option<&'a Path> {
    prefixes.iter().map(|(prefix, _)| prefix.as_path()).find(|prefix| occurs(bytes, prefix))
}

fn occurs(bytes: &[u8], prefix: &Path) -> bool {
    let mut text = prefix.as_os_str().as_encoded_bytes().to_vec();
    if text.is_empty() || text == b"/" {
        return false;
    }
    text.push(b'/');
    // `/src` is also the end of many a relative path; a longer prefix cannot be anything but itself, and strings in a
    // program follow each other without a separator.
    let short = prefix.components().count() <= 2;
    bytes.windows(text.len()).enumerate().any(|(at, window)| {
        let before = at.checked_sub(1).and_then(|at| bytes.get(at));
        let inside = before.is_some_and(|byte| byte.is_ascii_alphanumeric() || b"-_./".contains(byte));
        window == text && !(short && inside)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_found_wherever_it_begins() {
        let prefixes = [(PathBuf::from("/home/me/tracer"), "tracer")];
        assert!(find(b"called at/home/me/tracer/src/x.rs", &prefixes).is_some());
        assert!(find(b"/home/me/tracer-2/src/x.rs", &prefixes).is_none());
    }

    #[test]
    fn a_short_path_is_told_from_the_middle_of_another() {
        let prefixes = [(PathBuf::from("/src"), "tracer")];
        assert!(find(b"tracer-userspace/src/main.rs", &prefixes).is_none());
        assert!(find(b"\0/src/tracer-userspace/main.rs", &prefixes).is_some());
    }
}
