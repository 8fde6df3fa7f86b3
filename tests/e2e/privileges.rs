//! Which rights the tracer needs, and what it says when it has fewer: nothing that it then reports may be wrong.

use std::collections::{BTreeMap, HashMap};
use std::process::ExitCode;

use anyhow::{Context, Result, ensure};
use tracer_tests::client::Connection;
use tracer_tests::process::Spec;
use tracer_tests::scratch::Scratch;
use tracer_tests::services::gunicorn::{self, Worker};
use tracer_tests::services::{Options, Service};
use tracer_tests::span::{Kind, Span, Trace};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::{self, Recording, Tracer};

const NEEDS: &[Need] =
    &[Need::Tracer, Need::Command("gunicorn"), Need::Command("setpriv"), Need::Command("unshare")];

/// With these alone everything works: README and `Capability::MINIMUM` say so.
const MINIMUM: [&str; 4] = ["bpf", "perfmon", "sys_ptrace", "dac_read_search"];

const REQUESTS: usize = 20;

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("the_minimum_sees_what_root_sees", the_minimum_sees_what_root_sees),
            test("without_sys_ptrace", || missing("sys_ptrace", "CAP_SYS_PTRACE")),
            test("without_dac_read_search", || missing("dac_read_search", "CAP_DAC_READ_SEARCH")),
            test("without_perfmon", || refused_without("perfmon", "CAP_PERFMON")),
            test("without_bpf", || refused_without("bpf", "CAP_BPF")),
            test("user_namespace", user_namespace),
            test("pid_namespace", pid_namespace),
            test("doctor_names_the_minimum", doctor_names_the_minimum),
        ],
    )
}

/// A service that calls another: names from their environments, calls linked by threads.
struct Shop {
    front: Service,
    _back: Service,
}

impl Shop {
    fn open() -> Result<Self> {
        let back = gunicorn::start(Worker::Sync, &Options::named("e2e-back"))?;
        let front = gunicorn::start(Worker::Sync, &Options::named("e2e-front").calling(&back))?;
        Ok(Self { front, _back: back })
    }

    /// One request after the other, each of which makes two calls.
    fn visit(&self) -> Result<()> {
        for number in 0..REQUESTS {
            Connection::open(self.front.port())?.fetch(&format!("/front?truth=visit{number}"))?;
        }
        Ok(())
    }
}

/// Both tracers at once, so that both see the same.
fn both(capabilities: &[&str]) -> Result<(Recording, Recording)> {
    let shop = Shop::open()?;
    let root = Tracer::record(&[])?;
    let limited = Tracer::record_with_only(capabilities, &[])?;
    shop.visit()?;
    let (root, limited) = (root.stop()?, limited.stop()?);
    root.check_nothing_lost()?;
    limited.check_nothing_lost()?;
    ensure!(root.trace.servers("/front?truth=").len() == REQUESTS, "root does not see every request");
    Ok((root, limited))
}

/// The shop's spans. (Tracers see each other's self-checks.)
fn shops(trace: &Trace) -> impl Iterator<Item = &Span> {
    trace.spans.iter().filter(|span| span.target().contains("truth="))
}

/// What a span says apart from ids and times; its parent by kind and target, which is of one request only.
fn said_of(span: &Span, by_id: &HashMap<&str, &Span>) -> Result<String> {
    let parent = match &span.parent {
        None => "nobody".to_owned(),
        Some(id) => {
            let parent = by_id.get(id.as_str()).with_context(|| format!("no span {id}"))?;
            format!("{:?} {}", parent.kind, parent.target())
        }
    };
    Ok(format!("{:?} {} {} {:?} of {parent}", span.kind, span.service, span.target(), span.status()))
}

fn statements(trace: &Trace) -> Result<BTreeMap<String, usize>> {
    let by_id: HashMap<&str, &Span> = trace.spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
    let mut counts = BTreeMap::new();
    for span in shops(trace) {
        *counts.entry(said_of(span, &by_id)?).or_insert(0) += 1;
    }
    Ok(counts)
}

fn the_minimum_sees_what_root_sees() -> Result<String> {
    let (root, limited) = both(&MINIMUM)?;
    let (all, same) = (statements(&root.trace)?, statements(&limited.trace)?);
    for (statement, count) in &all {
        let found = same.get(statement).copied().unwrap_or(0);
        ensure!(found == *count, "root says {count} times, the other {found} times: {statement}");
    }
    ensure!(all.len() == same.len(), "the other says more than root: {} and {}", same.len(), all.len());
    let linked = shops(&root.trace).filter(|span| span.kind == Kind::Client && span.parent.is_some()).count();
    ensure!(linked == 2 * REQUESTS, "{linked} calls have a parent, so that little was compared");
    // How long the probes run is the kernel's to tell, and takes more. Nothing of the traces depends on it.
    let mut others = limited.said.lines().filter(|line| !line.contains("the probes: not measured"));
    ensure!(!others.any(|line| line.contains("CAP_")), "it misses something:\n{}", limited.said);
    Ok(format!("{} spans alike", all.values().sum::<usize>()))
}

