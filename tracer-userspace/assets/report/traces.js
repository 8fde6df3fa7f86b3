// The list of traces: the slowest first, until something else is asked for.

const TRACE_COLUMNS = [
  { title: "Duration", key: "duration", kind: "number" },
  { title: "" },
  { title: "Operation", key: "title" },
  { title: "Service", key: "service" },
  { title: "Start (UTC)", key: "start" },
  { title: "Spans", key: "spans", kind: "number" },
  { title: "Services", key: "services", kind: "number" },
  { title: "Failed", key: "errors", kind: "number", hint: "spans that failed" },
  { title: "Trace" },
];

class TracesView {
  constructor(report, actions) {
    Object.assign(this, { report, actions });
    this.sort = { key: "duration", down: true };
    this.operation = null;
    this.filter = el("input", {
      type: "search",
      id: "traces-filter",
      placeholder: "Filter: words of operation and service, or a trace id",
      "aria-label": "Filter traces",
      oninput: debounced(() => this.update()),
    });
    this.failing = el("input", { type: "checkbox", id: "failing-only", onchange: () => this.update() });
    this.chip = el("span", { class: "chips" });
    this.counted = el("span", { class: "note", role: "status" });
    this.list = new List({
      label: "Traces",
      columns: "84px 120px minmax(180px,2.5fr) minmax(170px,1.5fr) 130px 60px 74px 60px 92px",
      height: 456,
      render: (row, index) => this.row(row, this.shown[index]),
      open: (index) => actions.openTrace(this.shown[index]),
    });
    this.list.node.prepend(head(TRACE_COLUMNS, this.sort, () => this.update()));
    this.node = el(
      "section",
      { id: "traces" },
      el("h2", { text: "Traces" }),
      el(
        "div",
        { class: "bar" },
        this.filter,
        el("label", { class: "check" }, this.failing, "failing only"),
        this.chip,
        this.counted,
      ),
      this.list.node,
    );
  }

  /** Those with an operation, or in which it failed. */
  of(operation, failed) {
    this.operation = { at: operation, failed };
    this.filter.value = "";
    this.failing.checked = false;
    this.update();
    this.node.scrollIntoView({ block: "start" });
  }

  value(trace) {
    const { report } = this;
    const { key } = this.sort;
    if (key === "title") return report.title(trace);
    if (key === "service") return report.service(trace);
    return report.traces[key][trace];
  }

  update() {
    const { report } = this;
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const within = this.operation === null ? null : report.traces[this.operation.failed ? "failed" : "has"];
    this.shown = [];
    for (let trace = 0; trace < report.count; trace++) {
      if (this.failing.checked && report.traces.errors[trace] === 0) continue;
      if (within !== null && !within[trace].includes(this.operation.at)) continue;
      if (words.every((word) => report.search[trace].includes(word))) this.shown.push(trace);
    }
    this.shown.sort((one, other) => (this.sort.down ? -1 : 1) * compare(this.value(one), this.value(other)) || one - other);
    this.longest = this.shown.reduce((most, trace) => Math.max(most, report.traces.duration[trace]), 1);
    this.chip.replaceChildren();
    if (this.operation !== null) {
      const { serviceName, title } = report.operations[this.operation.at];
      const text = `${this.operation.failed ? "failed in" : "with"} ${serviceName}: ${title}`;
      this.chip.append(
        el("button", {
          class: "chip",
          title: "show all again",
          text: `${text} ✕`,
          onclick: () => {
            this.operation = null;
            this.update();
          },
        }),
      );
    }
    this.counted.textContent = `${count(this.shown.length)} of ${plural(report.count, "trace")}`;
    this.list.show(this.shown.length);
  }

  row(row, trace) {
    const { report } = this;
    const { duration, errors, spans, services, id, incomplete } = report.traces;
    const bar = el("div", { class: errors[trace] > 0 ? "length failed" : "length" });
    bar.style.width = `${Math.max(1, (duration[trace] / this.longest) * 100)}%`;
    row.append(
      cell(`${incomplete[trace] ? "≥ " : ""}${time(duration[trace])}`, "number"),
      cell(bar),
      cell(el("span", { class: "cut", title: report.title(trace), text: report.title(trace) })),
      cell(el("span", { class: "cut" }, dot(report.service(trace)), report.service(trace))),
      cell(instant(report.begin(trace), false), "quiet"),
      cell(count(spans[trace]), "number"),
      cell(count(services[trace]), "number"),
      cell(errors[trace] > 0 ? `! ${count(errors[trace])}` : "–", errors[trace] > 0 ? "number failed" : "number"),
      cell(el("code", { text: id[trace].slice(0, 10) }), "quiet"),
    );
  }
}
