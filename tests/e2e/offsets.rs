//! Where the kernel keeps what the probes read: with type information, without any, and with type information that
//! lies, which must be noticed before anything is believed.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail, ensure};
use tracer_tests::btf;
use tracer_tests::client::Connection;
use tracer_tests::scratch::Scratch;
use tracer_tests::services::{Options, nginx};
use tracer_tests::suite::{self, Need, test};
use tracer_tests::tracer::{self, Tracer};

const NEEDS: &[Need] = &[Need::Tracer];
const KERNEL_BTF: &str = "/sys/kernel/btf/vmlinux";

fn main() -> ExitCode {
    suite::run(
        NEEDS,
        vec![
            test("calibrated_like_type_information", calibrated_like_type_information),
            test("without_type_information", without_type_information),
            test("recording_without_type_information", recording_without_type_information),
            test("every_lie_is_noticed", every_lie_is_noticed),
            test("every_missing_field_is_calibrated", every_missing_field_is_calibrated),
            test("damaged_type_information", damaged_type_information),
        ],
    )
}

/// One line of what `tracer doctor` says of offsets.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Offset {
    path: String,
    bytes: Option<u32>,
    source: String,
}

/// What `tracer doctor` finds. Fails if it finds that nothing can be traced.
fn offsets(wrapper: &[&str], args: &[&str]) -> Result<Vec<Offset>> {
    let words: Vec<&str> = ["doctor"].iter().chain(args).copied().collect();
    let (status, shown, said) = tracer::run(wrapper, &words)?;
    ensure!(status.success(), "doctor {args:?} ended with {status}:\n{shown}\n{said}");
    let table = shown.split("\noffsets\n").nth(1).context("doctor shows no offsets")?;
    let mut found = Vec::new();
    for line in table.lines().take_while(|line| !line.is_empty()) {
        // Two spaces separate; the last line's name is several words.
        let Some((path, rest)) = line.trim().split_once("  ").or_else(|| line.trim().rsplit_once(' ')) else {
            bail!("not a line of offsets: {line}");
        };
        let (bytes, source) = rest.trim().split_once("  ").with_context(|| format!("no source: {line}"))?;
        if path.contains('.') {
            let bytes = bytes.trim().parse().ok();
            found.push(Offset { path: path.to_owned(), bytes, source: source.to_owned() });
        }
    }
    ensure!(found.len() >= 30, "only {} offsets are shown:\n{table}", found.len());
    Ok(found)
}

/// The probes use the sum of the two only, and calibration may know no more.
const INODE: [&str; 2] = ["socket_alloc.vfs_inode", "inode.i_ino"];

fn same(one: &[Offset], other: &[Offset]) -> Result<()> {
    let sum = |all: &[Offset]| -> u32 {
        all.iter().filter(|o| INODE.contains(&o.path.as_str())).filter_map(|o| o.bytes).sum()
    };
    ensure!(sum(one) == sum(other), "the inode lies at {} and at {}", sum(one), sum(other));
    for (a, b) in one.iter().zip(other) {
        ensure!(a.path == b.path, "other fields: {} and {}", a.path, b.path);
        ensure!(a.bytes == b.bytes || INODE.contains(&a.path.as_str()), "{a:?} and {b:?}");
    }
    Ok(())
}

fn all_calibrated(all: &[Offset]) -> Result<()> {
    match all.iter().find(|offset| offset.source != "calibrated") {
        Some(other) => bail!("not calibrated: {other:?}"),
        None => Ok(()),
    }
}

/// Both ways lead to the same bytes, on whatever kernel this is.
fn calibrated_like_type_information() -> Result<String> {
    let calibrated = offsets(&[], &["--btf", "calibrate"])?;
    all_calibrated(&calibrated)?;
    if !Path::new(KERNEL_BTF).exists() {
        return Ok("this kernel has no type information to compare with".to_owned());
    }
    let told = offsets(&[], &[])?;
    for one in &told {
        ensure!(one.source == "kernel's type information (BTF)", "{one:?}: unchecked, or not from there");
    }
    same(&told, &calibrated)?;
    Ok(format!("{} offsets", told.len()))
}

/// A kernel that hides its type information, in a mount namespace of the test's own.
const HIDDEN: &[&str] =
    &["unshare", "-m", "sh", "-c", "mount -t tmpfs none /sys/kernel/btf && exec \"$@\"", "sh"];

fn without_type_information() -> Result<String> {
    let wrapper = if Path::new(KERNEL_BTF).exists() { HIDDEN } else { &[] };
    all_calibrated(&offsets(wrapper, &[])?)?;
    Ok(String::new())
}