/// One of the two that probes do not need is missing: it says so, every request is there, and no parent differs.
fn missing(capability: &'static str, name: &str) -> Result<String> {
    let fewer: Vec<&str> = MINIMUM.into_iter().filter(|one| *one != capability).collect();
    let (root, limited) = both(&fewer)?;
    let told = limited.said.lines().filter(|line| line.contains(name)).count();
    ensure!(told == 1, "{told} sentences about {name}:\n{}", limited.said);
    let (all, some) = (shops(&root.trace).count(), shops(&limited.trace).count());
    ensure!(all == some, "root has {all} spans, the other {some}");

    // Right or absent: where it names a parent, root names the same.
    let parents = |trace: &Trace| -> Result<BTreeMap<String, String>> {
        let by_id: HashMap<&str, &Span> =
            trace.spans.iter().map(|span| (span.span_id.as_str(), span)).collect();
        let mut parents = BTreeMap::new();
        for span in shops(trace).filter(|span| span.parent.is_some()) {
            let said = said_of(span, &by_id)?;
            let parent = said.rsplit(" of ").next().unwrap_or_default().to_owned();
            parents.insert(format!("{:?} {}", span.kind, span.target()), parent);
        }
        Ok(parents)
    };
    let (truth, found) = (parents(&root.trace)?, parents(&limited.trace)?);
    for (span, parent) in &found {
        ensure!(truth.get(span) == Some(parent), "{span}: parent {parent}, for root {:?}", truth.get(span));
    }
    ensure!(shops(&limited.trace).all(|span| span.service != "unknown"), "services without a name");
    Ok(format!("{some} spans, {} of {} parents", found.len(), truth.len()))
}

/// Without this one nothing can be done.
fn refused_without(capability: &'static str, name: &str) -> Result<String> {
    let fewer: Vec<&str> = MINIMUM.into_iter().filter(|one| *one != capability).collect();
    let scratch = Scratch::new()?;
    let output = scratch.join("traces.json");
    let spec = Spec::new(tracer::open_to_all(&scratch)?)?.with_only(&fewer).args([
        "record",
        "-d",
        "1s",
        "-o",
        &output.to_string_lossy(),
    ]);
    let result = spec.command().output()?;
    let said = String::from_utf8_lossy(&result.stderr).into_owned();
    ensure!(result.status.code() == Some(1), "it ended with {}:\n{said}", result.status);
    tracer::check_refusal(&said, &[name, "sudo"])?;
    ensure!(!output.exists(), "it left a file of traces");
    Ok(said.trim().to_owned())
}

fn user_namespace() -> Result<String> {
    let wrapper = ["unshare", "--user", "--map-root-user"];
    tracer::refuses(&wrapper, &["record", "-d", "1s", "-o", "/dev/null"], &["user namespace", "on the host"])
}

/// With the namespace's own `/proc`, as in a container, and with the host's.
fn pid_namespace() -> Result<String> {
    let words = ["pid namespace", "--pid=host"];
    let record = ["record", "-d", "1s", "-o", "/dev/null"];
    tracer::refuses(&["unshare", "--pid", "--fork"], &record, &words)?;
    tracer::refuses(&["unshare", "--pid", "--fork", "--mount-proc"], &record, &words)
}

/// What `doctor` says to the owner of the minimum, and to one who has less.
fn doctor_names_the_minimum() -> Result<String> {
    let scratch = Scratch::new()?;
    let binary = tracer::open_to_all(&scratch)?;
    let doctor = |capabilities: &[&str]| -> Result<(Option<i32>, String)> {
        let output = Spec::new(&binary)?.with_only(capabilities).arg("doctor").command().output()?;
        Ok((output.status.code(), String::from_utf8_lossy(&output.stdout).into_owned()))
    };
    let (code, said) = doctor(&MINIMUM)?;
    ensure!(code == Some(0) && said.contains("none found by looking"), "{code:?}\n{said}");
    let (code, said) = doctor(&["bpf", "perfmon"])?;
    ensure!(code == Some(0), "{code:?}\n{said}");
    for lost in ["limits  without CAP_SYS_PTRACE", "limits  without CAP_DAC_READ_SEARCH"] {
        ensure!(said.contains(lost), "nothing about {lost}:\n{said}");
    }
    let (code, said) = doctor(&[])?;
    ensure!(code == Some(1) && said.contains("BLOCKS") && said.contains("sudo"), "{code:?}\n{said}");
    Ok(String::new())
}
