//! Messages that wait in a broker between the process that sends them and the one that takes them. Nothing joins the two ends but
//! what the message itself says, so each end tells by which values it can be known again.

/// Which end of a broker a message is at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Handing {
    /// It goes in: somebody publishes it, and the broker reads it.
    Given,
    /// It comes out: somebody takes it to work on it.
    Taken,
}

/// The messages of one exchange.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Handover {
    /// In or out.
    pub handing: Handing,
    /// How many messages there are; of each the keys follow, if it has one.
    pub count: u32,
    /// Keyed hashes ([`crate::protocol::tokens::HashKey`]) of what names each message: its id, or all of its content where that holds a
    /// value that looks drawn at random. Never more than [`MAX_MESSAGES`].
    pub keys: Box<[u64]>,
}

/// Most messages of one exchange that are told apart.
pub const MAX_MESSAGES: usize = 8;
