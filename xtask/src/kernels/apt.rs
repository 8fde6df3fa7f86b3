//! Debian's packages by name, for looking into and not for installing: an apt of our own beside the system's.
//!
//! The mirror is the one that the system's apt is configured for. Lists, cache and sources lie below `target/kernels`;
//! the system's apt, its lists and its packages are not touched.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail, ensure};

use crate::run;

/// Debian's signing keys, of the package `debian-archive-keyring`.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// Names the mirror where the system's apt has none of Debian's, as on Ubuntu.
const MIRROR: &str = "TRACER_DEBIAN_MIRROR";

/// Releases, from the one with the oldest supported kernel to the newest backports.
const RELEASES: &[&str] = &["bullseye", "bookworm", "bookworm-backports", "trixie", "trixie-backports"];
const SECURITY: &[&str] = &["bullseye-security", "bookworm-security", "trixie-security"];

/// Where Debian's packages come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mirror {
    /// The archive.
    pub main: String,
    /// The archive of security updates.
    pub security: String,
}

impl Mirror {
    /// The mirror of the system's apt, or the one named in the environment.
    pub fn of_system() -> Result<Self> {
        if let Ok(main) = std::env::var(MIRROR) {
            return Ok(Self::beside(&main));
        }
        let output = Command::new("apt-get")
            .args(["indextargets", "--format", "$(ORIGIN)|$(LABEL)|$(REPO_URI)"])
            .output()
            .context("cannot start apt-get; the kernels are fetched through apt, on Debian or Ubuntu")?;
        let text = String::from_utf8_lossy(&output.stdout);
        Self::from_targets(&text).with_context(|| {
            format!("apt is not configured for a Debian archive; name one: {MIRROR}=URL (ending in /debian)")
        })
    }

    /// From lines of `ORIGIN|LABEL|URI`.
    fn from_targets(text: &str) -> Option<Self> {
        let find = |label: &str| {
            text.lines().find_map(|line| line.strip_prefix("Debian|")?.strip_prefix(label)?.strip_prefix('|'))
        };
        let mut mirror = Self::beside(find("Debian")?);
        if let Some(security) = find("Debian-Security") {
            mirror.security = security.trim_end_matches('/').to_owned();
        }
        Some(mirror)
    }

    /// Mirrors that have both have them side by side.
    fn beside(main: &str) -> Self {
        let main = main.trim_end_matches('/').to_owned();
        let security = format!("{main}-security");
        Self { main, security }
    }

    /// Lines of a sources list.
    pub fn sources(&self, releases: &[&str], security: &[&str]) -> String {
        let line = |uri: &str, release: &&str| format!("deb [signed-by={KEYRING}] {uri} {release} main\n");
        let main = releases.iter().map(|release| line(&self.main, release));
        main.chain(security.iter().map(|release| line(&self.security, release))).collect()
    }
}

/// An apt with lists of its own.
#[derive(Debug)]
pub struct Apt {
    directory: PathBuf,
}

impl Apt {
    /// Opens it below `directory`; fetches the lists if there are none, or if `refresh`.
    pub fn open(directory: &Path, refresh: bool) -> Result<Self> {
        ensure!(Path::new(KEYRING).exists(), "no {KEYRING}; the package debian-archive-keyring brings it");
        for part in ["lists/partial", "cache/archives/partial"] {
            let part = directory.join(part);
            fs::create_dir_all(&part).with_context(|| format!("cannot make {}", part.display()))?;
        }
        let apt = Self { directory: directory.to_owned() };
        let sources = Mirror::of_system()?.sources(RELEASES, SECURITY);
        let changed = fs::read_to_string(apt.path("sources.list")).is_ok_and(|old| old != sources);
        fs::write(apt.path("sources.list"), &sources).context("cannot write the sources list")?;
        fs::write(apt.path("apt.conf"), apt.configuration()).context("cannot write apt.conf")?;
        let stamp = apt.path("updated");
        if refresh || changed || !stamp.exists() {
            run::say("fetching Debian's package lists, bullseye to trixie-backports");
            run::check(
                apt.command("apt-get")
                    .args(["-q", "-o", "Dpkg::Use-Pty=0", "update"])
                    .stdout(std::io::stderr()),
            )?;
            fs::write(&stamp, "").context("cannot note that the lists are there")?;
        }
        Ok(apt)
    }

