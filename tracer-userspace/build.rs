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
