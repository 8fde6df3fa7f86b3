//! The name of a container, from the files that its runtime leaves on the host.
//!
//! A container knows its id (in its control group) and not its name. Asking the runtime would mean to speak to a
//! daemon with root's powers; its files say the same. Only the names are taken from them.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::read_bounded;

/// Longest description that is read.
const MAX_JSON: u64 = 8 << 20;
/// Directory entries that are looked at.
const MAX_ENTRIES: usize = 4096;

/// The names under which a container was deployed.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Deployed {
    /// The container's name.
    pub container: Option<String>,
    /// The pod's.
    pub pod: Option<String>,
}

/// Looks for the names of the container with that id (64 hexadecimal digits). Empty where no file says them.
pub(super) fn find(host_root: &Path, id: &str) -> Deployed {
    let sources: [fn(&Path, &str) -> Option<Deployed>; 5] =
        [docker, containerd, storage_bundle, kubelet, podman];
    sources.iter().find_map(|source| source(host_root, id)).unwrap_or_default()
}

fn json<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let (bytes, _) = read_bounded(path, MAX_JSON).ok()?;
    serde_json::from_slice(&bytes).ok()
}

impl Deployed {
    /// `None` when neither name is known.
    fn some(container: Option<String>, pod: Option<String>) -> Option<Deployed> {
        let known = |name: Option<String>| name.filter(|name| !name.is_empty());
        let found = Deployed { container: known(container), pod: known(pod) };
        (found != Deployed::default()).then_some(found)
    }

    /// The names among labels or annotations.
    fn labelled(labels: &BTreeMap<String, String>) -> Option<Deployed> {
        let first = |keys: &[&str]| keys.iter().find_map(|key| labels.get(*key).cloned());
        let container = ["io.kubernetes.cri.container-name", "io.kubernetes.container.name", "nerdctl/name"];
        let pod = ["io.kubernetes.cri.sandbox-name", "io.kubernetes.pod.name"];
        Self::some(first(&container), first(&pod))
    }
}

/// Docker: `/var/lib/docker/containers/ID/config.v2.json`, or below the `data-root` of `/etc/docker/daemon.json`.
fn docker(host_root: &Path, id: &str) -> Option<Deployed> {
    #[derive(Deserialize)]
    struct Daemon {
        #[serde(rename = "data-root")]
        data_root: Option<PathBuf>,
    }
    #[derive(Deserialize)]
    struct Container {
        #[serde(rename = "Name")]
        name: Option<String>,
        #[serde(rename = "Config")]
        config: Option<Config>,
    }
    #[derive(Deserialize)]
    struct Config {
        #[serde(rename = "Labels")]
        labels: Option<BTreeMap<String, String>>,
    }
    let daemon: Option<Daemon> = json(&host_root.join("etc/docker/daemon.json"));
    let data_root = daemon.and_then(|daemon| daemon.data_root).unwrap_or_else(|| "/var/lib/docker".into());
    let data_root = host_root.join(data_root.strip_prefix("/").unwrap_or(&data_root));
    let container: Container = json(&data_root.join("containers").join(id).join("config.v2.json"))?;
    // Docker below Kubernetes: the labels say what the name hides.
    let labels = container.config.and_then(|config| config.labels).unwrap_or_default();
    Deployed::labelled(&labels)
        .or_else(|| Deployed::some(container.name.map(|name| name.trim_start_matches('/').to_owned()), None))
}

/// An OCI runtime bundle's `config.json`.
#[derive(Deserialize)]
struct Bundle {
    annotations: Option<BTreeMap<String, String>>,
}

fn bundle(path: &Path) -> Option<Deployed> {
    let bundle: Bundle = json(path)?;
    Deployed::labelled(&bundle.annotations?)
}

/// containerd (Kubernetes, nerdctl): the bundle of the running task, in one of its namespaces.
fn containerd(host_root: &Path, id: &str) -> Option<Deployed> {
    ["run/containerd", "run/k3s/containerd"].iter().find_map(|state| {
        let tasks = host_root.join(state).join("io.containerd.runtime.v2.task");
        let namespaces = std::fs::read_dir(tasks).ok()?.flatten().take(64);
        namespaces.into_iter().find_map(|namespace| bundle(&namespace.path().join(id).join("config.json")))
    })
}

/// CRI-O: the bundle in the storage's run directory.
fn storage_bundle(host_root: &Path, id: &str) -> Option<Deployed> {
    let storage = host_root.join("run/containers/storage/overlay-containers");
    bundle(&storage.join(id).join("userdata/config.json"))
}

