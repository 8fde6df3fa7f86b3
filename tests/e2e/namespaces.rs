//! Client and server in different network namespaces, as in containers: the two views of a call are still joined.

use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use tracer_tests::process::{self, Spec};
use tracer_tests::scenario;
use tracer_tests::services::{Options, nginx};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::Tracer;

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("nginx"), Need::Command("curl"), Need::Command("ip")];

fn main() -> ExitCode {
    suite::run(NEEDS, vec![test("two_namespaces_joined_by_veth", two_namespaces_joined_by_veth)])
}

/// Two network namespaces and a cable between them; gone when dropped.
struct Namespaces {
    server: String,
    client: String,
}

/// From the range for documentation (RFC 5737): used by nobody.
const SERVER: &str = "192.0.2.1";
const CLIENT: &str = "192.0.2.2";

impl Namespaces {
    fn new() -> Result<Self> {
        let id = std::process::id();
        let namespaces = Self { server: format!("e2e-s-{id}"), client: format!("e2e-c-{id}") };
        let (server, client) = (&namespaces.server, &namespaces.client);
        ip(&["netns", "add", server])?;
        ip(&["netns", "add", client])?;
        ip(&["-n", server, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", client])
            .context("this kernel cannot make a veth pair")?;
        for (namespace, address) in [(server, SERVER), (client, CLIENT)] {
            ip(&["-n", namespace, "addr", "add", &format!("{address}/24"), "dev", "cable"])?;
            ip(&["-n", namespace, "link", "set", "lo", "up"])?;
            ip(&["-n", namespace, "link", "set", "cable", "up"])?;
        }
        Ok(namespaces)
    }
}

impl Drop for Namespaces {
    fn drop(&mut self) {
        for namespace in [&self.server, &self.client] {
            // Making them may have failed half-way.
            let _absent = ip(&["netns", "delete", namespace]);
        }
    }
}

fn ip(args: &[&str]) -> Result<String> {
    process::run(&Spec::new("ip")?.args(args.iter().copied()))
}

fn two_namespaces_joined_by_veth() -> Result<String> {
    let namespaces = Namespaces::new()?;
    let options = Options { namespace: Some(namespaces.server.clone()), ..Options::default() };
    let nginx = nginx::start_on(&options, SERVER, 1)?;
    let tracer = Tracer::record(&[])?;
    for number in 0..20 {
        let url = format!("http://{SERVER}:{}/item/far-{number}", nginx.port());
        process::run(
            &Spec::new("curl")?.args(["-sS", "--max-time", "10", &url]).in_namespace(&namespaces.client),
        )?;
    }
    let recording = tracer.stop()?;
    let joined = scenario::check_joined(&recording.trace, "/item/far-")?;
    ensure!(joined == 20, "{joined} server spans for 20 requests");
    Ok(String::new())
}
