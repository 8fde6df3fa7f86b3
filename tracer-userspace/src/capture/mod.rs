//! From the kernel to [`crate::event::Event`]: features and offsets, load, self-check, attach, drain, detach; and what
//! else must be asked of the system (processes, sockets, the host). Nothing outside this module talks to the kernel,
//! and only `start`, `object`, `maps`, `load`, `attach`, `interest`, `error`, `peek`, `run_time` and `golang::attached` know aya.

mod attach;
pub mod btf;
pub mod calibrate;
mod crowd;
pub mod decode;
pub mod drain;
pub mod error;
mod events;
pub mod evidence;
pub mod facts;
#[cfg(any(test, feature = "test-support"))]
pub(crate) mod fuzzed;
mod golang;
mod interest;
pub mod load;
mod maps;
mod misses;
mod object;
pub mod offsets;
pub mod own;
pub mod peek;
pub mod probes;
pub mod procfs;
mod program_file;
mod registers;
pub mod run_time;
pub mod selfcheck;
pub mod sockets;
pub mod start;
mod tracefs;
mod undisturbed;
