//! The harness of the end-to-end tests.
//!
//! Each file in `tests/e2e` starts real, unmodified servers ([`services`]), records them with the real `tracer`
//! ([`tracer`]) while a real client loads them ([`load`], [`client`]), and compares the spans ([`span`]) with what
//! the servers say of themselves: their access logs ([`access_log`], [`compare`]) and their truth files ([`truth`]).
//!
//! How slow the machine may be is said in one place ([`pace`]).
//!
//! Nothing here looks at the tracer's inside. What the tests believe comes from the servers, from the load
//! generators, and from the kernel's list of loaded programs ([`bpf`]).

pub mod access_log;
pub mod accuracy;
pub mod bpf;
pub mod btf;
pub mod client;
pub mod compare;
pub mod load;
pub mod net;
pub mod observed;
pub mod pace;
pub mod paths;
pub mod process;
pub mod scenario;
pub mod scratch;
pub mod seccomp;
pub mod services;
pub mod span;
pub mod suite;
pub mod tcap;
pub mod tracer;
pub mod truth;
