//! Which processes are to be traced: the user's choice, and whether a process is in it.
//!
//! Several choices add up: `--port 80 --unit shop` is everything on port 80 and everything of that unit. No choice at
//! all means everything. Pure: whoever calls brings the processes.

use std::collections::{BTreeMap, BTreeSet};

use globset::{Glob, GlobSet, GlobSetBuilder};

use crate::service::{ProcessFacts, cgroup};

/// A choice as the user wrote it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TargetOptions {
    /// `--pid`
    pub pids: Vec<u32>,
    /// `--port`: TCP ports, of either end for connections, of listeners for processes.
    pub ports: Vec<u16>,
    /// `--exe`: globs of the executable's path, or of its last component when there is no `/` in them.
    pub exes: Vec<String>,
    /// `--comm`: globs of the command name.
    pub comms: Vec<String>,
    /// `--container`: beginnings of ids, or names.
    pub containers: Vec<String>,
    /// `--unit`: systemd units, with or without `.service`.
    pub units: Vec<String>,
}

/// What is wrong with a choice.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TargetError {
    /// Not a glob.
    #[error("{option} \"{pattern}\" is not a pattern: {why}; use * and ?, and put the pattern in quotes")]
    BadGlob {
        /// The option.
        option: &'static str,
        /// What was written.
        pattern: String,
        /// What is wrong.
        why: String,
    },
    /// An option with nothing in it.
    #[error("{option} is empty: give {wanted}, or leave the option out to trace everything")]
    Empty {
        /// The option.
        option: &'static str,
        /// What it wants.
        wanted: &'static str,
    },
    /// Zero is no pid and no port.
    #[error("{option} 0 names nothing: give a number above 0")]
    Zero {
        /// The option.
        option: &'static str,
    },
    /// More ports than the probes compare with.
    #[error(
        "--port is given {given} times, and the probes compare with at most {limit}: choose by --exe, --unit or --container instead"
    )]
    TooManyPorts {
        /// How many there are.
        given: usize,
        /// How many there may be.
        limit: usize,
    },
    /// There is no such process.
    #[error(
        "--pid {0}: there is no process with that id; see `ps -e`, and mind that ids inside a container differ from the host's"
    )]
    NoSuchPid(u32),
    /// It is a thread.
    #[error(
        "--pid {thread} is a thread of process {process}: use --pid {process}, all its threads are traced"
    )]
    ThreadNotProcess {
        /// What was given.
        thread: u32,
        /// Whose it is.
        process: u32,
    },
    /// It is the tracer.
    #[error("--pid {0} is this tracer itself, which is never traced: choose another process")]
    Itself(u32),
}

/// How many ports the probes compare with: the length of `tracer_common::abi::Config::ports`.
pub const MAX_PORTS: usize = 16;

/// A choice that can be matched with.
#[derive(Clone, Debug)]
pub struct TargetSpec {
    pids: BTreeSet<u32>,
    ports: BTreeSet<u16>,
    exe_paths: GlobSet,
    exe_names: GlobSet,
    comms: GlobSet,
    containers: Vec<String>,
    units: BTreeSet<String>,
}

impl TargetSpec {
    /// Checks a choice. Whether the pids exist is the caller's to see, see [`TargetError::NoSuchPid`].
    pub fn new(options: &TargetOptions) -> Result<Self, TargetError> {
        let TargetOptions { pids, ports, exes, comms, containers, units } = options;
        if pids.contains(&0) {
            return Err(TargetError::Zero { option: "--pid" });
        }
        if ports.contains(&0) {
            return Err(TargetError::Zero { option: "--port" });
        }
        let ports: BTreeSet<u16> = ports.iter().copied().collect();
        if ports.len() > MAX_PORTS {
            return Err(TargetError::TooManyPorts { given: ports.len(), limit: MAX_PORTS });
        }
        let (paths, names): (Vec<&String>, Vec<&String>) = exes.iter().partition(|glob| glob.contains('/'));
        Ok(Self {
            pids: pids.iter().copied().collect(),
            ports,
            exe_paths: globs("--exe", "a path or a name, such as \"/opt/shop/*\" or \"nginx\"", paths)?,
            exe_names: globs("--exe", "a path or a name, such as \"/opt/shop/*\" or \"nginx\"", names)?,
            comms: globs("--comm", "a name, such as \"gunicorn*\"", comms.iter())?,
            containers: wanted("--container", "a container's name or the beginning of its id", containers)?,
            units: wanted("--unit", "a systemd unit, such as \"nginx\"", units)?
                .into_iter()
                .map(|unit| if has_unit_suffix(&unit) { unit } else { format!("{unit}.service") })
                .collect(),
        })
    }

