//! When links that were held back are settled, and when processes and threads are forgotten.

use super::process::{AGE, Affinity, Settled};
use super::{Causality, Hold};
use crate::arena::Key;
use crate::time::Nanos;

/// Threads remembered; more than this and those that have been idle are forgotten.
const MAX_THREADS: usize = 1 << 16;
/// Threads, processes and links held back of which nothing is known any more if there are so many: no host has them, a
/// capture file may claim them.
pub(super) const MAX_EVER: usize = 96 << 10;
/// Idle for this long.
const IDLE: u64 = 10_000_000_000;

impl Causality {
    /// Whether a link of this process that is decided late may be told: `None` means when the process is believed.
    pub fn admit(&mut self, tgid: u32, call: Key, hold: Hold) -> Option<bool> {
        if hold == Hold::No {
            return Some(true);
        }
        let Some(process) = self.processes.get_mut(&tgid) else { return Some(true) };
        match process.affinity {
            Affinity::Proven => Some(true),
            Affinity::Broken => Some(false),
            Affinity::Unproven(_) if process.tids.len() == 1 => Some(true),
            // What fills it was given out long ago.
            Affinity::Unproven(_) if process.held.len() >= MAX_EVER => Some(false),
            Affinity::Unproven(_) => {
                process.held.push(call);
                None
            }
        }
    }

    /// A process ended: nothing more can speak against its links.
    pub fn process_exit(&mut self, tgid: u32) {
        self.contexts.process_exit(tgid);
        self.tasks.process_exit(tgid);
        let Some(process) = self.processes.get_mut(&tgid) else { return };
        process.close();
        process.settle(&mut self.settled);
        // Requests that are still open keep their process and thread until they end.
        process.exited = true;
        let tids = std::mem::take(&mut process.tids);
        if process.open.count() == 0 {
            self.processes.remove(&tgid);
        }
        for tid in tids {
            if let Some(thread) = self.threads.get_mut(&(tgid, tid)) {
                let settled = &mut self.settled;
                thread.promptness.close(|call, accepted| settled.push(Settled { call, accepted }));
            }
            if self.threads.get(&(tgid, tid)).is_some_and(|thread| thread.open.count() == 0) {
                self.threads.remove(&(tgid, tid));
            }
        }
    }

    /// How much is remembered.
    pub fn held(&self) -> usize {
        let processes = self.processes.values().map(|process| 1 + process.held.len() + process.tids.len());
        let threads = self.threads.values().map(|thread| 1 + thread.answering.len());
        let waiting = self.requests.len() + self.early.len() + self.settled.len();
        let waiting = waiting + self.tasks.held() + self.contexts.held();
        waiting + processes.sum::<usize>() + threads.sum::<usize>()
    }

    /// Links that were held back and are settled by what was told since the last time, in the order of their calls.
    pub fn take_settled(&mut self, now: Nanos) -> Vec<Settled> {
        if !self.early.is_empty() && self.start.is_some_and(|start| now.since(start) >= AGE) {
            self.settle_early();
        }
        std::mem::take(&mut self.settled)
    }

    /// The capture is over: what is held back stands where nothing spoke against it.
    pub fn finish(&mut self) -> Vec<Settled> {
        self.settle_early();
        let settled = &mut self.settled;
        for thread in self.threads.values_mut() {
            thread.promptness.close(|call, accepted| settled.push(Settled { call, accepted }));
        }
        for process in self.processes.values_mut() {
            process.close();
            process.settle(&mut self.settled);
        }
        // The map's order must not show.
        self.settled.sort_by_key(|settled| settled.call);
        std::mem::take(&mut self.settled)
    }

    fn settle_early(&mut self) {
        for (call, tgid, tid) in std::mem::take(&mut self.early) {
            let looped = self.threads.get(&(tgid, tid)).is_some_and(|thread| thread.multi);
            let verdict = if looped { Some(false) } else { self.admit(tgid, call, Hold::BeforeCapture) };
            self.settled.extend(verdict.map(|accepted| Settled { call, accepted }));
        }
    }

    pub(super) fn break_affinity(&mut self, tgid: u32) {
        if let Some(process) = self.processes.get_mut(&tgid) {
            process.affinity = Affinity::Broken;
            process.settle(&mut self.settled);
        }
    }

    /// Whether it knows of more than there can be: all of it must be forgotten.
    pub fn is_full(&self) -> bool {
        self.overfull
            || self.threads.len() >= MAX_EVER
            || self.processes.len() >= MAX_EVER
            || self.early.len() >= MAX_EVER
    }

    /// Forgets idle threads and processes when there are too many: their exits may have been lost.
    pub(super) fn sweep(&mut self, now: Nanos) {
        if self.threads.len() < self.sweep_at.max(MAX_THREADS) {
            return;
        }
        self.threads.retain(|_, thread| thread.open.count() > 0 || now.since(thread.active) < IDLE);
        let threads = &self.threads;
        self.processes.retain(|tgid, process| {
            process.tids.retain(|tid| threads.contains_key(&(*tgid, *tid)));
            !process.tids.is_empty() || process.open.count() > 0 || !process.held.is_empty()
        });
        self.sweep_at = 2 * self.threads.len();
    }
}
