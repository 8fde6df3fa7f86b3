//! Which program was in a process at which time, and so: whose span is this?
//!
//! A pid is no identity. Programs replace each other in it, and when a process is gone its number is used again. What
//! `/proc` says is read a little after the fact, from outside, and may be about the next user of the number. So a
//! process is kept as a row of [`incarnation`]s with their times, put together from the kernel's fork, exec and exit
//! events, and facts are put where the times say they belong. Where nothing could be read in time (a process that
//! lived for 20 ms), the parent's facts and the command name of the event stand in.

mod incarnation;
mod resolve;
mod table;

pub use incarnation::Window;
pub use resolve::Resolved;
pub use table::ProcessTable;
