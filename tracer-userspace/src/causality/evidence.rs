//! What a link rests on, and why there is none: the words that stand in the tags of a span.

use std::fmt;

/// One kind of evidence. The order is the order in the output.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u8)]
pub enum Evidence {
    /// Both ends of one connection, at the same position in its stream.
    Connection = 0,
    /// The addresses differ (address translation); both sequence numbers, the method and the target are the same.
    Translated = 1,
    /// A connection from before the capture: the positions are not comparable, order, method and target are.
    Order = 2,
    /// The caller's span id came in the request's traceparent.
    TraceParent = 3,
    /// The thread that read the request made the call.
    Thread = 4,
    /// It did so after reading the response of another call of the same request.
    Continuation = 5,
    /// The connection was opened while the thread worked on the request.
    Birth = 6,
    /// The request was the only one open in the process.
    SoleRequest = 7,
    /// The loop of the thread took as many turns from request to call as it usually does.
    Turns = 8,
    /// The calling thread had been woken by the request's thread.
    Wake = 9,
    /// Calls of this kind leave in the order in which their requests came to be ready.
    Queue = 10,
    /// The delay is what it usually is, and other requests' calls fit to them.
    Timing = 11,
    /// The call carries the trace context of the request; or, of a request from outside, the caller's span id came in another
    /// header than traceparent.
    Context = 12,
    /// A value that looks drawn at random came with this request only, and goes out with the call.
    Token = 13,
    /// The runtime's task (goroutine) that asked for the call is the one that read the request, or was started by it.
    Task = 14,
    /// The message that was taken from a broker is the one that was sent: its id, or all of its content, is the same.
    Message = 15,
    /// The thread that made the call, or had it made, wrote this request's response next.
    Answer = 16,
}

impl Evidence {
    /// All kinds.
    pub const ALL: [Evidence; 17] = [
        Evidence::Connection,
        Evidence::Translated,
        Evidence::Order,
        Evidence::TraceParent,
        Evidence::Thread,
        Evidence::Continuation,
        Evidence::Birth,
        Evidence::SoleRequest,
        Evidence::Turns,
        Evidence::Wake,
        Evidence::Queue,
        Evidence::Timing,
        Evidence::Context,
        Evidence::Token,
        Evidence::Task,
        Evidence::Message,
        Evidence::Answer,
    ];

    /// The word in the output.
    pub fn name(self) -> &'static str {
        match self {
            Evidence::Connection => "connection",
            Evidence::Translated => "sequence-numbers",
            Evidence::Order => "order",
            Evidence::TraceParent => "traceparent",
            Evidence::Thread => "thread",
            Evidence::Continuation => "continuation",
            Evidence::Birth => "birth",
            Evidence::SoleRequest => "sole-request",
            Evidence::Turns => "loop-turns",
            Evidence::Wake => "wake",
            Evidence::Queue => "queue-order",
            Evidence::Timing => "timing",
            Evidence::Context => "context",
            Evidence::Token => "token",
            Evidence::Task => "task",
            Evidence::Message => "message",
            Evidence::Answer => "answer",
        }
    }
}

/// The kinds of evidence of one link.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct EvidenceSet(u32);

impl EvidenceSet {
    /// With one more.
    #[must_use]
    pub fn with(self, evidence: Evidence) -> EvidenceSet {
        EvidenceSet(self.0 | 1 << evidence as u8)
    }

    /// Whether it holds this kind.
    pub fn has(self, evidence: Evidence) -> bool {
        self.0 & 1 << evidence as u8 != 0
    }

    /// No link.
    pub fn is_empty(&self) -> bool {
        self.0 == 0
    }

    /// How sure a link is that rests on one rule alone (what is weighed has a confidence of its own). The two ends of one connection,
    /// and what a request says of its caller, are not inferred.
    pub fn confidence(self) -> f32 {
        const EXACT: [Evidence; 3] = [Evidence::Connection, Evidence::TraceParent, Evidence::Context];
        const RULE: f32 = 0.99;
        if EXACT.into_iter().any(|exact| self.has(exact)) { 1.0 } else { RULE }
    }

    /// In the order of the output.
    pub fn iter(self) -> impl Iterator<Item = Evidence> {
        Evidence::ALL.into_iter().filter(move |evidence| self.has(*evidence))
    }
}

impl From<Evidence> for EvidenceSet {
    fn from(evidence: Evidence) -> Self {
        EvidenceSet::default().with(evidence)
    }
}

/// Why a call has no parent although requests were open that could have made it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Several requests qualify.
    Several(u32),
    /// One request qualifies, but so does work of a request that ended, or of none.
    Stranger,
    /// The process makes this kind of call outside requests too.
    Background,
    /// The connection was opened for one request and first used while another one was current.
    BirthDiffers,
    /// Written on a connection that became free at this moment: calls that queued for it could be anybody's.
    HandedOver,
    /// The loop had put off work of another request when it opened the connection.
    PutOff,
    /// A link was withdrawn: requests of this process change threads.
    NotAffine,
    /// The only candidate's response had ended before the call began.
    Ended,
    /// In the first moments of the capture a loop may work on requests that it read earlier.
    BeforeCapture,
    /// Another request of the process ended just before.
    Aftermath,
    /// The span was given out early because the limit of undecided spans was reached.
    Limit,
    /// The candidate is itself a consequence of the call.
    Circular,
    /// There is a candidate, and it is less sure than was asked for.
    Unsure,
    /// The message that was taken was sent, or taken, more than once.
    Senders,
}

impl Reason {
    /// Whether weighing the call with others cannot help.
    pub fn is_final(self) -> bool {
        matches!(self, Reason::Background | Reason::Ended | Reason::Limit | Reason::Circular | Reason::Unsure)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Reason::Several(count) => return write!(f, "{count} requests could have made this call"),
            Reason::Stranger => "one open request could have made this call, and so could work outside it",
            Reason::Background => "this process makes such calls outside requests too",
            Reason::BirthDiffers => "the connection was opened for one request and first used under another",
            Reason::HandedOver => "calls that waited for this connection could be of several requests",
            Reason::PutOff => "the connection may have been opened for a request that was put off",
            Reason::NotAffine => "requests of this process change threads",
            Reason::Ended => "the only candidate had answered before the call began",
            Reason::BeforeCapture => "it may belong to a request from before the capture",
            Reason::Aftermath => "another request of the process ended just before this call",
            Reason::Limit => "given out before it was decided: too many undecided spans",
            Reason::Circular => "the only candidate is a consequence of this call",
            Reason::Senders => "messages like this one were sent or taken more than once",
            Reason::Unsure => "the best candidate is less sure than was asked for",
        })
    }
}
