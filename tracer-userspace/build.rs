//! Refuses to build with probes that are older than their sources: the object is committed, and nobody would notice.

#[path = "../xtask/src/source_hash.rs"]
mod source_hash;

use std::path::Path;

fn main() {
    let manifest = std::env::var("CARGO_MANIFEST_DIR").unwrap_or_default();
    let Some(workspace) = Path::new(&manifest).parent() else { return };
    for input in source_hash::inputs(workspace) {
        println!("cargo::rerun-if-changed={}", input.display());
    }
    let provenance = workspace.join("tracer-userspace/bpf/provenance.txt");
    println!("cargo::rerun-if-changed={}", provenance.display());
    println!("cargo::rerun-if-changed=build.rs");
    let arch = std::env::var("CARGO_CFG_TARGET_ARCH").unwrap_or_default();
    name_the_object(&workspace.join(format!("tracer-userspace/bpf/tracer.{arch}.o")));
    let recorded = std::fs::read_to_string(&provenance).unwrap_or_default();
    let recorded = recorded.lines().find_map(|line| line.strip_prefix("sources ")).unwrap_or_default();
    match source_hash::source_hash(workspace) {
        Ok(actual) if actual == recorded => {}
        Ok(_) => println!(
            "cargo::error=the committed probes (tracer-userspace/bpf) were not built from these sources of tracer-ebpf \
             and tracer-common: run `cargo xtask build-ebpf`"
        ),
        Err(error) => println!("cargo::error=cannot read the sources of the probes: {error}"),
    }
}

/// `tracer doctor` names the probes it has, so that a report can be matched with the sources they were built from.
fn name_the_object(object: &Path) {
    use sha2::Digest as _;
    println!("cargo::rerun-if-changed={}", object.display());
    // An architecture without probes fails to compile where the object is included, with a message about the file.
    let bytes = std::fs::read(object).unwrap_or_default();
    let digest: String = sha2::Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    println!("cargo::rustc-env=TRACER_PROBES_SHA256={digest}");
}
