//! `tracer doctor` for programs and for bug reports: the same words in each form, and nothing that is nobody's business.

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use tracer_tests::process::{self, Spec};
use tracer_tests::scratch::Scratch;
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::{self, Tracer};
use tracer_tests::{bpf, paths};

const NEEDS: &[Need] = &[Need::Tracer, Need::Command("tar"), Need::Command("unshare"), Need::Command("ip")];

/// How long it may take: loading all programs of each provider included.
const QUICK: Duration = Duration::from_secs(20);

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("json", json),
            test("text_says_the_same", text_says_the_same),
            test("beside_a_recording", beside_a_recording),
            test("bundle_is_complete", bundle_is_complete),
            test("bundle_has_no_secrets", bundle_has_no_secrets),
            test("bundle_where_it_cannot_be_written", bundle_where_it_cannot_be_written),
        ],
    )
}

fn report() -> Result<Value> {
    let (status, shown, said) = tracer::run(&[], &["doctor", "--json"])?;
    ensure!(status.success(), "doctor ended with {status}: {said}");
    serde_json::from_str(&shown).with_context(|| format!("not JSON:\n{shown}"))
}

fn json() -> Result<String> {
    let before = bpf::programs()?;
    let begun = Instant::now();
    let report = report()?;
    let took = begun.elapsed();
    ensure!(took < QUICK, "it took {took:?}");
    bpf::wait_until_gone(&before, Duration::from_secs(2))?;
    let at = |pointer: &str| report.pointer(pointer).with_context(|| format!("no {pointer} in {report:#}"));
    ensure!(at("/can_trace")?.as_bool() == Some(true), "{report:#}");
    ensure!(at("/self_check/passed")?.as_bool() == Some(true) && at("/self_check/error")?.is_null());
    ensure!(at("/tracer/probes_sha256")?.as_str().is_some_and(|sum| sum.len() == 64), "{report:#}");
    let used: Vec<&str> = at("/providers")?
        .as_array()
        .context("providers is no array")?
        .iter()
        .filter(|provider| provider.get("state").and_then(Value::as_str) == Some("used"))
        .filter_map(|provider| provider.get("name").and_then(Value::as_str))
        .collect();
    ensure!(used == [at("/provider")?.as_str().unwrap_or_default()], "used: {used:?}");
    for program in at("/programs")?.as_array().context("programs is no array")? {
        let attached = program.get("attached_to").and_then(Value::as_array).map_or(0, Vec::len);
        ensure!(attached > 0, "attached to nothing: {program}");
    }
    let offsets = at("/offsets")?.as_array().context("offsets is no array")?;
    ensure!(offsets.len() > 20, "{} offsets", offsets.len());
    for offset in offsets {
        let source = offset.get("source").and_then(Value::as_str).unwrap_or_default();
        ensure!(!source.is_empty(), "without a source: {offset}");
    }
    // Where turns are counted by trace events, the kernel waits for a grace period for each of eight: half a second in
    // all, and more the busier the machine is.
    ensure!(at("/detach_ms")?.as_f64().is_some_and(|ms| ms < 4000.0), "{report:#}");
    Ok(format!("{:.2} s", took.as_secs_f64()))
}

/// Every program, offset and problem of the JSON stands in the text.
fn text_says_the_same() -> Result<String> {
    let report = report()?;
    let (_, text, _) = tracer::run(&[], &["doctor"])?;
    let mut found = 0;
    for (list, key) in
        [("programs", "name"), ("offsets", "path"), ("problems", "what"), ("providers", "name")]
    {
        for item in report.get(list).and_then(Value::as_array).with_context(|| format!("no {list}"))? {
            let word =
                item.get(key).and_then(Value::as_str).with_context(|| format!("no {key} in {item}"))?;
            ensure!(text.contains(word), "{word} is not in the text:\n{text}");
            found += 1;
        }
    }
    let verdict = report.get("verdict").and_then(Value::as_str).context("no verdict")?;
    let last = text.trim_end().lines().next_back().unwrap_or_default();
    ensure!(last == format!("verdict: {verdict}"), "the text ends with {last:?}");
    Ok(format!("{found} items"))
}

/// Another tracer at work disturbs neither.
fn beside_a_recording() -> Result<String> {
    let recorder = Tracer::record(&[])?;
    let report = report()?;
    ensure!(report.get("can_trace").and_then(Value::as_bool) == Some(true), "{report:#}");
    let recording = recorder.stop()?;
    recording.check_nothing_lost()?;
    Ok(String::new())
}

/// The bundle's files: names, relative to its directory, and contents.
fn unpack(bundle: &Path, into: &Path) -> Result<BTreeMap<String, Vec<u8>>> {
    let tar = Spec::new("tar")?.args(["xzf", &bundle.to_string_lossy(), "-C", &into.to_string_lossy()]);
    process::run(&tar)?;
    let root = into.join("tracer-support");
    let mut files = BTreeMap::new();
    for directory in [root.clone(), root.join("kernel")] {
        for entry in std::fs::read_dir(&directory)? {
            let path = entry?.path();
            if path.is_file() {
                let name = path.strip_prefix(&root)?.to_string_lossy().into_owned();
                files.insert(name, std::fs::read(&path)?);
            }
        }
    }
    Ok(files)
}

