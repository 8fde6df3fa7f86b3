//! The two views of one call: what the client wrote is what the server read.
//!
//! This is not inferred. Both ends of a connection count its bytes alike, so the request that starts at a position
//! of a flow is one request, seen twice. Where the addresses differ (published container ports), the sequence
//! numbers of request and response, 64 bits chosen at random by the two kernels, together with method and target
//! name the call. Where the positions are not comparable (unix sockets from before the capture), order does.
//! Two candidates are none. Datagrams have no positions: there the number and the question of a lookup name it, and the port
//! that it goes to.

use rustc_hash::FxHashMap;

use crate::arena::Key;
use crate::exchange::{ExchangeId, Side};

/// Where requests of both sides meet.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Place {
    /// Flow and position of the request.
    Exact { flow: u32, seq: u32 },
    /// Datagrams: the server's port, and what is said.
    Said { port: u16, hash: u32 },
    /// Positions of request and response.
    Translated { request: u32, response: u32 },
}

/// What came of coming to a place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Meeting {
    /// Nobody there yet.
    Alone,
    /// The partner.
    Partner(Key),
    /// More than one candidate, now or before.
    Crowd,
}

#[derive(Clone, Copy, Debug, Default)]
struct Slot {
    client: Option<Key>,
    server: Option<Key>,
    visitors: u32,
    crowded: bool,
}

/// All places where somebody waits.
#[derive(Debug, Default)]
pub(super) struct Joins {
    slots: FxHashMap<Place, Slot>,
}

impl Joins {
    /// A request comes to its place. It must [leave](Joins::leave) when it is given out.
    pub fn come(&mut self, place: Place, side: Side, key: Key) -> Meeting {
        let slot = self.slots.entry(place).or_default();
        slot.visitors += 1;
        let (own, other) = match side {
            Side::Client => (&mut slot.client, slot.server),
            Side::Server => (&mut slot.server, slot.client),
        };
        if own.replace(key).is_some() || slot.crowded {
            slot.crowded = true;
            return Meeting::Crowd;
        }
        other.map_or(Meeting::Alone, Meeting::Partner)
    }

    /// How many places are kept.
    pub fn held(&self) -> usize {
        self.slots.len()
    }

    /// A request is given out.
    pub fn leave(&mut self, place: Place) {
        if let Some(slot) = self.slots.get_mut(&place) {
            slot.visitors = slot.visitors.saturating_sub(1);
            if slot.visitors == 0 {
                self.slots.remove(&place);
            }
        }
    }
}

/// The most requests of one flow that wait to be matched in order.
const MAX_QUEUE: usize = 64;

/// Requests on flows whose positions are not comparable, in the order in which they came.
#[derive(Debug, Default)]
pub(super) struct InOrder {
    waiting: FxHashMap<u32, Vec<(Side, ExchangeId, Key)>>,
}

impl InOrder {
    /// A request whose response has begun looks for the one other request that `matches` and comes from the other
    /// side; if there is none it waits.
    pub fn come(
        &mut self,
        flow: u32,
        side: Side,
        (id, key): (ExchangeId, Key),
        matches: impl Fn(Key) -> bool,
    ) -> Meeting {
        let queue = self.waiting.entry(flow).or_default();
        let mut found = queue.iter().enumerate().filter(|(_, (other, _, at))| *other != side && matches(*at));
        match (found.next().map(|(at, (_, _, key))| (at, *key)), found.next()) {
            (None, _) => {
                if queue.len() >= MAX_QUEUE {
                    queue.remove(0);
                }
                queue.push((side, id, key));
                Meeting::Alone
            }
            (Some((at, partner)), None) => {
                queue.remove(at);
                if queue.is_empty() {
                    self.waiting.remove(&flow);
                }
                Meeting::Partner(partner)
            }
            (Some(_), Some(_)) => Meeting::Crowd,
        }
    }

    /// How many requests wait.
    pub fn held(&self) -> usize {
        self.waiting.values().map(Vec::len).sum()
    }

    /// A request is given out.
    pub fn leave(&mut self, flow: u32, id: ExchangeId) {
        if let Some(queue) = self.waiting.get_mut(&flow) {
            queue.retain(|(_, other, _)| *other != id);
            if queue.is_empty() {
                self.waiting.remove(&flow);
            }
        }
    }
}
