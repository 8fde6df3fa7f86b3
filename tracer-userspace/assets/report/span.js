// One span: its times, why it stands where it stands, and all of its tags.

function shown(value) {
  return typeof value === "string" ? value : JSON.stringify(value);
}

function pairs(rows) {
  return el(
    "dl",
    { class: "pairs" },
    ...rows
      .filter(([, value]) => value !== null)
      .flatMap(([name, value]) => [el("dt", { text: name }), value instanceof Node ? el("dd", {}, value) : el("dd", { text: value })]),
  );
}

/** Why a span has the parent it has, or none: in words. */
function parentage(report, trace, span, select, openSpan) {
  const box = el("div", { class: "evidence" }, el("h4", { text: "Why it stands here" }));
  const say = (text) => box.append(el("p", { text }));
  const goTo = (other) => {
    const button = el("button", { class: "link", onclick: () => select(other) });
    button.append(dot(trace.serviceName(other)), `${trace.serviceName(other)}: ${trace.title(other)}`);
    return button;
  };
  const evidence = trace.tag(span, "tracer.link.evidence");
  const confidence = trace.tag(span, "tracer.link.confidence");
  const reason = trace.tag(span, "tracer.link.reason");
  const candidates = trace.tag(span, "tracer.link.candidates");
  const parent = trace.parent[span];
  if (parent >= 0) {
    box.append(el("p", {}, "Its parent is ", goTo(parent), "."));
  } else if (trace.is(span, TORN)) {
    say(
      `It names a parent, ${trace.absentParent.get(span) ?? "whose id could not be read"}, that is not in this file: the caller was not recorded, or what it was part of was not kept.`,
    );
  } else if (reason === undefined) {
    say("It has no parent: whoever caused it was not seen, or nobody did.");
  }
  if (typeof confidence === "number") {
    const gauge = el("div", { class: "gauge", role: "img", "aria-label": `confidence ${confidence}` }, el("div", {}));
    gauge.firstChild.style.width = `${Math.max(0, Math.min(1, confidence)) * 100}%`;
    box.append(el("p", {}, el("strong", { text: `Confidence ${confidence}` }), `: ${sureness(confidence)}.`), gauge);
  }
  if (Array.isArray(evidence)) {
    const words = evidence.map((word) =>
      el("li", {}, el("code", { text: String(word) }), ` ${EVIDENCE[word] ?? "This report does not know this word; docs/evidence.md may."}`),
    );
    box.append(el("p", { text: "What was seen:" }), el("ul", {}, ...words));
  } else if (parent >= 0 || trace.is(span, TORN)) {
    say("The file names this parent, and does not say what that rests on.");
  }
  if (reason !== undefined) say(`No parent is named, because ${shown(reason)}.`);
  if (Array.isArray(candidates) && candidates.length > 0) {
    const byId = new Map();
    for (let at = 0; at < trace.size; at++) byId.set(trace.spanId(at), at);
    const lines = candidates.map((candidate) => {
      const id = String(candidate?.spanId);
      const there = byId.get(id);
      const who = there === undefined ? elsewhere(report, id, openSpan) : goTo(there);
      return el("li", {}, who, ` confidence ${candidate?.confidence ?? "not said"}`);
    });
    box.append(el("p", { text: "These could be its parent; none is sure enough:" }), el("ul", {}, ...lines));
  }
  return box;
}

/** A span of another trace: a way there, if that trace is in the page. */
function elsewhere(report, id, openSpan) {
  const box = el("span", {}, el("code", { text: id }), " (in another trace)");
  report.traceOfCandidate(id).then((other) => {
    if (other === undefined) {
      box.append(", which is not in this page");
      return;
    }
    const button = el("button", { class: "link", title: `in trace ${report.traces.id[other]}`, onclick: () => openSpan(other, id) });
    button.append(dot(report.service(other)), `a span of ${report.service(other)}: ${report.title(other)}`);
    box.replaceChildren(button, " (another trace)");
  });
  return box;
}

/** How many of a group are named. */
const NAMED = 10;

