//! `--push`.

use std::path::PathBuf;
use std::{env, fs};

use anyhow::{Context, Result, anyhow, bail};
use clap::{Args, ValueEnum};

use crate::capture::procfs::ProcFs;
use crate::export::formats::Host;
use crate::recording::own_calls::OwnCalls;
use crate::recording::push::headers::Headers;
use crate::recording::push::place::Place;
use crate::recording::push::tls::Authorities;
use crate::recording::push::{Delivery, Pace, Push, Settings};
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
    /// With TLS, the certificates of the authorities that a collector's certificate is checked by (PEM) [default: those that this
    /// host knows]
    #[arg(long, value_name = "FILE", requires = "push")]
    push_ca: Option<PathBuf>,
    /// Whether what is sent is compressed [default: gzip, but to this host itself none]
    #[arg(long, value_name = "HOW", requires = "push")]
    push_compression: Option<Compression>,
}

/// How bodies are compressed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Compression {
    /// Not at all.
    None,
    /// With gzip, which every receiver of OTLP takes.
    Gzip,
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

    fn authorities(&self) -> Result<Authorities> {
        let Some(path) = &self.push_ca else { return Ok(Authorities::Host) };
        let shown = path.display();
        let pem =
            fs::read(path).with_context(|| format!("cannot read the certificates in {shown} (--push-ca)"))?;
        Authorities::of_pem(&pem).with_context(|| format!("{shown} (--push-ca)"))
    }

    /// Begins, if it is asked for. `calls` will know the connections; `metrics` go along where that is possible.
    pub fn begin(&self, calls: &OwnCalls, host: Host, pace: Pace, metrics: bool) -> Result<Option<Push>> {
        let Some(place) = &self.push else { return Ok(None) };
        let headers = self.headers()?;
        if self.push_ca.is_some() && !place.is_tls() {
            bail!(
                "--push-ca is for TLS, and {place} is spoken to without: write …+https:// or otlp+grpcs://"
            );
        }
        let authorities = self.authorities()?;
        let proxies = ["HTTPS_PROXY", "https_proxy", "HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"];
        if let Some(proxy) =
            proxies.into_iter().find(|name| env::var_os(name).is_some_and(|value| !value.is_empty()))
            && !place.is_loopback()
        {
            eprintln!("tracer: the proxy in {proxy} is not used: {place} is connected to directly");
        }
        if !headers.all().is_empty() && !place.is_tls() && !place.is_loopback() {
            eprintln!("tracer: the headers of --push-header go to {place} unencrypted; https hides them");
        }
        let compresses = match self.push_compression {
            Some(compression) => compression == Compression::Gzip,
            None => !place.is_loopback(),
        };
        let settings = Settings { place: place.clone(), headers, authorities, compresses, metrics };
        Push::start(settings, calls.clone(), host, pace).map(Some)
    }
}

/// Where the tracer's own calls are noted.
pub fn own_calls() -> OwnCalls {
    OwnCalls::new(ProcFs::default().netns(std::process::id()).unwrap_or_default())
}

/// What came of it, in lines.
pub fn told(delivery: &Delivery) -> String {
    let mut told = format!("{} spans delivered to {}", count(delivery.spans.delivered), delivery.to);
    for (why, spans) in &delivery.spans.undelivered {
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
    fn authorities_that_cannot_be_used_are_told_with_their_file() {
        let said = |words: &[&str]| {
            let args = parse(words).unwrap();
            let begun = args.begin(&own_calls(), Host::default(), Pace::Patient, false);
            format!("{:#}", begun.map(drop).unwrap_err())
        };
        let none = said(&["--push=otlp+https://x", "--push-ca=/nonexistent"]);
        assert!(none.contains("/nonexistent") && none.contains("--push-ca"), "{none}");
        let no_pem = said(&["--push=otlp+https://x", "--push-ca=/proc/self/stat"]);
        assert!(no_pem.contains("/proc/self/stat") && no_pem.contains("BEGIN CERTIFICATE"), "{no_pem}");
        let no_tls = said(&["--push=otlp+http://x", "--push-ca=/nonexistent"]);
        assert!(no_tls.contains("otlp+grpcs://"), "{no_tls}");
    }

    #[test]
    fn an_address_that_is_not_understood_is_refused_with_an_example() {
        let said = parse(&["--push", "http://x:4318"]).unwrap_err();
        assert!(said.contains("otlp+http://HOST:4318"), "{said}");
    }
}
