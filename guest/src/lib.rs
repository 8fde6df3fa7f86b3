//! What `cargo xtask kernels` and the first process of its guests agree on: the plan of a run ([`plan`]), and the
//! frames in which the guest reports ([`frame`]).
//!
//! The program of this package, `guest-init`, is the `/init` of the guest's initramfs. It is linked statically and
//! built for this one purpose; nothing of it is part of the tracer.

pub mod frame;
pub mod plan;