fn recording_without_type_information() -> Result<String> {
    let nginx = nginx::start(&Options::default())?;
    let tracer = Tracer::record(&["--btf", "calibrate", "--port", &nginx.port().to_string()])?;
    Connection::open(nginx.port())?.fetch("/item/calibrated")?;
    let recording = tracer.stop()?;
    recording.check_nothing_lost()?;
    let spans = recording.trace.servers("/item/calibrated").len();
    ensure!(spans == 1, "{spans} spans of one request");
    Ok(String::new())
}

/// What is true of this kernel.
fn truth() -> Result<Vec<(String, u32)>> {
    let known = offsets(&[], &["--btf", "calibrate"])?;
    Ok(known.into_iter().filter_map(|offset| Some((offset.path, offset.bytes?))).collect())
}

/// Tells `doctor` these offsets. The words it has for them, if it refuses.
fn refusal(scratch: &Scratch, members: &[(String, u32)]) -> Result<Option<String>> {
    let file = scratch.join("made.btf");
    std::fs::write(&file, btf::make(members))?;
    let (status, shown, said) = tracer::run(&[], &["doctor", "--btf", &file.to_string_lossy()])?;
    Ok((!status.success()).then(|| format!("{shown}\n{said}")))
}

/// One field at a time is moved: by a little, by a word, and to where another field of the structure lies.
fn every_lie_is_noticed() -> Result<String> {
    let scratch = Scratch::new()?;
    let truth = truth()?;
    if let Some(words) = refusal(&scratch, &truth)? {
        bail!("the truth was refused:\n{words}");
    }
    let mut lies = 0;
    for (index, (path, at)) in truth.iter().enumerate() {
        let structure = path.split('.').next().unwrap_or_default();
        let neighbour = truth.iter().cycle().skip(index + 1).find(|(other, _)| other.starts_with(structure));
        let places = [at.checked_sub(8), at.checked_sub(4), Some(at + 1), Some(at + 4), Some(at + 8)];
        for wrong in places.into_iter().flatten().chain(neighbour.map(|(_, at)| *at)) {
            if wrong == *at {
                continue;
            }
            let mut members = truth.clone();
            if let Some(member) = members.get_mut(index) {
                member.1 = wrong;
            }
            let Some(words) = refusal(&scratch, &members)? else {
                bail!("{path} is at {at}; that it is at {wrong} was believed");
            };
            ensure!(words.contains(path), "{path} at {wrong} is refused without its name:\n{words}");
            lies += 1;
        }
    }
    Ok(format!("{lies} lies about {} fields", truth.len()))
}

/// Type information of a vendor's kernel may lack a structure: that one is calibrated, and the others are not.
fn every_missing_field_is_calibrated() -> Result<String> {
    let scratch = Scratch::new()?;
    let truth = truth()?;
    let file = scratch.join("made.btf");
    for (path, at) in &truth {
        let members: Vec<_> = truth.iter().filter(|(other, _)| other != path).cloned().collect();
        std::fs::write(&file, btf::make(&members))?;
        let found = offsets(&[], &["--btf", &file.to_string_lossy()])?;
        for offset in &found {
            let calibrated = offset.source == "calibrated";
            ensure!(calibrated == (offset.path == *path), "without {path}: {offset:?}");
        }
        let bytes = found.iter().find(|offset| offset.path == *path).and_then(|offset| offset.bytes);
        ensure!(bytes == Some(*at), "{path} is at {at}, found at {bytes:?}");
    }
    Ok(format!("{} fields", truth.len()))
}

/// Files that are cut off, or something else altogether: one sentence, and no tracing.
fn damaged_type_information() -> Result<String> {
    let scratch = Scratch::new()?;
    let whole = btf::make(&truth()?);
    let half = whole.get(..whole.len() / 2).unwrap_or_default();
    let head = whole.get(..30).unwrap_or_default();
    let swapped: Vec<u8> = whole.iter().copied().take(2).rev().chain(whole.iter().copied().skip(2)).collect();
    for (name, bytes) in [
        ("half", half),
        ("head", head),
        ("empty", &[][..]),
        ("swapped", &swapped),
        ("text", b"no types here"),
    ] {
        let file = scratch.join(name);
        std::fs::write(&file, bytes)?;
        let (status, shown, said) = tracer::run(&[], &["doctor", "--btf", &file.to_string_lossy()])?;
        let words = format!("{shown}\n{said}");
        ensure!(!status.success(), "{name}: believed");
        ensure!(words.contains(name), "{name}: the file is not named:\n{words}");
        ensure!(!words.contains("panicked"), "{name}: it panicked:\n{words}");
    }
    Ok(String::new())
}