    /// Nothing was chosen: everything is.
    pub fn is_everything(&self) -> bool {
        self.pids.is_empty() && self.ports.is_empty() && !self.needs_userspace_match()
    }

    /// Whether a process's description decides, which only userspace can read.
    pub fn needs_userspace_match(&self) -> bool {
        let Self { pids: _, ports: _, exe_paths, exe_names, comms, containers, units } = self;
        !(exe_paths.is_empty()
            && exe_names.is_empty()
            && comms.is_empty()
            && containers.is_empty()
            && units.is_empty())
    }

    /// The pids, ascending.
    pub fn pids(&self) -> impl Iterator<Item = u32> + '_ {
        self.pids.iter().copied()
    }

    /// The ports, ascending.
    pub fn ports(&self) -> impl Iterator<Item = u16> + '_ {
        self.ports.iter().copied()
    }

    /// Whether a process was chosen. For ports: whether it listens on one of them.
    pub fn matches(&self, facts: &ProcessFacts) -> bool {
        self.is_everything()
            || self.pids.contains(&facts.pid)
            || facts.listening.iter().any(|port| self.ports.contains(port))
            || facts.exe.as_deref().is_some_and(|exe| self.exe_paths.is_match(exe))
            || facts.exe_base().is_some_and(|base| self.exe_names.is_match(base))
            || self.comm_matches(facts)
            || self.container_matches(facts)
            || self.unit_matches(facts)
    }

    /// The innermost service, or a scope or slice around the process. A container's own units are not the host's.
    fn unit_matches(&self, facts: &ProcessFacts) -> bool {
        let around = || facts.cgroups.iter().flat_map(|path| cgroup::groups_around(path));
        facts.unit.as_ref().is_some_and(|unit| self.units.contains(unit))
            || self
                .units
                .iter()
                .any(|unit| !unit.ends_with(".service") && around().any(|group| group == *unit))
    }

    /// The kernel cuts command names to 15 bytes; the whole name is tried where it can be known.
    fn comm_matches(&self, facts: &ProcessFacts) -> bool {
        const COMM_BYTES: usize = 15;
        if self.comms.is_empty() {
            return false;
        }
        let called = facts.args.first().map(|first| first.rsplit('/').next().unwrap_or(first));
        let cut = facts.comm.len() == COMM_BYTES;
        let whole = [called, facts.exe_base()]
            .into_iter()
            .flatten()
            .filter(|name| cut && name.starts_with(&facts.comm));
        self.comms.is_match(&facts.comm) || whole.into_iter().any(|name| self.comms.is_match(name))
    }

    fn container_matches(&self, facts: &ProcessFacts) -> bool {
        let Some(container) = &facts.container else { return false };
        self.containers.iter().any(|wanted| {
            container.id.starts_with(wanted.as_str())
                || container.name.as_ref() == Some(wanted)
                || facts.pod_name.as_ref() == Some(wanted)
        })
    }
}

fn globs<'a>(
    option: &'static str,
    wanted: &'static str,
    patterns: impl IntoIterator<Item = &'a String>,
) -> Result<GlobSet, TargetError> {
    let mut set = GlobSetBuilder::new();
    let bad = |pattern: &str, error: &globset::Error| TargetError::BadGlob {
        option,
        pattern: pattern.to_owned(),
        why: error.kind().to_string(),
    };
    for pattern in patterns {
        if pattern.is_empty() {
            return Err(TargetError::Empty { option, wanted });
        }
        set.add(Glob::new(pattern).map_err(|error| bad(pattern, &error))?);
    }
    set.build().map_err(|error| bad("", &error))
}

