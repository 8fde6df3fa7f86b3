//! Hosts that cannot be traced, or not well: made by putting other facts into `/proc` and `/sys`, for the tracer alone, in
//! a mount namespace of its own. It reads what it would read there.

use std::process::ExitCode;

use anyhow::{Result, ensure};
use tracer_tests::paths;
use tracer_tests::process::Spec;
use tracer_tests::scratch::Scratch;
use tracer_tests::seccomp;
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer;

const NEEDS: &[Need] =
    &[Need::Tracer, Need::Command("setpriv"), Need::Command("unshare"), Need::Command("mount")];

/// What is to be refused.
const RECORD: [&str; 5] = ["record", "-d", "1s", "-o", "/dev/null"];

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("old_kernel", old_kernel),
            test("lockdown_confidentiality", lockdown_confidentiality),
            test("interpreted_probes", interpreted_probes),
            test("hidden_processes", hidden_processes),
            test("bpf_forbidden_by_seccomp", bpf_forbidden_by_seccomp),
            test("type_information_that_is_none", type_information_that_is_none),
        ],
    )
}

/// A shell line that runs before the tracer in its mount namespace, and the wrapper that does so.
fn with_mounts(script: &str) -> Vec<String> {
    let script = format!("set -e; {script}; exec \"$@\"");
    ["unshare", "--mount", "--propagation", "private", "sh", "-c", &script, "sh"].map(String::from).to_vec()
}

/// A file's content as it is to be read at `path`.
fn instead(scratch: &Scratch, path: &str, content: &str) -> Result<Vec<String>> {
    let file = scratch.write("instead", content)?;
    Ok(with_mounts(&format!("mount --bind {} {path}", file.display())))
}

fn words(wrapper: &[String]) -> Vec<&str> {
    wrapper.iter().map(String::as_str).collect()
}

/// Both commands refuse, `record` before it does anything.
fn both_refuse(wrapper: &[String], said: &[&str]) -> Result<String> {
    let sentence = tracer::refuses(&words(wrapper), &RECORD, said)?;
    let (status, shown, _) = tracer::run(&words(wrapper), &["doctor"])?;
    ensure!(status.code() == Some(1), "doctor ended with {status}:\n{shown}");
    let shown = shown.to_lowercase();
    for word in said {
        ensure!(shown.contains(&word.to_lowercase()), "doctor does not speak of {word}:\n{shown}");
    }
    ensure!(shown.contains("blocks") && shown.contains("nothing can be traced"), "no verdict:\n{shown}");
    ensure!(!shown.contains("offsets"), "it tried all the same:\n{shown}");
    Ok(sentence)
}

fn old_kernel() -> Result<String> {
    let scratch = Scratch::new()?;
    let wrapper = instead(&scratch, "/proc/sys/kernel/osrelease", "4.19.0-27-amd64\n")?;
    both_refuse(&wrapper, &["4.19.0-27-amd64", "Linux 5.10", "newer kernel"])
}

fn lockdown_confidentiality() -> Result<String> {
    let scratch = Scratch::new()?;
    let lockdown = "/sys/kernel/security/lockdown";
    let wrapper = if std::path::Path::new(lockdown).exists() {
        instead(&scratch, lockdown, "none integrity [confidentiality]\n")?
    } else {
        instead(&scratch, "/proc/cmdline", "quiet lockdown=confidentiality\n")?
    };
    both_refuse(&wrapper, &["lockdown=confidentiality", "boot without"])
}

/// It costs more, which is said, and works.
fn interpreted_probes() -> Result<String> {
    let scratch = Scratch::new()?;
    let wrapper = instead(&scratch, "/proc/sys/net/core/bpf_jit_enable", "0\n")?;
    let (status, _, said) = tracer::run(&words(&wrapper), &RECORD)?;
    ensure!(status.success(), "it ended with {status}:\n{said}");
    let line = said.lines().find(|line| line.contains("bpf_jit_enable=1")).unwrap_or_default();
    ensure!(line.contains("interprets probes"), "not a word about the cost:\n{said}");
    Ok(line.trim().to_owned())
}

/// `/proc` mounted with hidepid: nothing is said to be missing where it is not, and it is where it is.
fn hidden_processes() -> Result<String> {
    let wrapper = with_mounts("mount -t proc -o hidepid=2 proc /proc");
    let (status, shown, _) = tracer::run(&words(&wrapper), &["doctor"])?;
    ensure!(status.success() && shown.contains("none found by looking"), "as root:\n{shown}");

    let scratch = Scratch::new()?;
    let binary = tracer::open_to_all(&scratch)?;
    let probes_only = [
        "setpriv",
        "--reuid",
        "64999",
        "--regid",
        "64999",
        "--clear-groups",
        "--inh-caps",
        "-all,+bpf,+perfmon",
        "--ambient-caps",
        "-all,+bpf,+perfmon",
    ];
    let mut command: Vec<String> = wrapper;
    command.extend(probes_only.map(String::from));
    let binary = binary.to_string_lossy().into_owned();
    command.extend([binary.as_str(), "record", "-d", "1s", "-o", "/dev/null"].map(String::from));
    let (program, rest) = command.split_first().map_or(("", &[] as &[String]), |(p, r)| (p.as_str(), r));
    let output = Spec::new(program)?.args(rest.iter().cloned()).command().output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "it ended with {}:\n{said}", output.status);
    let line = said.lines().find(|line| line.contains("CAP_SYS_PTRACE")).unwrap_or_default();
    ensure!(line.contains("hidepid") && line.contains("`unknown`"), "{said}");
    Ok(String::new())
}

fn bpf_forbidden_by_seccomp() -> Result<String> {
    let mut command = Spec::new(paths::tracer_binary()?)?.args(RECORD).command();
    seccomp::forbid_bpf(&mut command);
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1), "it ended with {}:\n{said}", output.status);
    tracer::check_refusal(&said, &["bpf", "seccomp", "container"])?;
    Ok(said.trim().to_owned())
}

/// A truncated file, one of something else, none: one sentence that names it.
fn type_information_that_is_none() -> Result<String> {
    let scratch = Scratch::new()?;
    let whole = std::fs::read("/sys/kernel/btf/vmlinux")?;
    let cut = scratch.write("cut.btf", whole.get(..whole.len() / 2).unwrap_or_default())?;
    let other = scratch.write("other.btf", "root:x:0:0:root:/root:/bin/sh\n")?;
    let empty = scratch.write("empty.btf", "")?;
    for path in [cut, other, empty, scratch.join("absent.btf")] {
        let path = path.to_string_lossy().into_owned();
        tracer::refuses(&[], &["record", "-d", "1s", "-o", "/dev/null", "--btf", &path], &[&path])?;
    }
    Ok(String::new())
}
