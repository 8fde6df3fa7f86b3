//! What the two sides share: the event ABI between the probes and userspace, and the decisions that both must make
//! alike. Everything here is `no_std`, free of panics, and tested on the host before it is compiled into a probe.
#![cfg_attr(not(test), no_std)]

pub mod abi;
pub mod classify;
pub mod datagram;
pub mod golang;
pub mod offsets;
pub mod peek;
