//! `--push`.

use std::fs;

use anyhow::{Context, Result, anyhow};
use clap::Args;

use crate::capture::procfs::ProcFs;
use crate::export::formats::Host;
use crate::recording::own_calls::OwnCalls;
use crate::recording::push::headers::Headers;
use crate::recording::push::place::Place;
use crate::recording::push::{Delivery, Pace, Push};
use crate::text::count;

/// Where to push to, and as whom.
#[derive(Args, Clone, Debug, Default)]
pub struct PushArgs {
    /// Send the spans to a collector as they are found: otlp+http://HOST:4318 (or otlp+json+http://), otlp+grpc://HOST:4317,
    /// zipkin+http://HOST:9411; with TLS otlp+https://, otlp+grpcs://, zipkin+https:// (docs/exports.md)
    #[arg(long, value_name = "URL", value_parser = Place::parse)]
    pub push: Option<Place>,
    /// A header to send along, such as 'Authorization: Bearer …'; @FILE reads them from a file, which keeps them out of the
    /// list of processes. May be given several times
    #[arg(long, value_name = "HEADER", requires = "push")]
    push_header: Vec<Secret>,
}

/// A header as it was given. Its value shows nowhere, so it is looked at only after the command line was understood: what is wrong with
/// an argument is told with the argument.
#[derive(Clone)]
struct Secret(String);

impl From<String> for Secret {
    fn from(text: String) -> Self {
        Self(text)
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("…")
    }
}

impl PushArgs {
    /// The headers, those of files read.
    fn headers(&self) -> Result<Headers> {
        let mut headers = Headers::default();
        for (at, Secret(text)) in self.push_header.iter().enumerate() {
            match text.strip_prefix('@') {
                Some(path) => {
                    let lines = fs::read_to_string(path)
                        .with_context(|| format!("cannot read the headers in {path} (--push-header)"))?;
                    headers.add_lines(&lines).map_err(|problem| anyhow!("{path} (--push-header): {problem}"))?;
                }
                None => headers.add(text).map_err(|problem| {
                    anyhow!(
                        "--push-header, number {}: {problem}; write 'Name: value', or @FILE for a file with such lines",
                        at + 1
                    )
                })?,
            }
        }
        Ok(headers)
    }

    /// Begins, if it is asked for. `calls` will know the connections.
    pub fn begin(&self, calls: &OwnCalls, host: Host, pace: Pace) -> Result<Option<Push>> {
        let Some(place) = &self.push else { return Ok(None) };
        let headers = self.headers()?;
        if !headers.all().is_empty() && !place.is_tls() && !place.is_loopback() {
            eprintln!("tracer: the headers of --push-header go to {place} unencrypted; https hides them");
        }
        Push::start(place, &headers, calls.clone(), host, pace).map(Some)
    }
}

/// Where the tracer's own calls are noted.
pub fn own_calls() -> OwnCalls {
    OwnCalls::new(ProcFs::default().netns(std::process::id()).unwrap_or_default())
}

/// What came of it, in lines.
pub fn told(delivery: &Delivery) -> String {
    let mut told = format!("{} spans delivered to {}", count(delivery.delivered), delivery.to);
    for (why, spans) in &delivery.undelivered {
        told.push_str(&format!("\n{} spans not delivered to {}: {why}", count(*spans), delivery.to));
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::Parser;

    #[derive(Debug, Parser)]
    struct Cli {
        #[command(flatten)]
        push: PushArgs,
    }

    fn parse(words: &[&str]) -> Result<PushArgs, String> {
        let words = [&["tracer"], words].concat();
        Cli::try_parse_from(words).map(|cli| cli.push).map_err(|error| error.to_string())
    }

    #[test]
    fn a_secret_is_never_shown() {
        let push = "--push=otlp+http://x";
        let args = parse(&[push, "--push-header", "Authorization: Bearer hunter2"]).unwrap();
        assert_eq!(args.headers().unwrap().all().len(), 1);
        assert!(!format!("{args:?}").contains("hunter2"));
        let said = parse(&["--push-header", "Authorization: hunter2"]).unwrap_err();
        assert!(!said.contains("hunter2") && said.contains("--push <URL>"), "{said}");
        let said = parse(&[push, "--push-header", "hunter2"]).unwrap().headers().unwrap_err().to_string();
        assert!(!said.contains("hunter2") && said.contains("number 1"), "{said}");
    }

    #[test]
    fn headers_may_stand_in_a_file() {
        let directory = std::env::temp_dir().join(format!("tracer-push-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let file = directory.join("headers");
        let at = format!("@{}", file.display());
        let args = parse(&["--push=otlp+http://x", "--push-header", &at]).unwrap();
        assert!(args.headers().unwrap_err().to_string().contains("cannot read"));
        fs::write(&file, "Authorization: Bearer hunter2\nX-Scope: a\n").unwrap();
        assert_eq!(args.headers().unwrap().all().len(), 2);
        fs::write(&file, "hunter2\n").unwrap();
        let said = args.headers().unwrap_err().to_string();
        assert!(!said.contains("hunter2") && said.contains("line 1"), "{said}");
        fs::remove_dir_all(&directory).unwrap();
    }

    #[test]
    fn an_address_that_is_not_understood_is_refused_with_an_example() {
        let said = parse(&["--push", "http://x:4318"]).unwrap_err();
        assert!(said.contains("otlp+http://HOST:4318"), "{said}");
    }
}
