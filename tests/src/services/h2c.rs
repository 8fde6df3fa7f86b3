//! Apache that upgrades HTTP/1 to HTTP/2 without TLS (`tests/services/h2c.conf`), and clients that ask for that.

use std::collections::HashMap;
use std::time::Duration;

use anyhow::{Context, Result};

use super::{Service, apache};
use crate::access_log::Unit;
use crate::process::{self, Spec};
use crate::scratch::Scratch;
use crate::{net, pace};

/// Starts it. It has the files `/item/1` to `/item/ITEMS`, each of so many lines as its number times a hundred.
pub fn start(items: usize) -> Result<Service> {
    let scratch = Scratch::new()?;
    let port = net::free_port()?;
    let files = scratch.join("files/item");
    std::fs::create_dir_all(&files).context("cannot make Apache's document root")?;
    for item in 1..=items {
        std::fs::write(files.join(item.to_string()), "an item\n".repeat(100 * item))
            .context("cannot write a file for Apache")?;
    }
    let access_log = scratch.write("apache.access.log", "")?;
    let truth = scratch.write("truth", "")?;
    let config = scratch.render(
        "h2c.conf",
        &[
            ("DIR", &scratch.path().to_string_lossy()),
            ("PORT", &port.to_string()),
            ("MODULES", apache::MODULES),
        ],
    )?;
    let mut process = Spec::new("apache2")?
        .args(["-f", &config.to_string_lossy(), "-DFOREGROUND"])
        .in_directory(scratch.path())
        .start(scratch.path())?;
    net::wait_for_port(port, &mut process)?;
    Ok(Service { process, port, access_log, truth, unit: Unit::Micros, scratch })
}

/// What a client says of one call.
#[derive(Clone, Copy, Debug)]
pub struct Answer {
    /// The status.
    pub status: u16,
    /// How long it took, in milliseconds.
    pub ms: f64,
}

/// Asks for URLs with `nghttp`: the first in HTTP/1, with an offer of HTTP/2; the others at once, when that is accepted. Returns the answers by
/// target.
pub fn nghttp(urls: &[String]) -> Result<HashMap<String, Answer>> {
    let said = process::run(
        &Spec::new("nghttp")?
            .args(["--upgrade", "--null-out", "--stat", "--timeout=20s"])
            .args(urls.iter().map(String::as_str)),
    )?;
    // A table behind explanations: id, responseEnd, requestStart, process, code, size, request path.
    let (_, table) = said.rsplit_once("request path\n").context("nghttp printed no table")?;
    let answer = |line: &str| {
        let words: Vec<&str> = line.split_whitespace().collect();
        let [_, _, _, took, status, _, target] = *words else { return None };
        let digits = took.trim_end_matches(char::is_alphabetic);
        let unit = match took.strip_prefix(digits)? {
            "us" => 1e-3,
            "ms" => 1.0,
            "s" => 1e3,
            _ => return None,
        };
        let ms = digits.parse::<f64>().ok()? * unit;
        Some((target.to_owned(), Answer { status: status.parse().ok()?, ms }))
    };
    table.lines().map(|line| answer(line).with_context(|| format!("nghttp said {line:?}"))).collect()
}

/// Asks for URLs with curl, one in every tenth of a second on one connection, with an offer of HTTP/2 in the first request. `is_taken`: fails
/// unless the server takes it; else, if it does.
pub fn curl(urls: &[String], is_taken: bool) -> Result<Vec<Answer>> {
    let said = process::run(
        &Spec::new("curl")?
            .args(["-sS", "--rate", "10/s", "--http2", "-w", "%{http_version} %{http_code} %{time_total}\n"])
            .args(["--max-time", &pace::limit(Duration::from_secs(20)).as_secs().to_string()])
            .args(urls.iter().flat_map(|url| ["-o", "/dev/null", url.as_str()])),
    )?;
    let answer = |line: &str| {
        let rest = line.strip_prefix(if is_taken { "2 " } else { "1.1 " })?;
        let (status, seconds) = rest.split_once(' ')?;
        Some(Answer { status: status.parse().ok()?, ms: seconds.parse::<f64>().ok()? * 1e3 })
    };
    said.lines().map(|line| answer(line).with_context(|| format!("curl said {line:?}"))).collect()
}
