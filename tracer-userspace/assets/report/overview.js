// Sums, what stands out, and the account of the recording.

function tile(title, value, note, isBad = false) {
  return el(
    "div",
    { class: isBad ? "tile bad" : "tile" },
    el("div", { class: "tile-title", text: title }),
    el("div", { class: "tile-value", text: value }),
    el("div", { class: "tile-note", text: note }),
  );
}

function summary(report) {
  const { totals } = report;
  const all = totals.traces;
  const linked = totals.certain + totals.inferred;
  const last = report.first + BigInt(Math.round(totals.length));
  const section = el(
    "section",
    { id: "summary", "aria-label": "Summary" },
    el(
      "div",
      { class: "tiles" },
      tile("Traces", count(all), `${rate(all, totals.observed)} over ${time(totals.observed)}`),
      tile("Failing traces", count(totals.failing), totals.failing > 0 ? `${percent(totals.failing, all)} of all` : "no span failed", totals.failing > 0),
      tile("Spans", count(totals.spans), totals.incomplete > 0 ? `${count(totals.incomplete)} not seen to their end` : "all seen to their end"),
      tile("Services", count(totals.services), plural(totals.operations, "operation")),
      tile(
        "Links to parents",
        count(linked),
        `${count(totals.certain)} certain, ${count(totals.inferred)} inferred; ${plural(totals.unlinked, "call")} without a parent`,
      ),
      tile("Parents not in the file", count(totals.torn), totals.torn > 0 ? "their spans are shown as beginnings" : "none is missing"),
    ),
    el("p", { class: "note", text: `From ${instant(report.first)} to ${instant(last)} UTC.` }),
  );
  if (report.count < all) {
    section.append(
      el("p", {
        class: "note shown-of",
        text:
          `${count(report.count)} of ${count(all)} traces can be opened here: the slowest of each operation, failing ones of all kinds, and a sample. ` +
          "All numbers outside the list of traces are over all of them.",
      }),
    );
  }
  if (report.problems.length > 0) {
    const lines = report.problems.map((line) => el("li", { text: line }));
    section.append(el("div", { class: "problems" }, el("strong", { text: "About the file" }), el("ul", {}, ...lines)));
  }
  return section;
}

const FINDING_KINDS = { error: "errors", repeated: "repeated calls", downstream: "downstream", own: "unexplained" };

function findings(report, actions) {
  const section = el("section", { id: "findings" }, el("h2", { text: "Findings" }));
  if (report.findings.length === 0) {
    section.append(el("p", { class: "note", text: "Nothing failed, no call was made over and over, and no one share of the time stands out." }));
    return section;
  }
  const items = report.findings.map(({ kind, title, detail, trace, operation }) =>
    el(
      "li",
      { class: `finding ${kind}` },
      el("span", { class: "badge", text: FINDING_KINDS[kind] }),
      el(
        "div",
        { class: "finding-text" },
        el("div", { class: "finding-title", text: title }),
        detail === "" ? null : el("div", { class: "note", text: detail }),
      ),
      el(
        "div",
        { class: "finding-links" },
        trace === null ? null : el("button", { text: kind === "error" ? "the first trace" : "the worst trace", onclick: () => actions.openTrace(trace) }),
        operation === null
          ? null
          : el("button", {
              text: kind === "error" ? "all that failed" : "all with it",
              onclick: () => actions.tracesOf(operation, kind === "error"),
            }),
        operation === null ? null : el("button", { text: "latency", onclick: () => actions.operation(operation) }),
      ),
    ),
  );
  section.append(el("ul", { class: "findings" }, ...items));
  return section;
}

function account(report) {
  const section = el("section", { id: "account" }, el("h2", { text: "Account of the recording" }));
  if (report.ledger === null) {
    section.append(
      el("p", {
        class: "note",
        text:
          "The account was not given with these traces, so this report cannot say what was lost or not understood. A capture (.tcap) has it in it; " +
          "`tracer record --ledger FILE` writes it, and `tracer report --ledger FILE` shows it here.",
      }),
    );
    return section;
  }
  const groups = report.ledger.map(({ title, lines }) =>
    el(
      "div",
      { class: "ledger" },
      el("h3", { text: title }),
      el(
        "table",
        {},
        ...lines.map(({ what, value, note, is_loss: isLoss }) =>
          el(
            "tr",
            { class: isLoss ? "loss" : null },
            el("td", { text: what }),
            el("td", { class: "number", text: value }),
            el("td", { class: "note", text: note }),
          ),
        ),
      ),
    ),
  );
  section.append(el("div", { class: "ledgers" }, ...groups));
  return section;
}