fn wanted(option: &'static str, wanted: &'static str, values: &[String]) -> Result<Vec<String>, TargetError> {
    if values.iter().any(|value| value.trim().is_empty()) {
        return Err(TargetError::Empty { option, wanted });
    }
    Ok(values.iter().map(|value| value.trim().trim_start_matches('/').to_owned()).collect())
}

/// Whether a unit's name has one of systemd's suffixes that processes can belong to.
fn has_unit_suffix(unit: &str) -> bool {
    [".service", ".scope", ".slice"].iter().any(|suffix| unit.ends_with(suffix))
}

/// The chosen processes with their children, their children's children, and so on. `parents` are pairs of process and
/// parent; loops in them, which a list read while processes come and go may have, do no harm.
pub fn with_children(chosen: impl IntoIterator<Item = u32>, parents: &[(u32, u32)]) -> BTreeSet<u32> {
    let mut children: BTreeMap<u32, Vec<u32>> = BTreeMap::new();
    for (pid, parent) in parents {
        children.entry(*parent).or_default().push(*pid);
    }
    let mut found = BTreeSet::new();
    let mut open: Vec<u32> = chosen.into_iter().collect();
    while let Some(pid) = open.pop() {
        if found.insert(pid) {
            open.extend(children.get(&pid).into_iter().flatten());
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::service::{Container, ContainerRuntime};

    fn spec(options: TargetOptions) -> TargetSpec {
        TargetSpec::new(&options).unwrap()
    }

    fn strings(words: &[&str]) -> Vec<String> {
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    fn process() -> ProcessFacts {
        ProcessFacts {
            pid: 42,
            exe: Some("/opt/shop/bin/shop-1.2".into()),
            comm: "shop".into(),
            args: strings(&["/opt/shop/current/shop"]),
            listening: vec![8080, 9090],
            cgroups: strings(&["/shop.slice/shop-web\\x2dfront.slice/shop.service"]),
            unit: Some("shop.service".into()),
            container: Some(Container {
                id: "abcdef".repeat(10) + "0123",
                runtime: ContainerRuntime::Docker,
                name: Some("web".into()),
            }),
            pod_name: Some("web-7".into()),
            ..ProcessFacts::default()
        }
    }

    #[test]
    fn no_choice_is_everything() {
        let everything = spec(TargetOptions::default());
        assert!(everything.is_everything() && !everything.needs_userspace_match());
        assert!(everything.matches(&process()) && everything.matches(&ProcessFacts::default()));
    }

    #[test]
    fn each_option_chooses() {
        let none = TargetOptions::default;
        for (options, chosen, userspace) in [
            (TargetOptions { pids: vec![42], ..none() }, true, false),
            (TargetOptions { pids: vec![43], ..none() }, false, false),
            (TargetOptions { ports: vec![80, 9090], ..none() }, true, false),
            (TargetOptions { ports: vec![80], ..none() }, false, false),
            (TargetOptions { exes: strings(&["/opt/shop/*"]), ..none() }, true, true),
            (TargetOptions { exes: strings(&["shop-*"]), ..none() }, true, true),
            (TargetOptions { exes: strings(&["shop"]), ..none() }, false, true),
            (TargetOptions { exes: strings(&["{nginx,shop-1.?}"]), ..none() }, true, true),
            (TargetOptions { comms: strings(&["sh*"]), ..none() }, true, true),
            (TargetOptions { comms: strings(&["ngin?"]), ..none() }, false, true),
            (TargetOptions { containers: strings(&["abcdef"]), ..none() }, true, true),
            (TargetOptions { containers: strings(&["bcdef"]), ..none() }, false, true),
            (TargetOptions { containers: strings(&["web"]), ..none() }, true, true),
            (TargetOptions { containers: strings(&["/web"]), ..none() }, true, true),
            (TargetOptions { containers: strings(&["web-7"]), ..none() }, true, true),
            (TargetOptions { containers: strings(&["we"]), ..none() }, false, true),
            (TargetOptions { units: strings(&["shop"]), ..none() }, true, true),
            (TargetOptions { units: strings(&["shop.service"]), ..none() }, true, true),
            (TargetOptions { units: strings(&["sho"]), ..none() }, false, true),
            (TargetOptions { units: strings(&["shop.slice"]), ..none() }, true, true),
            (TargetOptions { units: strings(&["shop-web-front.slice"]), ..none() }, true, true),
            (TargetOptions { units: strings(&["web.slice"]), ..none() }, false, true),
            (TargetOptions { units: strings(&["shop.scope"]), ..none() }, false, true),
        ] {
            let spec = spec(options.clone());
            assert_eq!(spec.matches(&process()), chosen, "{options:?}");
            assert_eq!(spec.needs_userspace_match(), userspace, "{options:?}");
            assert!(!spec.is_everything(), "{options:?}");
            assert!(!spec.matches(&ProcessFacts::default()), "{options:?}");
        }
    }

    #[test]
    fn choices_add_up() {
        let both =
            spec(TargetOptions { pids: vec![1], units: strings(&["shop"]), ..TargetOptions::default() });
        assert!(both.matches(&process()));
        assert!(both.matches(&ProcessFacts { pid: 1, ..ProcessFacts::default() }));
        assert!(!both.matches(&ProcessFacts { pid: 2, ..ProcessFacts::default() }));
    }

    #[test]
    fn a_command_name_that_the_kernel_cut_is_found_by_the_whole() {
        let facts = ProcessFacts {
            comm: "a-name-longer-t".into(),
            args: strings(&["./a-name-longer-than-fifteen"]),
            ..ProcessFacts::default()
        };
        for (glob, found) in
            [("a-name-longer-than-fifteen", true), ("*-fifteen", true), ("a-name*", true), ("other*", false)]
        {
            let spec = spec(TargetOptions { comms: strings(&[glob]), ..TargetOptions::default() });
            assert_eq!(spec.matches(&facts), found, "{glob}");
        }
        let renamed = ProcessFacts {
            comm: "worker".into(),
            args: strings(&["worker-manager"]),
            ..ProcessFacts::default()
        };
        let spec = spec(TargetOptions { comms: strings(&["worker-manager"]), ..TargetOptions::default() });
        assert!(!spec.matches(&renamed));
    }

    #[test]
    fn mistakes_are_explained() {
        let none = TargetOptions::default;
        for (options, text) in [
            (TargetOptions { pids: vec![0], ..none() }, "--pid 0 names nothing"),
            (TargetOptions { ports: vec![0], ..none() }, "--port 0 names nothing"),
            (TargetOptions { ports: (1..=17).collect(), ..none() }, "--port is given 17 times"),
            (TargetOptions { exes: strings(&["[a"]), ..none() }, "--exe \"[a\" is not a pattern"),
            (TargetOptions { comms: strings(&[""]), ..none() }, "--comm is empty"),
            (TargetOptions { containers: strings(&[" "]), ..none() }, "--container is empty"),
            (TargetOptions { units: strings(&[""]), ..none() }, "--unit is empty"),
        ] {
            let error = TargetSpec::new(&options).unwrap_err().to_string();
            assert!(error.starts_with(text), "{error}");
        }
        assert!(
            TargetError::NoSuchPid(7).to_string().starts_with("--pid 7: there is no process with that id")
        );
        let thread = TargetError::ThreadNotProcess { thread: 8, process: 7 }.to_string();
        assert!(thread.contains("use --pid 7"), "{thread}");
    }

    #[test]
    fn repeated_ports_count_once() {
        let options = TargetOptions { ports: vec![80; 40], ..TargetOptions::default() };
        assert_eq!(spec(options).ports().collect::<Vec<_>>(), [80]);
    }

    #[test]
    fn children_of_children_are_chosen() {
        let parents = [(2, 1), (3, 2), (4, 3), (5, 1), (6, 6), (8, 9), (9, 8)];
        assert_eq!(with_children([2], &parents), BTreeSet::from([2, 3, 4]));
        assert_eq!(with_children([6, 5], &parents), BTreeSet::from([5, 6]));
        assert_eq!(with_children([8], &parents), BTreeSet::from([8, 9]));
        assert_eq!(with_children([77], &parents), BTreeSet::from([77]));
        assert_eq!(with_children([], &parents), BTreeSet::new());
    }
}
