//! What a process is called: the service name of its spans.
//!
//! Pure rules over [`ProcessFacts`]. The first that gives a name decides: what the process says of itself
//! (OpenTelemetry variables), the pod or container it was deployed as, the systemd unit that started it, and at last a
//! readable name from its command line. An interpreter's name alone is never the answer, and all workers of one server
//! get one name.

pub mod cgroup;
mod command;
pub mod environ;
mod facts;
mod java;
mod node;
mod options;
mod python;
mod ruby;
mod scripts;
mod text;
mod title;

use std::sync::Arc;

pub use facts::{Container, ContainerRuntime, EnvFacts, Missing, Part, ProcessFacts, Reason, Runtime};
pub use title::database;

use command::CommandName;

/// How many ancestors are looked at for the head of a group of workers.
pub const MAX_PARENTS: usize = 8;

/// Where a service name comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum NameSource {
    /// `OTEL_SERVICE_NAME`, or `service.name` in `OTEL_RESOURCE_ATTRIBUTES`, of the process.
    Otel,
    /// The Kubernetes pod.
    Pod,
    /// The container's name.
    Container,
    /// The systemd unit.
    Unit,
    /// The command line.
    Command,
    /// The command name alone: there is no command line (kernel threads, processes that are gone).
    Comm,
}

impl NameSource {
    /// One word for tags and messages.
    pub fn label(self) -> &'static str {
        match self {
            NameSource::Otel => "otel",
            NameSource::Pod => "pod",
            NameSource::Container => "container",
            NameSource::Unit => "unit",
            NameSource::Command => "command",
            NameSource::Comm => "comm",
        }
    }
}

/// The name of a service, and what it rests on.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ServiceName {
    /// Printable, 1 to 64 characters.
    pub name: Arc<str>,
    /// Where it comes from.
    pub source: NameSource,
}

/// Names the service of a process. `parents` are its ancestors, the nearest first, as far as they are known.
pub fn service_name<'a>(
    facts: &'a ProcessFacts,
    parents: impl IntoIterator<Item = &'a ProcessFacts>,
) -> ServiceName {
    let mut command = command::name(facts);
    let mut head = facts;
    for parent in parents.into_iter().take(MAX_PARENTS) {
        let parent_command = command::name(parent);
        if !is_worker_of((head, &command), (parent, &parent_command)) {
            break;
        }
        head = parent;
        command = parent_command;
    }
    // A worker that was given a name of its own keeps it.
    let said = said_by(facts).or_else(|| said_by(head));
    let (name, source) = said
        .map(|name| (text::clean(name), NameSource::Otel))
        .filter(|(name, _)| !name.is_empty())
        .or_else(|| deployed_as(head))
        .or_else(|| unit_of(head).map(|name| (name, NameSource::Unit)))
        .unwrap_or((command.name, command.source));
    ServiceName { name: Arc::from(name), source }
}

/// Whether a process is one of the workers that its parent forked to do its own work.
fn is_worker_of(child: (&ProcessFacts, &CommandName), parent: (&ProcessFacts, &CommandName)) -> bool {
    let ((child, child_command), (parent, parent_command)) = (child, parent);
    let same_program = child.exe.is_some() && child.exe == parent.exe;
    let same_place = child.container.as_ref().map(|container| &container.id)
        == parent.container.as_ref().map(|container| &container.id)
        && child.unit == parent.unit;
    let same_work =
        child.args == parent.args || child_command.bare || child_command.name == parent_command.name;
    same_program && same_place && same_work && !parent.kernel_thread
}

/// What the process says of itself. `OTEL_SERVICE_NAME` goes before `service.name` (OpenTelemetry, Resource SDK).
fn said_by(facts: &ProcessFacts) -> Option<&str> {
    facts.env.otel_service_name.as_deref().or(facts.env.otel_resource_service_name.as_deref())
}

/// The name of the pod's workload, or of the container. `None` in containers that hold a whole system, and where the
/// name cannot be known without asking a daemon.
fn deployed_as(facts: &ProcessFacts) -> Option<(String, NameSource)> {
    let container = facts.container.as_ref().filter(|container| !container.runtime.is_whole_system());
    let container_name = container.and_then(|container| container.name.as_deref()).map(text::clean);
    if let Some(pod) = facts.pod_name.as_deref().filter(|_| facts.in_pod) {
        let workload = workload_of_pod(pod);
        let name = match &container_name {
            // Containers of one pod are different services: the program and its sidecar.
            Some(container) if container.as_str() != workload && !container.is_empty() => {
                text::clean(&format!("{workload}/{container}"))
            }
            _ => text::clean(workload),
        };
        if !name.is_empty() {
            return Some((name, NameSource::Pod));
        }
    }
    container_name.filter(|name| !name.is_empty()).map(|name| (name, NameSource::Container))
}

/// The Deployment's name in a pod's: `frontend-6d4b75cb6d-hk5tz` → `frontend`. The two generated parts use only the
/// letters of Kubernetes' `rand.SafeEncodeString`. Other pods keep their name: whether `web-0` is the first of a
/// StatefulSet or a name somebody chose cannot be seen.
fn workload_of_pod(pod: &str) -> &str {
    let generated = |part: &str, lengths: std::ops::RangeInclusive<usize>| {
        lengths.contains(&part.len())
            && part.bytes().all(|byte| b"bcdfghjklmnpqrstvwxz2456789".contains(&byte))
    };
    let split = pod.rsplit_once('-').and_then(|(rest, suffix)| {
        let (name, hash) = rest.rsplit_once('-')?;
        (generated(suffix, 5..=5) && generated(hash, 6..=10) && !name.is_empty()).then_some(name)
    });
    split.unwrap_or(pod)
}

fn unit_of(facts: &ProcessFacts) -> Option<String> {
    let name = text::clean(cgroup::service_of_unit(facts.unit.as_deref()?)?);
    // In an application's container a unit is the host's business (the parser leaves it out already).
    let whole_system = facts.container.as_ref().is_none_or(|container| container.runtime.is_whole_system());
    (whole_system && !name.is_empty()).then_some(name)
}

#[cfg(test)]
#[path = "rules_tests.rs"]
mod rules_tests;

#[cfg(test)]
#[path = "command_tests.rs"]
mod command_tests;
