//! Names: of the kernels that are asked for (`6.1`, `6.12-rt`, `newest`), and of Debian's packages that have them.
//!
//! Versions expire from the archive, so a package is chosen by pattern: the newest there is of a series.

use std::cmp::Ordering;
use std::fmt;
use std::str::FromStr;

use anyhow::{Context, Result, bail};

/// Debian's builds of one version.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Flavour {
    /// Without drivers for hardware that no cloud has; what virtual machines run, and the quickest to boot.
    Cloud,
    /// The general one.
    Generic,
    /// With PREEMPT_RT.
    Rt,
}

impl Flavour {
    /// What stands between version and architecture in a package's name.
    fn infix(self) -> &'static str {
        match self {
            Flavour::Cloud => "-cloud",
            Flavour::Generic => "",
            Flavour::Rt => "-rt",
        }
    }
}

impl fmt::Display for Flavour {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Flavour::Cloud => "cloud",
            Flavour::Generic => "amd64",
            Flavour::Rt => "rt",
        })
    }
}

/// A series of kernels.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Series {
    /// `6.1` is (6, 1).
    Of(u32, u32),
    /// Whatever series is the newest in the archive.
    Newest,
}

/// A kernel as it is asked for: `SERIES` or `SERIES-FLAVOUR`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Wanted {
    /// Its series.
    pub series: Series,
    /// Its flavour; cloud if none is named.
    pub flavour: Flavour,
}

impl fmt::Display for Wanted {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.series {
            Series::Of(major, minor) => write!(f, "{major}.{minor}-{}", self.flavour),
            Series::Newest => write!(f, "newest-{}", self.flavour),
        }
    }
}

impl FromStr for Wanted {
    type Err = anyhow::Error;

    fn from_str(text: &str) -> Result<Self> {
        let (series, flavour) = text.split_once('-').unwrap_or((text, "cloud"));
        let flavour = match flavour {
            "cloud" => Flavour::Cloud,
            "amd64" | "generic" => Flavour::Generic,
            "rt" => Flavour::Rt,
            other => bail!("no flavour {other:?}: cloud, amd64 or rt"),
        };
        if series == "newest" {
            return Ok(Self { series: Series::Newest, flavour });
        }
        let parts = series.split_once('.').and_then(|(a, b)| Some((a.parse().ok()?, b.parse().ok()?)));
        let (major, minor) = parts.with_context(|| {
            format!("{text:?} is no kernel: SERIES or SERIES-FLAVOUR, like 6.1 or 6.12-rt")
        })?;
        Ok(Self { series: Series::Of(major, minor), flavour })
    }
}

/// The prefix of the packages that have a kernel image.
pub const IMAGE: &str = "linux-image-";
const ARCHITECTURE: &str = "-amd64";

/// The packages of those that are wanted, the newest first.
pub fn newest_first<'a>(names: impl IntoIterator<Item = &'a str>, wanted: Wanted) -> Vec<&'a str> {
    let mut found: Vec<_> = names
        .into_iter()
        .filter_map(|name| Some((name, parse(name)?)))
        .filter(|(_, (series, flavour, _))| {
            *flavour == wanted.flavour
                && match wanted.series {
                    Series::Of(major, minor) => *series == (major, minor),
                    Series::Newest => true,
                }
        })
        .collect();
    found.sort_by(|(_, (_, _, a)), (_, (_, _, b))| compare(b, a));
    found.into_iter().map(|(name, _)| name).collect()
}

/// The series of a package with a kernel image.
pub fn series_of(package: &str) -> Option<(u32, u32)> {
    parse(package).map(|(series, ..)| series)
}

/// Series, flavour and version of a package with a kernel image; nothing for packages that only refer to one
/// (`linux-image-6.1-amd64`) and for the unsigned and debugging twins.
fn parse(name: &str) -> Option<((u32, u32), Flavour, &str)> {
    let rest = name.strip_prefix(IMAGE)?.strip_suffix(ARCHITECTURE)?;
    let (version, flavour) = [Flavour::Cloud, Flavour::Rt]
        .into_iter()
        .find_map(|flavour| Some((rest.strip_suffix(flavour.infix())?, flavour)))
        .unwrap_or((rest, Flavour::Generic));
    let mut parts = version.splitn(3, '.');
    let series = (parts.next()?.parse().ok()?, parts.next()?.parse().ok()?);
    // 6.1.0-56, 6.12.113+deb12, 5.10.0-0.deb10.30
    let third = parts.next()?;
    let known = third.starts_with(|c: char| c.is_ascii_digit())
        && third.chars().all(|c| c.is_ascii_digit() || "+-.debpo~rc".contains(c));
    known.then_some((series, flavour, version))
}

