// Puts the page together, and says what the keyboard does.

const KEYS = [
  ["?", "this list"],
  ["/", "filter the operations"],
  ["t", "filter the traces"],
  ["f  m  o  a", "findings, map, operations, account"],
  ["d", "dark or light"],
  ["↑ ↓  PgUp PgDn  Home End", "in a list: move"],
  ["Enter", "in a list: open; in a trace: read the span's details"],
  ["Esc", "back to all traces; leave a filter"],
  ["n  p", "in a trace: the next, the previous one of the list"],
  ["← →", "in a trace: fold, unfold, also repeated calls (×37); to the parent, to the first child"],
  ["+  -  0", "in a trace: narrower and wider window of time, all of it (also: drag, Ctrl and wheel)"],
  [",  .", "in a trace: earlier, later"],
  ["c  e", "in a trace: next span on the critical path, next failed one"],
];

function help() {
  const rows = KEYS.map(([keys, what]) => el("tr", {}, el("th", { scope: "row" }, el("kbd", { text: keys })), el("td", { text: what })));
  const dialog = el("dialog", { class: "help", "aria-label": "Keyboard" }, el("h2", { text: "Keyboard" }), el("table", {}, ...rows));
  dialog.append(el("form", { method: "dialog" }, el("button", { text: "close" })));
  dialog.addEventListener("click", (event) => {
    if (event.target === dialog) dialog.close();
  });
  return dialog;
}

function isDark() {
  const chosen = document.documentElement.dataset.theme;
  return chosen ? chosen === "dark" : matchMedia("(prefers-color-scheme: dark)").matches;
}

class App {
  constructor(report) {
    this.report = report;
    const actions = {
      openTrace: (trace, span = null) => this.openTrace(trace, span),
      close: () => this.close(),
      step: (by) => this.step(by),
      operation: (at) => this.operations.choose(at),
      service: (name) => {
        this.operations.filter.value = name;
        this.operations.update();
        this.operations.node.scrollIntoView({ block: "start" });
      },
      tracesOf: (operation, failed) => this.traces.of(operation, failed),
    };
    // Services have their colours in the order in which they have most to do.
    for (const node of report.map.nodes) if (node.kind === 0) serviceColour(report.names[node.name]);
    this.operations = new OperationsView(report, actions);
    this.traces = new TracesView(report, actions);
    this.trace = new TraceView(report, actions);
    this.help = help();
    this.mapPlace = el("div", {}, serviceMap(report, actions));
    this.overview = el("main", {}, summary(report), findings(report, actions), this.mapPlace, this.operations.node, this.traces.node, account(report));
    document.getElementById("app").replaceChildren(this.header(), this.overview, this.trace.node, this.help);
    this.operations.update();
    this.operations.drawDetail();
    this.traces.update();
    addEventListener("keydown", (event) => this.key(event));
    addEventListener("hashchange", () => this.route());
    matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.repaint());
    this.resized = debounced(() => this.operations.drawDetail(), 200);
    addEventListener("resize", this.resized);
    this.route();
  }

  header() {
    const { report } = this;
    const link = (id, text) => el("button", { class: "link", text, onclick: () => this.go(id) });
    return el(
      "header",
      {},
      el("h1", {}, el("span", { class: "quiet", text: "tracer " }), el("span", { text: report.source })),
      el("nav", { "aria-label": "Sections" }, link("findings", "Findings"), link("map", "Map"), link("operations", "Operations"), link("traces", "Traces"), link("account", "Account")),
      el("button", { text: "◐", title: "dark or light (d)", "aria-label": "dark or light", onclick: () => this.theme() }),
      el("button", { text: "?", title: "what the keyboard does", "aria-label": "keyboard", onclick: () => this.help.showModal() }),
    );
  }

  theme() {
    document.documentElement.dataset.theme = isDark() ? "light" : "dark";
    this.repaint();
  }

  /** What was drawn with the colours of before. */
  repaint() {
    this.operations.drawDetail();
    if (!this.trace.node.hidden) this.trace.drawOverview();
  }

  go(section) {
    if (!this.trace.node.hidden) this.close();
    document.getElementById(section).scrollIntoView({ block: "start" });
  }

  openTrace(trace, span = null) {
    const place = span === null ? "" : `&span=${encodeURIComponent(span)}`;
    location.hash = `trace=${encodeURIComponent(this.report.traces.id[trace])}${place}`;
  }

  close() {
    location.hash = "";
  }

  step(by) {
    const { shown } = this.traces;
    const at = shown.indexOf(this.trace.index);
    const next = shown[at < 0 ? 0 : at + by];
    if (next !== undefined) this.openTrace(next);
  }

  /** The part behind # says which trace is open, and at which span, so that the browser's way back works. */
  async route() {
    const place = new URLSearchParams(location.hash.slice(1));
    const id = place.get("trace");
    const trace = id === null ? undefined : this.report.byId.get(id);
    if (trace === undefined) {
      if (!this.trace.node.hidden) {
        this.trace.node.hidden = true;
        this.overview.hidden = false;
        this.traces.list.refresh();
        this.operations.list.refresh();
        scrollTo(0, this.scrolled ?? 0);
        this.traces.list.node.focus({ preventScroll: true });
      }
      return;
    }
    if (!this.overview.hidden) this.scrolled = scrollY;
    this.overview.hidden = true;
    this.trace.node.hidden = false;
    scrollTo(0, 0);
    await this.trace.show(trace, place.get("span"));
    const row = this.traces.shown.indexOf(trace);
    if (row >= 0) this.traces.list.move(row);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || this.help.open) return;
    const field = event.target.closest("input, select, textarea");
    if (field !== null) {
      if (event.key === "Escape") field.blur();
      return;
    }
    const isButton = event.target.closest("button") !== null;
    if (!this.trace.node.hidden && !(isButton && event.key === "Enter") && this.trace.key(event)) {
      event.preventDefault();
      return;
    }
    const keys = {
      "?": () => this.help.showModal(),
      "/": () => {
        this.go("operations");
        this.operations.filter.focus();
      },
      t: () => {
        this.go("traces");
        this.traces.filter.focus();
      },
      f: () => this.go("findings"),
      m: () => this.go("map"),
      o: () => {
        this.go("operations");
        this.operations.list.node.focus();
      },
      a: () => this.go("account"),
      d: () => this.theme(),
    };
    const work = keys[event.key];
    if (work === undefined) return;
    event.preventDefault();
    work();
  }
}

async function begin() {
  const place = document.getElementById("app");
  const say = (text) => place.replaceChildren(el("p", { class: "opening", role: "alert", text }));
  if (typeof DecompressionStream === "undefined") {
    say("This browser cannot unpack the data of this report. It needs DecompressionStream: Firefox 113, Chrome or Edge 80, Safari 16.4, or later.");
    return;
  }
  let main;
  try {
    main = await unpack("main");
  } catch (error) {
    say(`The data of this report cannot be unpacked (${error.message}): the file is damaged or not whole. Make it again.`);
    return;
  }
  new App(new Report(main));
}

begin();
