// What the words of the tags tracer.link.* mean (docs/evidence.md).

const EVIDENCE = {
  connection: "Both ends of one connection, at the same position of its stream. Nothing is inferred.",
  "sequence-numbers":
    "The addresses differ (address translation), but the sequence numbers of request and response, the method and the target are the same.",
  order: "The connection is older than the recording: what is the same is the order of its messages, their method and target.",
  traceparent: "The request carried this span's id in its traceparent header: the caller says so.",
  context: "The call carries the trace context of this request (b3, uber-trace-id, x-datadog-… or another library's headers).",
  token: "A value that looks drawn at random came in with this request only, and goes out with the call.",
  thread: "The thread that read the request made the call before the request was answered.",
  continuation: "The thread last read the response to another call of the same request.",
  birth: "The connection was opened while the thread worked on this request.",
  "sole-request": "It was the only request open in the whole process.",
  task: "The goroutine that asked for the call read the request, or was started by the one that did.",
  message: "The message that was taken from the broker is the one that was sent: its id, or all of its content, is the same.",
  answer: "The thread that made the call, or had it made, wrote this request's response next.",
  "loop-turns": "From the request to the call the event loop took as many turns as it usually does.",
  wake: "The thread that made the call had been woken by the request's thread.",
  "queue-order": "Calls of this kind leave in the order in which their requests came to be ready.",
  timing: "The delay is what it usually is, and other requests' calls fit to them.",
};

/** How sure a link is, in words. */
function sureness(share) {
  if (share >= 1) return "nothing about this link is inferred";
  if (share >= 0.99) return "one rule decided it; docs/evidence.md says what such rules rest on and where they end";
  return "it was weighed against the other possible parents; on the measured workloads about so many of such links were right (docs/accuracy.md)";
}
