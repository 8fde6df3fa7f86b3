//! A resolver of our own (dnsmasq), alone in a network namespace in which it is everybody's resolver.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::process::{self, Process, Spec};
use crate::scratch::Scratch;

/// A network namespace with nothing but loopback, in which `/etc/resolv.conf` names 127.0.0.1. Gone when dropped.
#[derive(Debug)]
pub struct Namespace {
    name: String,
}

impl Namespace {
    /// Makes it.
    pub fn new() -> Result<Self> {
        let namespace = Self { name: format!("e2e-dns-{}", std::process::id()) };
        // What lies here `ip netns exec` mounts over /etc, in a mount namespace of the command's own.
        let etc = namespace.etc();
        std::fs::create_dir_all(&etc).with_context(|| format!("cannot make {}", etc.display()))?;
        std::fs::write(etc.join("resolv.conf"), "nameserver 127.0.0.1\noptions timeout:2 attempts:1\n")?;
        ip(&["netns", "add", &namespace.name])?;
        ip(&["-n", &namespace.name, "link", "set", "lo", "up"])?;
        Ok(namespace)
    }

    /// Its name, for [`Spec::in_namespace`].
    pub fn name(&self) -> &str {
        &self.name
    }

    fn etc(&self) -> PathBuf {
        Path::new("/etc/netns").join(&self.name)
    }
}

impl Drop for Namespace {
    fn drop(&mut self) {
        // Making it may have failed half-way.
        let _absent = ip(&["netns", "delete", &self.name]);
        let _absent = std::fs::remove_dir_all(self.etc());
        // If nobody else has any.
        let _others = std::fs::remove_dir("/etc/netns");
    }
}

fn ip(args: &[&str]) -> Result<String> {
    process::run(&Spec::new("ip")?.args(args.iter().copied()))
}

/// A running resolver; ends when dropped.
#[derive(Debug)]
pub struct Dnsmasq {
    process: Process,
    scratch: Scratch,
}

/// Starts it on 127.0.0.1 of the namespace. `args`: what it knows, and whom it asks.
pub fn start(namespace: &Namespace, port: u16, args: &[&str]) -> Result<Dnsmasq> {
    let scratch = Scratch::new()?;
    let log = scratch.join("queries");
    let process = Spec::new("dnsmasq")?
        .args(["--keep-in-foreground", "--conf-file=/dev/null", "--no-resolv", "--no-hosts", "--log-queries"])
        .args(["--user=root", "--pid-file", "--bind-interfaces", "--listen-address=127.0.0.1"])
        .args([format!("--port={port}"), format!("--log-facility={}", log.display())])
        .args(args.iter().copied())
        .in_namespace(namespace.name())
        .start(scratch.path())?;
    let mut server = Dnsmasq { process, scratch };
    // It is there when it says so; a question would be in its log.
    crate::net::wait("dnsmasq", &mut server.process, || {
        std::fs::read_to_string(&log).is_ok_and(|log| log.contains("started"))
    })?;
    Ok(server)
}

impl Dnsmasq {
    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.process.pid()
    }

    /// What it was asked, as its log says it: `A www.example`, in the order of the words.
    pub fn queries(&self) -> Result<Vec<String>> {
        let log = std::fs::read_to_string(self.scratch.join("queries")).context("cannot read its log")?;
        let mut queries: Vec<String> = log.lines().filter_map(query).collect();
        queries.sort_unstable();
        Ok(queries)
    }
}

/// `... dnsmasq[7]: query[AAAA] www.example from 127.0.0.1`.
fn query(line: &str) -> Option<String> {
    let (_, rest) = line.split_once(" query[")?;
    let (kind, rest) = rest.split_once("] ")?;
    let (name, _) = rest.split_once(" from ")?;
    Some(format!("{kind} {name}"))
}