fn bundle_is_complete() -> Result<String> {
    let before = bpf::programs()?;
    let scratch = Scratch::new()?;
    let bundle = scratch.join("support.tar.gz");
    let begun = Instant::now();
    let (status, shown, said) =
        tracer::run(&[], &["doctor", "--bundle", &bundle.to_string_lossy(), "--json"])?;
    let took = begun.elapsed();
    ensure!(status.success(), "doctor ended with {status}: {said}");
    ensure!(took < QUICK, "it took {took:?}");
    bpf::wait_until_gone(&before, Duration::from_secs(2))?;
    let meta = std::fs::metadata(&bundle)?;
    ensure!(meta.permissions().mode() & 0o777 == 0o600, "its mode is {:o}", meta.permissions().mode());
    let inside = Scratch::new()?;
    let files = unpack(&bundle, inside.path())?;
    let text = |name: &str| -> Result<String> {
        let bytes = files.get(name).with_context(|| format!("no {name} among {:?}", files.keys()))?;
        Ok(String::from_utf8_lossy(bytes).into_owned())
    };
    // What the person is told is what is in it.
    let manifest = text("manifest.txt")?;
    for name in files.keys() {
        ensure!(said.contains(name.as_str()), "{name} is not announced:\n{said}");
        ensure!(name == "manifest.txt" || manifest.contains(name.as_str()), "{name} is not in the manifest");
    }
    let same: Value = serde_json::from_str(&text("doctor.json")?)?;
    let printed: Value = serde_json::from_str(&shown)?;
    ensure!(same.get("offsets") == printed.get("offsets"), "the report inside is another");
    ensure!(text("doctor.txt")?.contains("verdict: "), "no verdict");
    let trials: Value = serde_json::from_str(&text("providers.json")?)?;
    let trials = trials.as_array().context("providers.json is no array")?;
    ensure!(trials.len() == same.pointer("/providers").and_then(Value::as_array).map_or(0, Vec::len));
    ensure!(text("kernel/config.txt")?.contains("CONFIG_BPF_SYSCALL=y"), "{}", text("kernel/config.txt")?);
    ensure!(text("kernel/settings.txt")?.contains("net.core.bpf_jit_enable = "));
    ensure!(text("kernel/names.txt")?.contains("tracepoint inet_sock_set_state: yes, yes, "));
    ensure!(text("kernel/mounts.txt")?.contains("proc /proc "));
    ensure!(files.get("kernel/vmlinux.btf") == Some(&std::fs::read("/sys/kernel/btf/vmlinux")?));
    Ok(format!("{} files, {} KiB, {:.1} s", files.len(), meta.len() / 1024, took.as_secs_f64()))
}

/// On a host and for a user with telling names, with a process that has a secret in its arguments and environment.
fn bundle_has_no_secrets() -> Result<String> {
    const HOST: &str = "e2e-hostname-q7";
    const USER: &str = "e2e-username-q7";
    const SECRET: &str = "e2e-secret-q7";
    let scratch = Scratch::new()?;
    let _stranger =
        Spec::new("sh")?.args(["-c", "sleep 60; :", SECRET]).env("TOKEN", SECRET).start(scratch.path())?;
    let bundle = scratch.join("support.tar.gz");
    let script = format!("hostname {HOST}.example.net; exec \"$@\"");
    let binary = paths::tracer_binary()?.to_string_lossy().into_owned();
    // Given type information lies in somebody's home.
    let home = scratch.join(&format!("home/{USER}"));
    std::fs::create_dir_all(&home)?;
    let types = home.join("given.btf");
    std::fs::copy("/sys/kernel/btf/vmlinux", &types)?;
    let command = Spec::new("unshare")?
        .args(["--uts", "sh", "-c", &script, "sh", &binary, "doctor"])
        .args(["--bundle", &bundle.to_string_lossy(), "--btf", &types.to_string_lossy()])
        .env("SUDO_USER", USER)
        .env("TOKEN", SECRET);
    process::run(&command)?;

    let mut secrets: Vec<(String, &str)> =
        [(HOST, "the host's name"), (USER, "the user's name"), (SECRET, "a process's secret")]
            .map(|(secret, what)| (secret.to_owned(), what))
            .into();
    // This host's own addresses.
    for line in process::run(&Spec::new("ip")?.args(["-o", "addr"]))?.lines() {
        let address = line.split_whitespace().nth(3).and_then(|address| address.split('/').next());
        secrets.extend(address.map(|address| (address.to_owned(), "an address of this host")));
    }
    let inside = Scratch::new()?;
    let files = unpack(&bundle, inside.path())?;
    ensure!(files.contains_key("kernel/given.btf"), "{:?}", files.keys());
    for (name, bytes) in &files {
        let text = String::from_utf8_lossy(bytes);
        for (secret, what) in secrets.iter().filter(|(secret, _)| secret.len() > 6) {
            ensure!(!text.contains(secret.as_str()), "{name} has {what}, {secret}");
        }
        if name.ends_with(".btf") {
            continue;
        }
        let address = text
            .split(|c: char| !c.is_ascii_hexdigit())
            .find(|run| run.len() == 16 && run.starts_with("ffff") && !run.ends_with("00000000"));
        let mask = |run: &str| run.chars().all(|digit| digit == 'f') || run.ends_with("80000000");
        ensure!(address.is_none_or(mask), "{name} has the kernel address {address:?}");
    }
    Ok(format!("{} files searched for {} secrets", files.len(), secrets.len()))
}

fn bundle_where_it_cannot_be_written() -> Result<String> {
    let place = "/proc/no-such-directory/support.tar.gz";
    let (status, _, said) = tracer::run(&[], &["doctor", "--bundle", place])?;
    ensure!(status.code() == Some(1), "it ended with {status}");
    tracer::check_refusal(&said, &[place, "directory"])?;
    Ok(said.trim().to_owned())
}