    /// All packages whose name begins so.
    pub fn names(&self, prefix: &str) -> Result<Vec<String>> {
        let output = self
            .command("apt-cache")
            .args(["pkgnames", prefix])
            .output()
            .context("cannot start apt-cache")?;
        Ok(String::from_utf8_lossy(&output.stdout).lines().map(str::to_owned).collect())
    }

    /// Fetches packages into `directory` and returns their files. Apt checks them against the signed lists.
    pub fn download(&self, packages: &[String], directory: &Path) -> Result<Vec<PathBuf>> {
        run::say(&format!("fetching {}", packages.join(" ")));
        let mut apt = self.command("apt-get");
        apt.args(["-q", "download"]).args(packages).current_dir(directory).stdout(std::io::stderr());
        run::check(&mut apt).context("if a version has gone from the archive, --refresh gets new lists")?;
        let mut files = Vec::new();
        for entry in fs::read_dir(directory).context("cannot list what was fetched")? {
            let path = entry.context("cannot list what was fetched")?.path();
            if path.extension().is_some_and(|extension| extension == "deb") {
                files.push(path);
            }
        }
        ensure!(files.len() == packages.len(), "asked for {packages:?}, got {files:?}");
        Ok(files)
    }

    fn path(&self, name: &str) -> PathBuf {
        self.directory.join(name)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command.env("APT_CONFIG", self.path("apt.conf")).env("LC_ALL", "C");
        command
    }

    /// On top of the system's configuration, whose proxy, for one, stays valid.
    fn configuration(&self) -> String {
        let directory = self.directory.display();
        format!(
            "Dir::Etc::sourcelist \"{directory}/sources.list\";\n\
             Dir::Etc::sourceparts \"-\";\n\
             Dir::State::lists \"{directory}/lists\";\n\
             Dir::State::status \"/dev/null\";\n\
             Dir::Cache \"{directory}/cache\";\n\
             APT::Sandbox::User \"root\";\n\
             APT::Architecture \"amd64\";\n\
             APT::Architectures {{ \"amd64\"; }};\n\
             Acquire::Languages \"none\";\n\
             Acquire::Retries \"3\";\n\
             Acquire::IndexTargets::deb::DEP-11::DefaultEnabled \"false\";\n\
             Acquire::IndexTargets::deb::Contents-deb::DefaultEnabled \"false\";\n\
             APT::Update::Post-Invoke \"\";\n\
             APT::Update::Post-Invoke-Success \"\";\n"
        )
    }
}

/// Unpacks packages below `directory`, without running anything of theirs.
pub fn unpack(packages: &[PathBuf], directory: &Path) -> Result<()> {
    for package in packages {
        let mut dpkg = Command::new("dpkg-deb");
        dpkg.arg("--extract").arg(package).arg(directory);
        run::check(&mut dpkg)?;
    }
    if packages.is_empty() {
        bail!("no package to unpack");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_mirror_is_the_one_that_apt_uses() {
        let targets = "PostgreSQL|x|http://other.example/\n\
                       Debian|Debian-Security|http://sec.example/debian-security/\n\
                       Debian|Debian|http://mirror.example/debian/\n";
        let mirror = Mirror::from_targets(targets).unwrap();
        assert_eq!(mirror.main, "http://mirror.example/debian");
        assert_eq!(mirror.security, "http://sec.example/debian-security");
        let sources = mirror.sources(&["bookworm"], &["bookworm-security"]);
        assert!(sources.contains("] http://mirror.example/debian bookworm main\n"), "{sources}");
        assert!(
            sources.contains("] http://sec.example/debian-security bookworm-security main\n"),
            "{sources}"
        );
    }

    #[test]
    fn security_updates_are_looked_for_beside_the_archive() {
        let mirror = Mirror::from_targets("Debian|Debian|http://mirror.example/debian/\n").unwrap();
        assert_eq!(mirror.security, "http://mirror.example/debian-security");
        assert_eq!(Mirror::from_targets("Ubuntu|Ubuntu|http://mirror.example/ubuntu/\n"), None);
    }
}
