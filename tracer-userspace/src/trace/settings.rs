//! What the user may choose about links.

/// What the user may choose about links.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Settings {
    /// A link that is less sure than this (0 to 1) is not told: the span has no parent, and names its candidates.
    pub min_confidence: f32,
}

impl Default for Settings {
    fn default() -> Self {
        Settings { min_confidence: 0.9 }
    }
}
