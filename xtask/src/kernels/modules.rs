//! The few kernel modules that a guest needs, in an order in which they can be loaded.

use std::collections::{BTreeMap, BTreeSet};

/// What guests need, where the kernel does not have it built in. Nothing in a guest loads modules by itself.
pub const WANTED: &[&str] = &[
    // The way in and out.
    "virtio_pci",
    "virtio_console",
    "virtio_blk",
    // The root image and what is written over it. ext4 asks for its checksum by an alias.
    "crc32c_generic",
    "ext4",
    "overlay",
    // What the tests connect namespaces with, and what lists open sockets; on a server they load on demand.
    "veth",
    "inet_diag",
    "tcp_diag",
    "unix_diag",
];

/// The paths of the wanted modules and all they depend on, each after its dependencies, from the text of `modules.dep`
/// (`PATH: DEPENDENCY...` per line). A wanted module that is not listed is built in, or this kernel has none.
pub fn load_order(modules_dep: &str, wanted: &[&str]) -> Vec<String> {
    let dependencies: BTreeMap<&str, Vec<&str>> = modules_dep
        .lines()
        .filter_map(|line| line.split_once(':'))
        .map(|(path, list)| (path, list.split_whitespace().collect()))
        .collect();
    let mut order = Vec::new();
    let mut seen = BTreeSet::new();
    for name in wanted {
        if let Some(path) = dependencies.keys().copied().find(|path| module_name(path) == *name) {
            visit(path, &dependencies, &mut seen, &mut order);
        }
    }
    order
}

fn visit<'a>(
    path: &'a str,
    dependencies: &BTreeMap<&'a str, Vec<&'a str>>,
    seen: &mut BTreeSet<&'a str>,
    order: &mut Vec<String>,
) {
    // Marked before its dependencies are looked at: a list that runs in a circle ends too.
    if !seen.insert(path) {
        return;
    }
    for dependency in dependencies.get(path).into_iter().flatten() {
        visit(dependency, dependencies, seen, order);
    }
    order.push(path.to_owned());
}

/// The name of a module, which the kernel spells with underscores: `kernel/drivers/virtio/virtio-pci.ko.xz` is
/// `virtio_pci`.
pub fn module_name(path: &str) -> String {
    let file = path.rsplit('/').next().unwrap_or(path);
    file.split('.').next().unwrap_or(file).replace('-', "_")
}

#[cfg(test)]
mod tests {
    use super::*;

    const DEP: &str = "kernel/fs/ext4/ext4.ko: kernel/fs/jbd2/jbd2.ko kernel/lib/crc16.ko\n\
                       kernel/fs/jbd2/jbd2.ko:\n\
                       kernel/lib/crc16.ko:\n\
                       kernel/drivers/virtio/virtio-pci.ko.xz: kernel/drivers/virtio/virtio.ko.xz kernel/drivers/virtio/virtio_ring.ko.xz\n\
                       kernel/drivers/virtio/virtio_ring.ko.xz: kernel/drivers/virtio/virtio.ko.xz\n\
                       kernel/drivers/virtio/virtio.ko.xz:\n\
                       kernel/sound/unwanted.ko:\n";

    fn position(order: &[String], name: &str) -> usize {
        order.iter().position(|path| module_name(path) == name).unwrap()
    }

    #[test]
    fn each_module_comes_after_what_it_depends_on_and_only_once() {
        let order = load_order(DEP, &["virtio_pci", "ext4", "jbd2"]);
        assert_eq!(order.len(), 6, "{order:?}");
        assert!(position(&order, "virtio") < position(&order, "virtio_ring"));
        assert!(position(&order, "virtio_ring") < position(&order, "virtio_pci"));
        assert!(position(&order, "jbd2") < position(&order, "ext4"));
        assert!(position(&order, "crc16") < position(&order, "ext4"));
    }

    #[test]
    fn a_built_in_module_is_no_error_and_a_circle_ends() {
        assert!(load_order(DEP, &["overlay"]).is_empty());
        assert_eq!(load_order("a.ko: b.ko\nb.ko: a.ko\n", &["a"]), ["b.ko", "a.ko"]);
    }
}
