//! Does a loop deal with what it reads before it reads on?
//!
//! A loop that runs callbacks to completion (nginx, Node) does: each turn to a request is followed by a deed for it,
//! a call, an answer, or a connect, before the loop turns to another. Then what it does next after turning to a
//! request is that request's, whatever else is open. This matters, because the careful rule of [`super::thread`]
//! breeds doubt: the owner of one doubtful call looks resumable while it waits, which makes the next call doubtful,
//! and so on for as long as the load lasts.
//!
//! A loop that puts work off (asyncio), or waits for what is not seen (a database), gives itself away by turning
//! from a request without a deed, and it does so *before* the deed it put off can be taken for another's. Such a
//! request is *dormant*; while there is one, nothing is concluded from promptness. A connect is not seen when it
//! happens but told with the first bytes on the connection; it explains a turn after the fact.

use std::collections::VecDeque;

use super::request::Owner;
use crate::arena::Key;
use crate::time::Nanos;

/// As many turns with a deed, since the last one without, and a loop is believed to be prompt.
const DEEDS: u32 = 32;
/// A link whose call is answered waits this long for an explanation; a request that waits for an event (long polling)
/// is dormant until it comes.
const PATIENCE: u64 = 200_000_000;
/// More dormant requests than this, and the loop is not prompt.
const MAX_DORMANT: usize = 256;

/// A request that was turned to and left without a deed.
#[derive(Clone, Copy, Debug)]
struct Dormant {
    owner: Owner,
    /// When the thread turned to it.
    from: Nanos,
    /// When it turned away.
    until: Nanos,
}

/// A link that waits until its call is answered (which the trace must wait for in any case), and until everything
/// that was dormant when its connection was opened is explained.
#[derive(Clone, Copy, Debug)]
struct Waiting {
    call: Key,
    /// When the connection was opened.
    at: Nanos,
    /// When its response began.
    answered: Option<Nanos>,
}

/// How one thread deals with what it turns to.
#[derive(Debug, Default)]
pub(super) struct Promptness {
    /// Turns with a deed since the last without.
    deeds: u32,
    /// The thread has done something since it turned to what it is at.
    acted: bool,
    dormant: VecDeque<Dormant>,
    /// When a turn without a deed was last found to have had none for good.
    unexplained: Nanos,
    waiting: Vec<Waiting>,
}

impl Promptness {
    /// The thread does something visible.
    pub fn acts(&mut self) {
        self.acted = true;
    }

    /// The thread turns away from a request at `until`; `resumable`: it was left able to go on.
    pub fn turns_from(&mut self, owner: Owner, from: Nanos, until: Nanos, resumable: bool) {
        if std::mem::take(&mut self.acted) {
            self.deeds = self.deeds.saturating_add(1);
        } else if resumable {
            if self.dormant.len() >= MAX_DORMANT {
                self.dormant.clear();
                self.is_not_prompt(until);
            }
            self.dormant.push_back(Dormant { owner, from, until });
        }
    }

    /// The thread turns away from work whose request is not known; `counts`: without a deed it speaks against it.
    pub fn turns_from_unknown(&mut self, until: Nanos, counts: bool) {
        if !std::mem::take(&mut self.acted) && counts {
            self.is_not_prompt(until);
        }
    }

    /// The thread was found to have called connect at a time.
    pub fn connected(&mut self, at: Nanos, current_since: Option<Nanos>) {
        if let Some(place) = self.dormant.iter().position(|dormant| dormant.from <= at && at < dormant.until)
        {
            self.dormant.remove(place);
            self.deeds = self.deeds.saturating_add(1);
        } else if current_since.is_some_and(|since| since <= at) {
            self.acted = true;
        }
    }

    /// The thread turns to a request again, or the request ends: if it was dormant, it will not be explained any more.
    pub fn moves_on(&mut self, owner: Owner, at: Nanos) {
        let before = self.dormant.len();
        self.dormant.retain(|dormant| dormant.owner != owner);
        if self.dormant.len() < before {
            self.is_not_prompt(at);
        }
    }

    fn is_not_prompt(&mut self, at: Nanos) {
        self.deeds = 0;
        self.unexplained = self.unexplained.max(at);
    }

    /// Whether what the thread does now, at once upon turning to a request, is certainly that request's.
    pub fn is_prompt(&self) -> bool {
        self.deeds >= DEEDS && self.dormant.is_empty()
    }

    /// The same for what it did at a time in the past; `None`: not known yet.
    pub fn was_prompt(&self, at: Nanos) -> Option<bool> {
        if self.deeds < DEEDS || self.unexplained >= at {
            Some(false)
        } else if self.dormant.iter().any(|dormant| dormant.until <= at) {
            None
        } else {
            Some(true)
        }
    }

    /// A link waits until it is known whether the thread was prompt.
    pub fn wait(&mut self, call: Key, at: Nanos) {
        self.waiting.push(Waiting { call, at, answered: None });
    }

    /// The response to a call began, or will not come: `Some` if that settles its link.
    pub fn answered(&mut self, call: Key, now: Nanos, fans_out: bool) -> Option<bool> {
        let place = self.waiting.iter().position(|link| link.call == call)?;
        let mut link = self.waiting.swap_remove(place);
        link.answered = Some(now);
        let verdict = self.verdict(&link, now, fans_out);
        if verdict.is_none() {
            self.waiting.push(link);
        }
        verdict
    }

    /// Links that can be settled now.
    pub fn settle(&mut self, now: Nanos, fans_out: bool, mut settled: impl FnMut(Key, bool)) {
        if self.waiting.is_empty() {
            return;
        }
        for link in std::mem::take(&mut self.waiting) {
            match self.verdict(&link, now, fans_out) {
                Some(accepted) => settled(link.call, accepted),
                None => self.waiting.push(link),
            }
        }
    }

    fn verdict(&self, link: &Waiting, now: Nanos, fans_out: bool) -> Option<bool> {
        match (self.was_prompt(link.at), link.answered) {
            _ if fans_out => Some(false),
            (Some(false), _) => Some(false),
            (Some(true), Some(_)) => Some(true),
            (None, Some(answered)) if now.since(answered) > PATIENCE => Some(false),
            _ => None,
        }
    }

    /// Nothing more will be known.
    pub fn close(&mut self, mut settled: impl FnMut(Key, bool)) {
        for link in self.waiting.drain(..) {
            settled(link.call, false);
        }
    }
}
