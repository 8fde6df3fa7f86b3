//! What a request makes the service do. The services know these paths; see `tests/services/accuracy/common.py`.

/// The shape of the requests of one recording.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Shape {
    /// `/b`, then `/c`.
    Sequential,
    /// `/b` and `/c` at once.
    FanOut,
    /// `/b` three times, one after the other.
    Repeated,
    /// `/b`, then `/c`, each left out three times of ten.
    Skipped,
    /// Half the requests as [`Shape::Sequential`], half call `/c`, then `/d`.
    Mixed,
    /// A question to a database that is not HTTP, then `/b`.
    Database,
    /// As [`Shape::Sequential`], with calls of a timer in between that belong to no request.
    Background,
    /// As [`Shape::Sequential`], asked for with a body, and the first call sends one too.
    Post,
}

impl Shape {
    /// All of them, in the order of the tables.
    pub const ALL: [Self; 8] = [
        Self::Sequential,
        Self::FanOut,
        Self::Repeated,
        Self::Skipped,
        Self::Mixed,
        Self::Database,
        Self::Background,
        Self::Post,
    ];

    /// The word for it in names of cells and on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Self::Sequential => "sequential",
            Self::FanOut => "fanout",
            Self::Repeated => "repeated",
            Self::Skipped => "skipped",
            Self::Mixed => "mixed",
            Self::Database => "database",
            Self::Background => "background",
            Self::Post => "post",
        }
    }

    /// The paths that the load asks for, in turn.
    pub fn paths(self) -> &'static [&'static str] {
        match self {
            Self::Sequential | Self::Background => &["/front"],
            Self::FanOut => &["/fan"],
            Self::Repeated => &["/repeat"],
            Self::Skipped => &["/skip"],
            Self::Mixed => &["/front", "/other"],
            Self::Database => &["/db"],
            Self::Post => &["/post"],
        }
    }

    /// Whether its requests have bodies.
    pub fn has_bodies(self) -> bool {
        self == Self::Post
    }

    /// Milliseconds between the calls that belong to nobody, if there are any.
    pub fn background_ms(self) -> Option<u32> {
        (self == Self::Background).then_some(7)
    }
}