/// Orders versions by their numbers, what stands between them by its letters.
fn compare(a: &str, b: &str) -> Ordering {
    numbers(a).cmp(&numbers(b))
}

/// "6.12.9+deb13" as [("", 6), (".", 12), (".", 9), ("+deb", 13)].
fn numbers(version: &str) -> Vec<(String, u64)> {
    let mut parts = Vec::new();
    let mut rest = version;
    while !rest.is_empty() {
        let (text, tail) = split_at(rest, |c| c.is_ascii_digit());
        let (number, tail) = split_at(tail, |c| !c.is_ascii_digit());
        parts.push((text.to_owned(), number.parse().unwrap_or(0)));
        rest = tail;
    }
    parts
}

fn split_at(text: &str, at: impl Fn(char) -> bool) -> (&str, &str) {
    text.split_at(text.find(at).unwrap_or(text.len()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn first<'a>(names: impl IntoIterator<Item = &'a str>, wanted: Wanted) -> Option<&'a str> {
        newest_first(names, wanted).first().copied()
    }

    const NAMES: &[&str] = &[
        "linux-image-amd64",
        "linux-image-6.1-cloud-amd64",
        "linux-image-5.10.0-46-cloud-amd64",
        "linux-image-6.1.0-0.deb11.52-cloud-amd64",
        "linux-image-6.1.0-9-cloud-amd64",
        "linux-image-6.1.0-56-cloud-amd64",
        "linux-image-6.1.0-56-cloud-amd64-unsigned",
        "linux-image-6.1.0-57-amd64",
        "linux-image-6.1.0-57-cloud-amd64-dbg",
        "linux-image-6.12.90+deb13.1-cloud-amd64",
        "linux-image-6.12.90+deb13-cloud-amd64",
        "linux-image-6.12.105+deb13-cloud-amd64",
        "linux-image-6.12.105+deb13-rt-amd64",
        "linux-image-6.18.15+deb13-cloud-amd64",
        "linux-image-7.3.4+deb13-cloud-amd64",
        "linux-image-7.2.12+deb13-amd64",
        "linux-image-6.1.0-58-cloud-arm64",
    ];

    fn chosen(wanted: &str) -> Option<&'static str> {
        first(NAMES.iter().copied(), wanted.parse().unwrap())
    }

    #[test]
    fn the_newest_of_a_series_is_chosen_by_number_not_by_letter() {
        assert_eq!(chosen("6.1"), Some("linux-image-6.1.0-56-cloud-amd64"));
        assert_eq!(chosen("6.12"), Some("linux-image-6.12.105+deb13-cloud-amd64"));
        assert_eq!(chosen("5.10"), Some("linux-image-5.10.0-46-cloud-amd64"));
        assert_eq!(compare("6.12.90+deb13.1", "6.12.90+deb13"), Ordering::Greater);
    }

    #[test]
    fn flavours_do_not_mix_and_twins_are_passed_over() {
        assert_eq!(chosen("6.1-amd64"), Some("linux-image-6.1.0-57-amd64"));
        assert_eq!(chosen("6.12-rt"), Some("linux-image-6.12.105+deb13-rt-amd64"));
        assert_eq!(chosen("6.1-rt"), None);
        assert_eq!(chosen("6.2"), None);
    }

    #[test]
    fn newest_is_of_whatever_series_there_is() {
        assert_eq!(chosen("newest"), Some("linux-image-7.3.4+deb13-cloud-amd64"));
        assert_eq!(chosen("newest-generic"), Some("linux-image-7.2.12+deb13-amd64"));
        assert_eq!(series_of("linux-image-7.3.4+deb13-cloud-amd64"), Some((7, 3)));
    }

    #[test]
    fn what_is_asked_for_is_read_and_shown_alike() {
        for (text, shown) in [("6.1", "6.1-cloud"), ("6.12-rt", "6.12-rt"), ("newest-amd64", "newest-amd64")]
        {
            assert_eq!(text.parse::<Wanted>().unwrap().to_string(), shown);
        }
        for wrong in ["6", "six", "6.1-arm", ""] {
            assert!(wrong.parse::<Wanted>().is_err(), "{wrong}");
        }
    }
}
