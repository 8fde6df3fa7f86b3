//! What `tracer doctor --json` says, as far as the runs here need it. Members that are not named here are passed over.

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// The whole.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Doctor {
    /// What stands in the way.
    pub problems: Vec<Problem>,
    /// Each way of seeing socket calls, and what came of it.
    pub providers: Vec<Provider>,
    /// The one in use.
    pub provider: Option<String>,
    /// The programs that the kernel took.
    pub programs: Vec<Program>,
    /// What traces will not show.
    pub missing: Vec<String>,
    /// Where members of kernel structures lie, and how that is known.
    pub offsets: Vec<Offset>,
    /// The check on connections of the tracer's own.
    pub self_check: SelfCheck,
    /// One sentence.
    pub verdict: String,
    /// Whether `tracer record` works.
    pub can_trace: bool,
}

/// Something in the way.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Problem {
    /// `blocks` or `limits`.
    pub severity: String,
    /// What it is.
    pub what: String,
    /// What to do.
    pub remedy: String,
}

/// A way of seeing socket calls.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Provider {
    /// As `--provider` takes it.
    pub name: String,
    /// `used`, `refused` or `not tried`.
    pub state: String,
    /// Why it was refused.
    pub reason: Option<String>,
}

/// A loaded program.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Program {
    /// Its name in the object.
    pub name: String,
    /// Instructions that the verifier walked; none before Linux 5.16, which does not say.
    pub verified_instructions: Option<u64>,
}

/// Where a member lies.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Offset {
    /// The tracer's name for it.
    pub field: String,
    /// Where that is known from.
    pub source: String,
}

/// The check of what the probes read.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct SelfCheck {
    /// Everything was as it should be.
    pub passed: bool,
    /// What was not.
    pub error: Option<String>,
}

impl Doctor {
    /// Reads what it printed.
    pub fn parse(stdout: &[u8]) -> Result<Self> {
        serde_json::from_slice(stdout).with_context(|| {
            let text = String::from_utf8_lossy(stdout);
            format!("doctor --json printed no report: {:?}", text.chars().take(200).collect::<String>())
        })
    }

    /// What it says about not being able to trace, in one line.
    pub fn refusal(&self) -> String {
        let blocking = self.problems.iter().filter(|problem| problem.severity == "blocks");
        let mut said: Vec<&str> = blocking.map(|problem| problem.what.as_str()).collect();
        said.extend(self.self_check.error.as_deref());
        said.push(&self.verdict);
        said.join("; ")
    }
}

#[cfg(test)]
pub mod tests {
    use super::*;

    /// As the tracer prints it, shortened; with a member that nobody here knows.
    pub const FIXTURE: &str = r#"{
      "tracer": {"version": "0.1.0", "arch": "x86_64", "probes_sha256": "00"},
      "host": {"kernel": "6.1.0-56-cloud-amd64"},
      "problems": [{"severity": "limits", "what": "perf events are refused", "remedy": "set it to 2"}],
      "providers": [
        {"name": "tracepoint", "state": "refused", "reason": "no such tracepoint"},
        {"name": "fexit", "state": "used", "reason": null},
        {"name": "kprobe", "state": "not tried", "reason": null}],
      "provider": "fexit",
      "programs": [
        {"name": "tcp_state", "attached_to": ["inet_sock_set_state"], "verified_instructions": 412},
        {"name": "fexit_send", "attached_to": ["sock_sendmsg"], "verified_instructions": null}],
      "missing": [],
      "offsets": [{"field": "net.ns.inum", "path": "net.ns.inum", "bytes": 144, "source": "BTF of the running kernel"}],
      "self_check": {"passed": true, "error": null},
      "detach_ms": 28.1, "verdict": "HTTP over TCP can be traced on this host", "can_trace": true}"#;

    #[test]
    fn the_report_is_read_and_unknown_members_are_passed_over() {
        let doctor = Doctor::parse(FIXTURE.as_bytes()).unwrap();
        assert_eq!(doctor.provider.as_deref(), Some("fexit"));
        assert_eq!(doctor.programs[0].verified_instructions, Some(412));
        assert_eq!(doctor.programs[1].verified_instructions, None);
        assert!(doctor.can_trace && doctor.self_check.passed);
    }

    #[test]
    fn anything_else_is_an_error_that_shows_it() {
        let message = format!("{:#}", Doctor::parse(b"error: no BTF").unwrap_err());
        assert!(message.contains("no BTF"), "{message}");
    }
}
