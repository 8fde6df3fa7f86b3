//! The shipped program needs nothing but itself: no library, no shell, no file of any distribution.

use std::process::ExitCode;
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use tracer_tests::client::Connection;
use tracer_tests::net;
use tracer_tests::paths;
use tracer_tests::process::{self, Spec};
use tracer_tests::scratch::Scratch;
use tracer_tests::services::{Options, nginx};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::{ALONE, Tracer, alone};

const NEEDS: &[Need] = &[
    Need::Tracer,
    Need::Command("nginx"),
    Need::Command("setpriv"),
    Need::Command("unshare"),
    Need::Command("busybox"),
];

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("doctor_in_an_empty_root", doctor_in_an_empty_root),
            test("record_in_an_empty_root", record_in_an_empty_root),
            test("record_in_a_root_of_busybox", record_in_a_root_of_busybox),
        ],
    )
}

/// It says its version and examines the host where no other file exists, and makes none.
fn doctor_in_an_empty_root() -> Result<String> {
    let scratch = Scratch::new()?;
    alone(scratch.path(), &[])?;
    let run = |argument: &str| process::run(&Spec::new(ALONE)?.in_root(scratch.path()).arg(argument));
    let version = run("--version")?;
    ensure!(version.starts_with("tracer "), "its version is {version:?}");
    let said = run("doctor")?;
    ensure!(said.contains("verdict"), "no verdict:\n{said}");
    let mut left: Vec<String> = std::fs::read_dir(scratch.path())
        .context("cannot list the root")?
        .map(|entry| Ok(entry?.file_name().to_string_lossy().into_owned()))
        .collect::<Result<_>>()?;
    left.sort();
    ensure!(left == ["proc", "sys", "tracer"], "the root now has {left:?}");
    Ok(version.trim().to_owned())
}

/// It traces a server of the host from in there, by the names that the host knows.
fn record_in_an_empty_root() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let tracer = Tracer::record_alone(&["--pid", &nginx.pid().to_string()], &[])?;
    let mut connection = Connection::open(nginx.port())?;
    for number in 0..10 {
        connection.fetch(&format!("/item/alone/{number}"))?;
    }
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let spans = recording.trace.servers("/item/alone/");
    ensure!(spans.len() == 10, "{} spans of 10 requests:\n{}", spans.len(), recording.said);
    ensure!(spans.iter().all(|span| span.service == "nginx"), "{:?}", spans.first());
    Ok(String::new())
}

/// It starts a program of a userland that is busybox and nothing else, and traces it.
fn record_in_a_root_of_busybox() -> Result<String> {
    let busybox = paths::find_command("busybox").context("busybox is not installed")?;
    let port = net::free_port()?;
    let address = format!("127.0.0.1:{port}");
    let command = ["--", "/busybox", "httpd", "-f", "-p", &address, "-h", "/"];
    let files = Scratch::new()?;
    let page = files.write("page.html", PAGE)?;
    let tracer = Tracer::record_alone(&command, &[(&busybox, "/busybox"), (&page, "/page.html")])?;
    let deadline = Instant::now() + Duration::from_secs(10);
    while std::net::TcpStream::connect(net::local(port)).is_err() {
        ensure!(Instant::now() < deadline, "busybox does not listen; is it static?\n{}", tracer.said());
        thread::sleep(Duration::from_millis(5));
    }
    let answer = Connection::open(port)?.fetch("/page.html")?;
    ensure!(answer.body == PAGE.len() as u64, "the page has {} bytes", answer.body);
    let recording = tracer.stop()?;
    let spans = recording.trace.servers("/page.html");
    ensure!(spans.len() == 1, "{} spans of one request:\n{}", spans.len(), recording.said);
    Ok(String::new())
}

/// What busybox serves.
const PAGE: &str = "a page\n";
