// The table of operations, and the latencies of the one that is chosen.

const OPERATION_COLUMNS = [
  { title: "Service", key: "serviceName" },
  { title: "Operation", key: "title" },
  { title: "Kind", key: "kind", hint: "served: asked of the service; call: asked by the service" },
  { title: "Count", key: "count", kind: "number" },
  { title: "Rate", key: "count", kind: "number" },
  { title: "Failed", key: "errors", kind: "number" },
  { title: "p50", key: "p50", kind: "number", hint: "half of them took no longer" },
  { title: "p95", key: "p95", kind: "number" },
  { title: "p99", key: "p99", kind: "number" },
  { title: "Max", key: "max", kind: "number" },
  { title: "Time", key: "total", kind: "number", hint: "all durations together" },
  { title: "Self", key: "own", kind: "number", hint: "of that, what no child covers" },
];

class OperationsView {
  constructor(report, actions) {
    Object.assign(this, { report, actions });
    this.sort = { key: "total", down: true };
    this.chosen = null;
    this.filter = el("input", {
      type: "search",
      id: "operations-filter",
      placeholder: "Filter: words of service and operation",
      "aria-label": "Filter operations",
      oninput: debounced(() => this.update()),
    });
    this.kind = el(
      "select",
      { "aria-label": "Kind", onchange: () => this.update() },
      ...["all kinds", "served", "calls", "messages", "internal"].map((text, at) => el("option", { value: at, text })),
    );
    this.counted = el("span", { class: "note", role: "status" });
    this.list = new List({
      label: "Operations",
      columns: "minmax(170px,1.5fr) minmax(180px,2.5fr) 76px 70px 70px 66px 74px 74px 74px 74px 74px 74px",
      height: 344,
      render: (row, index) => this.row(row, this.shown[index]),
      open: (index) => this.choose(this.shown[index], false),
    });
    this.detail = el("div", { class: "operation-detail" });
    const heads = head(
      OPERATION_COLUMNS.map((column) => (column.title === "Rate" ? { ...column, key: undefined } : column)),
      this.sort,
      () => this.update(),
    );
    this.list.node.prepend(heads);
    this.node = el(
      "section",
      { id: "operations" },
      el("h2", { text: "Operations" }),
      el("div", { class: "bar" }, this.filter, this.kind, this.counted),
      this.list.node,
      this.detail,
    );
  }

  update() {
    const { operations, totals } = this.report;
    const words = this.filter.value.toLowerCase().split(/\s+/).filter(Boolean);
    const kinds = [null, [0], [1], [2, 3], [4]][this.kind.value];
    this.shown = operations
      .map((operation, at) => at)
      .filter((at) => {
        const { search, kind } = operations[at];
        return (kinds === null || kinds.includes(kind)) && words.every((word) => search.includes(word));
      });
    const { key, down } = this.sort;
    this.shown.sort((one, other) => (down ? -1 : 1) * compare(operations[one][key], operations[other][key]) || one - other);
    const of = operations.length < totals.operations ? ` (${count(totals.operations)} in all; those with the most time are listed)` : "";
    this.counted.textContent = `${count(this.shown.length)} of ${plural(operations.length, "operation")}${of}`;
    this.list.show(this.shown.length, this.shown.indexOf(this.chosen));
  }

  row(row, at) {
    const operation = this.report.operations[at];
    const service = el("span", { class: "cut", title: operation.serviceName }, dot(operation.serviceName), operation.serviceName);
    const numbers = [
      count(operation.count),
      rate(operation.count, this.report.totals.observed),
      operation.errors > 0 ? `${count(operation.errors)}` : "–",
      ...[operation.p50, operation.p95, operation.p99, operation.max].map((nanos) => (operation.count > operation.incomplete ? time(nanos) : "–")),
      time(operation.total),
      time(operation.own),
    ];
    row.append(
      cell(service),
      cell(el("span", { class: "cut", title: operation.title, text: operation.title })),
      cell(KINDS[operation.kind], "quiet"),
      ...numbers.map((text, column) => cell(text, column === 2 && operation.errors > 0 ? "number failed" : "number")),
    );
  }

  /** Shows the latencies of an operation; scrolls there if asked from elsewhere. */
  choose(at, scroll = true) {
    this.chosen = at;
    if (!this.shown.includes(at)) {
      this.filter.value = "";
      this.kind.value = 0;
      this.update();
    }
    const place = this.shown.indexOf(at);
    if (this.list.cursor !== place) this.list.move(place);
    this.drawDetail();
    if (scroll) this.node.scrollIntoView({ block: "start" });
  }

  drawDetail() {
    if (this.chosen === null) {
      this.detail.replaceChildren(el("p", { class: "note", text: "Choose an operation to see how its latencies are distributed." }));
      return;
    }
    const { report } = this;
    const operation = report.operations[this.chosen];
    const traces = [];
    for (let trace = 0; trace < report.count; trace++) if (report.traces.has[trace].includes(this.chosen)) traces.push(trace);
    const width = Math.max(300, Math.min(640, (this.node.clientWidth - 24) / (this.node.clientWidth > 900 ? 2 : 1) - 12));
    const seen = operation.count - operation.incomplete;
    const charts = el("div", { class: "charts" });
    if (seen > 0) {
      charts.append(el("figure", {}, el("figcaption", { text: `Latency of ${plural(seen, "span")} (logarithmic)` }), distribution(operation, width)));
    }
    if (traces.length > 0) {
      charts.append(
        el(
          "figure",
          {},
          el("figcaption", { text: `${plural(traces.length, "trace")} with it that can be opened, by start and duration` }),
          overTime(report, traces, width, (trace) => this.actions.openTrace(trace)),
        ),
      );
    }
    const incomplete = operation.incomplete > 0 ? ` ${count(operation.incomplete)} were not seen to their end and are in no latency.` : "";
    this.detail.replaceChildren(
      el(
        "h3",
        {},
        dot(operation.serviceName),
        el("span", { text: `${operation.serviceName}: ${operation.title}` }),
      ),
      el("p", {
        class: "note",
        text: `${KINDS[operation.kind]}, ${count(operation.count)} times; ${time(operation.own)} of ${time(operation.total)} (${percent(operation.own, operation.total)}) are covered by no child.${incomplete}`,
      }),
      el(
        "div",
        { class: "bar" },
        el("button", { text: "traces with it", onclick: () => this.actions.tracesOf(this.chosen, false) }),
        operation.errors > 0 ? el("button", { text: "traces in which it failed", onclick: () => this.actions.tracesOf(this.chosen, true) }) : null,
      ),
      charts,
    );
  }
}
