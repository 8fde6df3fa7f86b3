//! Takes out of text what nobody else should learn: the host's and users' names, addresses of the network and of the
//! kernel.
//!
//! The second line of defence: such things are not gathered in the first place. But messages of the kernel's verifier
//! have addresses of maps in them, and an error may quote a path in somebody's home.

use std::net::{Ipv4Addr, Ipv6Addr};

/// What is taken out by name.
pub struct Secrets {
    /// Names, each with what stands in its place.
    names: Vec<(String, &'static str)>,
    /// What looks like an address and is a version.
    keep: Option<String>,
}

/// Shorter names are left: `vm` and `me` are words.
const SHORTEST_NAME: usize = 3;

impl Secrets {
    /// This host's and this user's. `release` is the kernel's, which may look like an address (5.15.153.1-…).
    pub fn of_this_host(release: Option<&str>) -> Self {
        let mut names = Vec::new();
        for file in ["/proc/sys/kernel/hostname", "/proc/sys/kernel/domainname", "/etc/hostname"] {
            let name = std::fs::read_to_string(file).unwrap_or_default();
            let name = name.trim();
            // A domain's host is a name of its own.
            let host = name.split('.').next().unwrap_or_default();
            names.extend([(name.to_owned(), "<host>"), (host.to_owned(), "<host>")]);
        }
        for variable in ["HOSTNAME", "USER", "LOGNAME", "SUDO_USER", "DOAS_USER"] {
            let place = if variable == "HOSTNAME" { "<host>" } else { "<user>" };
            names.push((std::env::var(variable).unwrap_or_default(), place));
        }
        let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
        names.extend(people(&users).map(|name| (name, "<user>")));
        Self::new(names, release)
    }

    fn new(mut names: Vec<(String, &'static str)>, release: Option<&str>) -> Self {
        // Accounts that every host has, and what a container without a name is called, say nothing.
        let common = |name: &str| matches!(name, "root" | "nobody" | "localhost" | "(none)" | "none");
        names.retain(|(name, _)| name.len() >= SHORTEST_NAME && !common(name));
        // The longer first: a name may be the beginning of another.
        names.sort_by_key(|(name, _)| std::cmp::Reverse(name.len()));
        names.dedup();
        Self { names, keep: release.map(str::to_owned) }
    }

    /// The text without them.
    pub fn scrub(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, place) in &self.names {
            text = replace_word(&text, name, place);
        }
        let text = replace_homes(&text);
        let text = replace_kernel_addresses(&text);
        self.replace_addresses(&text)
    }

