//! Everything that reads the system: what the kernel and `/proc` tell about this host, its processes and its sockets.

pub mod facts;
pub mod procfs;
pub mod sockets;
