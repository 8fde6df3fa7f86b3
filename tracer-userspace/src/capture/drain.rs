//! Takes what the probes have to say: records from the ring, and the counts of quiet connections from the table.

use tracer_common::abi::{ConnId, state};

use super::decode;
use super::load::Probes;
use crate::event::{Counts, Event};
use crate::time::Nanos;

/// A connection counts as quiet when nothing moved on it for this long before the ring was last emptied. Then no record
/// of it can still be on its way, which would come too late to be used once the counts beyond it are known.
pub const QUIET_NANOS: u64 = 20_000_000;

impl Probes {
    /// Hands the waiting records to `handle`, and between them says where calls may have been missed. Returns how many
    /// there were and how many were not understood. All that was there when it began is taken: it ends when the ring is
    /// empty, or after a ring's worth of bytes, however many more are made meanwhile.
    pub fn drain(&mut self, mut handle: impl FnMut(Event<'_>)) -> Drained {
        let mut drained = Drained::default();
        let mut left = self.ring_bytes;
        while let Some(item) = self.ring.next() {
            drained.records += 1;
            drained.is_cut = left < item.len();
            left = left.saturating_sub(item.len());
            match decode::event(&item) {
                Some(event) => {
                    let at = event.at();
                    if self.misses.before(at, &self.maps) {
                        handle(Event::Missed { at });
                    }
                    handle(event);
                }
                None => drained.unknown += 1,
            }
            if drained.is_cut {
                break;
            }
        }
        drained
    }

    /// Empties the table of connections: those of the self-check are nobody's.
    pub fn forget_connections(&mut self) {
        self.maps.forget_conns();
    }

    /// Hands the counts of those connections to `handle` that are quiet: nothing moved on them for a while before `now`, a
    /// time before the ring was last emptied. Reading changes nothing in the table.
    pub fn look(&self, conns: &[ConnId], now: Nanos, mut handle: impl FnMut(Counts)) {
        self.maps.look(conns, |conn, entry| {
            let last = Nanos(entry.rx.last.max(entry.tx.last));
            if entry.born == conn.born && now.since(last) > QUIET_NANOS {
                handle(decode::counts(conn.sk, entry, now));
            }
        });
    }

    /// Hands the counts of all connections to `handle`. For the end, when nothing changes any more: while others add
    /// and remove entries, walking the table may miss some.
    pub fn all_counts(&self, now: Nanos, mut handle: impl FnMut(Counts)) {
        self.maps.all_conns(|sk, conn| {
            if conn.state & state::ANNOUNCED != 0 {
                handle(decode::counts(sk, conn, now));
            }
        });
    }
}

/// What one drain found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Drained {
    /// Records taken.
    pub records: u64,
    /// Records that this version does not know.
    pub unknown: u64,
    /// There may be more waiting.
    pub is_cut: bool,
}

/// CLOCK_MONOTONIC now: the clock of the probes.
pub fn kernel_now() -> Nanos {
    let mut time = libc::timespec { tv_sec: 0, tv_nsec: 0 };
    // SAFETY: a pointer to a local; this clock always exists.
    unsafe { libc::clock_gettime(libc::CLOCK_MONOTONIC, &raw mut time) };
    Nanos(time.tv_sec as u64 * 1_000_000_000 + time.tv_nsec as u64)
}