    /// Looks at each run of characters that addresses of the network are made of.
    fn replace_addresses(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        let mut rest = text;
        let part = |c: char| c.is_ascii_hexdigit() || c == '.' || c == ':';
        while let Some(start) = rest.find(part) {
            let (before, from) = rest.split_at(start);
            let end = from.find(|c: char| !part(c)).unwrap_or(from.len());
            let (run, after) = from.split_at(end);
            out.push_str(before);
            let inside_word = before.ends_with(word_char) || after.starts_with(word_char);
            let version = self.keep.as_ref().is_some_and(|release| {
                // At the beginning of the release, wherever it is quoted.
                release.starts_with(run.trim_end_matches([':', '.'])) && run.contains('.')
            });
            match address(run) {
                Some((place, tail)) if !version && !inside_word => {
                    out.push_str(place);
                    out.push_str(tail);
                }
                _ => out.push_str(run),
            }
            rest = after;
        }
        out.push_str(rest);
        out
    }
}

/// Sixteen hexadecimal digits in the upper half of the address space.
fn replace_kernel_addresses(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(start) = rest.find(|c: char| c.is_ascii_hexdigit()) {
        let (before, from) = rest.split_at(start);
        let end = from.find(|c: char| !c.is_ascii_hexdigit()).unwrap_or(from.len());
        let (run, after) = from.split_at(end);
        out.push_str(before);
        out.push_str(if is_kernel_address(run) { "<kernel address>" } else { run });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// Kernel addresses begin with `ffff`, on arm64 with 52 bits with `fff`.
fn is_kernel_address(run: &str) -> bool {
    let value = u64::from_str_radix(run, 16).ok().filter(|value| run.len() == 16 && value >> 52 == 0xfff);
    // Ones and then zeros are a mask or a limit of the verifier's, and no place.
    value.is_some_and(|value| value != u64::MAX && !(!value).wrapping_add(1).is_power_of_two())
}

/// What stands in the place of a run that is an address of the network, and what of the run comes after it.
fn address(run: &str) -> Option<(&'static str, &str)> {
    let bare = run.trim_end_matches([':', '.']);
    let tail = run.get(bare.len()..).unwrap_or_default();
    let host = bare.rsplit_once(':').map_or(bare, |(host, _)| host);
    if bare.parse::<Ipv4Addr>().is_ok() || host.parse::<Ipv4Addr>().is_ok() {
        return Some(("<IPv4 address>", tail));
    }
    // A time of day has two colons too, and is none.
    if bare.matches(':').count() >= 2 && bare.parse::<Ipv6Addr>().is_ok() {
        return Some(("<IPv6 address>", tail));
    }
    None
}

fn word_char(c: char) -> bool {
    c.is_ascii_alphanumeric() || c == '_'
}

/// Users with an account of their own: from 1000 on, by the custom of all distributions.
fn people(passwd: &str) -> impl Iterator<Item = String> + '_ {
    passwd.lines().filter_map(|line| {
        let mut fields = line.split(':');
        let (name, uid) = (fields.next()?, fields.nth(1)?);
        (1000..60_000).contains(&uid.parse::<u32>().ok()?).then(|| name.to_owned())
    })
}

/// Replaces a name where it is a word, or a part of one joined by other signs than letters and digits.
fn replace_word(text: &str, name: &str, place: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(name) {
        let (before, from) = rest.split_at(at);
        let after = from.get(name.len()..).unwrap_or_default();
        out.push_str(before);
        let whole = !out.ends_with(word_char) && !after.starts_with(word_char);
        out.push_str(if whole { place } else { name });
        rest = after;
    }
    out.push_str(rest);
    out
}

/// `/home/NAME` and `/Users/NAME`, whoever that is.
fn replace_homes(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find("/home/") {
        let (before, from) = rest.split_at(at);
        let inside = from.get("/home/".len()..).unwrap_or_default();
        let end = inside.find(|c: char| c == '/' || c.is_whitespace() || c == '"' || c == '\'');
        out.push_str(before);
        out.push_str("/home/<user>");
        rest = inside.get(end.unwrap_or(inside.len())..).unwrap_or_default();
    }
    out.push_str(rest);
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secrets() -> Secrets {
        let names =
            [("db-7.shop.example", "<host>"), ("db-7", "<host>"), ("alice", "<user>"), ("vm", "<host>")];
        let names = names.map(|(name, place)| (name.to_owned(), place));
        Secrets::new(names.into(), Some("5.15.153.1-microsoft"))
    }

    #[test]
    fn what_is_nobodys_business_is_replaced() {
        for (text, want) in [
            ("on db-7.shop.example, or db-7.", "on <host>, or <host>."),
            ("cannot read /srv/alice/x for alice_b", "cannot read /srv/<user>/x for alice_b"),
            ("open /home/bob/vmlinux.btf: no", "open /home/<user>/vmlinux.btf: no"),
            ("r1 = 0xffff88810a3b4000 ; R1=map", "r1 = 0x<kernel address> ; R1=map"),
            ("at ffffffff81a01230: x", "at <kernel address>: x"),
            ("R2=ffffc90000012345,", "R2=<kernel address>,"),
            ("arm fff0000012345678", "arm <kernel address>"),
            ("connect 10.1.2.3:8080: refused", "connect <IPv4 address>: refused"),
            ("from 192.0.2.17.", "from <IPv4 address>."),
            ("to [fe80::1]:80 and 2001:db8::5", "to [<IPv6 address>]:80 and <IPv6 address>"),
            ("to ::1 failed", "to <IPv6 address> failed"),
        ] {
            assert_eq!(secrets().scrub(text), want);
        }
    }

    #[test]
    fn what_a_maintainer_needs_stays() {
        for text in [
            "kernel 5.15.153.1-microsoft, 6.18.44",
            "umax=0xffffffff,var_off=(0x0; 0xffffffffffffffff)",
            "smin=0xffffffff80000000 0xffff000000000000",
            "R2 unbounded memory access at 12: (85) call bpf_probe_read#4",
            "tracer_userspace::capture::load and std::fs",
            "vmlinux; 12:30:05; 0: R1=ctx(off=0,imm=0) 1: 2:",
            "/homestead, malice",
            "sha256 fffb6a3d97544ee35a57c2198bb213db2570f40bae0aa5b542481c6c0a3ab697",
        ] {
            assert_eq!(secrets().scrub(text), text);
        }
    }

    #[test]
    fn people_are_those_with_accounts_of_their_own() {
        let passwd = "root:x:0:0::/root:/bin/sh\ndaemon:x:1:1\nalice:x:1000:1000::/home/alice:/bin/sh\nnobody:x:65534:1\nbroken\n";
        assert_eq!(people(passwd).collect::<Vec<_>>(), ["alice"]);
    }
}
