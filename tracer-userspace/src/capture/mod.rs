//! From the kernel to [`crate::event::Event`]: features and offsets, load, self-check, attach, drain, detach; and what
//! else must be asked of the system (processes, sockets, the host). Nothing outside this module talks to the kernel,
//! and only `load`, `peek`, `drain` and `selfcheck` know aya.

pub mod btf;
pub mod calibrate;
pub mod decode;
pub mod drain;
pub mod facts;
pub mod load;
pub mod offsets;
pub mod peek;
pub mod probes;
pub mod procfs;
pub mod selfcheck;
pub mod sockets;