/** Everything about spans that are the same but for their times. */
function groupDetail(report, trace, index, row, select) {
  const spans = trace.spansOf(row);
  const service = trace.serviceName(spans[0]);
  const total = trace.duration[trace.longest] || 1;
  const onPath = (all) => all.flatMap((span) => trace.critical.get(span) ?? []).reduce((sum, end, at) => sum + (at % 2 ? end : -end), 0);
  const critical = onPath(spans.flatMap((span) => [span, ...trace.allBelow(span)]));
  const longest = spans.slice().sort((one, other) => trace.duration[other] - trace.duration[one] || one - other);
  const middle = longest[longest.length - Math.ceil(longest.length / 2)];
  const last = spans.reduce((end, span) => Math.max(end, trace.start[span] + trace.duration[span]), 0);
  const below = trace.allBelow(spans[0]).length;
  const least = trace.is(spans[0], INCOMPLETE) ? "≥ " : "";
  const say = (span) => el("button", { class: "link", text: `${least}${time(trace.duration[span])}, ${time(trace.start[span])} after the trace`, onclick: () => select(span) });
  const named = longest.slice(0, NAMED).map((span) => el("li", {}, say(span)));
  if (longest.length > NAMED) named.push(el("li", { class: "note", text: `and ${count(longest.length - NAMED)} more: → shows all` }));
  return el(
    "div",
    { class: "span-detail" },
    el("h3", {}, dot(service), el("span", { text: `×${count(spans.length)} ${trace.asked(row)}` })),
    el("p", {
      class: "note",
      text: `${service}, ${KINDS[trace.kind[spans[0]]]}: ${count(spans.length)} times below one parent, all the same but for their times, and identifiers in paths${below > 0 ? `, with ${count(below)} below each` : ""}. → or a click on ▸ shows each.`,
    }),
    pairs([
      ["together", `${least}${time(sum(trace.duration, spans))} (at the same time counts each)`],
      ["self time", `${time(sum(trace.own, spans))}: covered by no child`],
      ["shortest", `${least}${time(trace.duration[longest[longest.length - 1]])}`],
      ["median", `${least}${time(trace.duration[middle])}`],
      ["longest", `${least}${time(trace.duration[longest[0]])}`],
      ["first starts", `${time(trace.start[spans[0]])} after the trace`],
      ["last ends", `${time(last)} after the trace`],
      ["critical path", critical > 0 ? `${time(critical)} of them${below > 0 ? " and what is below" : ""} (${percent(critical, total)} of the trace)` : "not on it"],
    ]),
    el("h4", { text: "The longest" }),
    el("ul", {}, ...named),
    pairs([["trace id", el("code", { text: report.traces.id[index] })]]),
  );
}

/** Everything about a span. `select` goes to another one, `openSpan` to one of another trace. */
function spanDetail(report, trace, index, span, select, openSpan) {
  const service = trace.serviceName(span);
  const critical = (trace.critical.get(span) ?? []).reduce((sum, end, at) => sum + (at % 2 ? end : -end), 0);
  const total = trace.duration[trace.longest] || 1;
  const title = trace.title(span);
  const tags = trace.tagsOf(span);
  const failed = trace.is(span, ERROR);
  const heading = el("h3", {}, dot(service), el("span", { text: title }));
  const table = el(
    "table",
    { class: "tags" },
    ...tags.map(([name, value]) => el("tr", {}, el("th", { scope: "row", text: name }), el("td", { text: shown(value) }))),
  );
  const wire = trace.tag(span, "tracer.ttfb_ms");
  return el(
    "div",
    { class: "span-detail" },
    heading,
    el("p", {
      class: "note",
      text: `${service}, ${KINDS[trace.kind[span]]}${failed ? ", failed" : ""}${trace.is(span, INCOMPLETE) ? ", its end was not seen: it lasted longer" : ""}`,
    }),
    pairs([
      ["starts", `${time(trace.start[span])} after the trace`],
      ["at (UTC)", instant(report.begin(index) + BigInt(Math.round(trace.start[span])))],
      ["duration", `${trace.is(span, INCOMPLETE) ? "≥ " : ""}${time(trace.duration[span])}`],
      ["self time", `${time(trace.own[span])} (${percent(trace.own[span], trace.duration[span])}): covered by no child`],
      ["critical path", critical > 0 ? `${time(critical)} of it (${percent(critical, total)} of the trace)` : "not on it by itself"],
      ["first byte", typeof wire === "number" ? `after ${time(wire * 1e6)}` : null],
      ["children", trace.children[span] === null ? "none" : count(trace.children[span].length)],
    ]),
    parentage(report, trace, span, select, openSpan),
    el("h4", { text: `Tags (${tags.length})` }),
    table,
    pairs([
      ["span id", el("code", { text: trace.spanId(span) })],
      ["trace id", el("code", { text: report.traces.id[index] })],
    ]),
  );
}