/// The kubelet links each container's log: `/var/log/containers/POD_NAMESPACE_CONTAINER-ID.log`.
fn kubelet(host_root: &Path, id: &str) -> Option<Deployed> {
    let entries = std::fs::read_dir(host_root.join("var/log/containers")).ok()?;
    entries.flatten().take(MAX_ENTRIES).find_map(|entry| {
        let name = entry.file_name();
        let stem = name.to_str()?.strip_suffix(".log")?.strip_suffix(id)?.strip_suffix('-')?;
        let mut parts = stem.splitn(3, '_');
        let (pod, _, container) = (parts.next()?, parts.next()?, parts.next()?);
        Deployed::some(Some(container.to_owned()), Some(pod.to_owned()))
    })
}

/// Podman: the list of containers of its storage, root's and the users'.
fn podman(host_root: &Path, id: &str) -> Option<Deployed> {
    #[derive(Deserialize)]
    struct Container {
        id: String,
        #[serde(default)]
        names: Vec<String>,
    }
    let mut storages = vec![
        host_root.join("var/lib/containers/storage"),
        host_root.join("run/containers/storage"),
        host_root.join("root/.local/share/containers/storage"),
    ];
    let homes = std::fs::read_dir(host_root.join("home")).into_iter().flatten().flatten().take(64);
    storages.extend(homes.map(|home| home.path().join(".local/share/containers/storage")));
    storages.iter().find_map(|storage| {
        ["overlay", "vfs", "btrfs"].iter().find_map(|driver| {
            ["containers.json", "volatile-containers.json"].iter().find_map(|file| {
                let list: Vec<Container> = json(&storage.join(format!("{driver}-containers")).join(file))?;
                let container = list.into_iter().find(|container| container.id == id)?;
                Deployed::some(container.names.into_iter().next(), None)
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::super::tests::TempTree;
    use super::*;

    fn deployed(container: Option<&str>, pod: Option<&str>) -> Deployed {
        Deployed { container: container.map(str::to_owned), pod: pod.map(str::to_owned) }
    }

    #[test]
    fn each_runtime_leaves_the_name_in_its_own_place() {
        let id = "a".repeat(64);
        let labels = r#"{"io.kubernetes.container.name":"web","io.kubernetes.pod.name":"shop-1"}"#;
        for (path, text, want) in [
            (
                "var/lib/docker/containers/ID/config.v2.json",
                r#"{"Name":"/shop","Config":{"Env":["P=1"]}}"#,
                deployed(Some("shop"), None),
            ),
            (
                "var/lib/docker/containers/ID/config.v2.json",
                &format!(r#"{{"Name":"/k8s_x","Config":{{"Labels":{labels}}}}}"#),
                deployed(Some("web"), Some("shop-1")),
            ),
            (
                "run/containerd/io.containerd.runtime.v2.task/k8s.io/ID/config.json",
                r#"{"annotations":{"io.kubernetes.cri.container-name":"web","io.kubernetes.cri.sandbox-name":"shop-1"}}"#,
                deployed(Some("web"), Some("shop-1")),
            ),
            (
                "run/containerd/io.containerd.runtime.v2.task/default/ID/config.json",
                r#"{"annotations":{"nerdctl/name":"web"}}"#,
                deployed(Some("web"), None),
            ),
            (
                "run/containers/storage/overlay-containers/ID/userdata/config.json",
                &format!(r#"{{"annotations":{labels}}}"#),
                deployed(Some("web"), Some("shop-1")),
            ),
            ("var/log/containers/shop-1_default_web-ID.log", "", deployed(Some("web"), Some("shop-1"))),
            (
                "var/lib/containers/storage/overlay-containers/containers.json",
                r#"[{"id":"b"},{"id":"ID","names":["web","alias"],"image":"x"}]"#,
                deployed(Some("web"), None),
            ),
            (
                "home/alice/.local/share/containers/storage/overlay-containers/containers.json",
                r#"[{"id":"ID","names":["web"]}]"#,
                deployed(Some("web"), None),
            ),
        ] {
            let tree = TempTree::new();
            tree.file(&path.replace("ID", &id), text.replace("ID", &id).as_bytes());
            assert_eq!(find(tree.path(), &id), want, "{path}");
            assert_eq!(find(tree.path(), &"c".repeat(64)), Deployed::default(), "{path}");
        }
    }

    #[test]
    fn docker_may_keep_its_data_elsewhere() {
        let tree = TempTree::new();
        tree.file("etc/docker/daemon.json", br#"{"data-root":"/data/docker"}"#);
        tree.file("data/docker/containers/abc/config.v2.json", br#"{"Name":"/shop"}"#);
        assert_eq!(find(tree.path(), "abc"), deployed(Some("shop"), None));
    }

    #[test]
    fn broken_descriptions_say_nothing() {
        let tree = TempTree::new();
        tree.file("var/lib/docker/containers/abc/config.v2.json", b"{\"Name\":");
        tree.file("var/lib/containers/storage/overlay-containers/containers.json", b"{}");
        tree.file("var/log/containers/abc.log", b"");
        tree.file("var/log/containers/-abc.log", b"");
        assert_eq!(find(tree.path(), "abc"), Deployed::default());
    }
}
