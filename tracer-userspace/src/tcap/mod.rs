//! The capture file (`.tcap`): what a live run observed, kept for analysis elsewhere and later.
//!
//! It is the seam between capture and analysis: it holds [`crate::analysis::Observation`]s, which are what the protocol
//! stage says (exchanges, secrets masked), the processes, and the moments at which decisions were taken; so
//! that [`crate::analysis::Analysis`] gives the same spans from the file as from the live run. The format is described for
//! strangers in `docs/capture-format.md`; `frame` is its outer form, `wire` the messages in it, `encode` and `decode`
//! translate, `writer` and `reader` know files.

mod carried;
mod decode;
mod encode;
mod fields;
mod frame;
#[cfg(any(test, feature = "test-support"))]
pub(crate) mod fuzzed;
mod learned;
mod raw;
mod reader;
mod window;
mod wire;
mod wire_exchange;
mod wire_learned;
mod wire_process;
mod writer;

#[cfg(test)]
mod samples;
#[cfg(test)]
mod schema_tests;
#[cfg(test)]
mod tests;

pub use frame::MAGIC;
pub use reader::{Damage, Problem, Reader, Told};
pub use writer::{Description, Failed, Writer};

/// Files of another major version cannot be read.
pub const MAJOR: u16 = 1;
/// Raised when kinds of frames or fields are added, which older readers pass over.
pub const MINOR: u16 = 2;
