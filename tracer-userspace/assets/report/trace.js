// The waterfall of one trace. Rows are drawn as far as they are in view; the window of time can be made narrower.

const WATERFALL_ROW = 25;
/** What is shorter is drawn as one with its neighbour: pixels. */
const FINE = 0.75;
/** Deeper spans are not indented any further. */
const DEEPEST = 18;

function sum(column, spans) {
  return spans.reduce((all, span) => all + column[span], 0);
}

/** [from, to, from, to…] as pairs. */
function pairsOf(times) {
  const pairs = [];
  for (let at = 0; at < times.length; at += 2) pairs.push([times[at], times[at + 1]]);
  return pairs;
}

class TraceView {
  constructor(report, actions) {
    Object.assign(this, { report, actions });
    // Spans whose children are not shown, and groups whose spans are.
    this.folded = new Set();
    this.opened = new Set();
    this.title = el("h2", { tabindex: "-1" });
    this.about = el("p", { class: "note about" });
    this.says = el("p", { class: "says" });
    this.notes = el("p", { class: "note" });
    this.overview = el("canvas", { class: "overview", height: "56", title: "Drag to look at a part of the time; double-click for all of it" });
    this.window = el("div", { class: "overview-window" });
    this.overviewBox = el("div", { class: "overview-box" }, this.overview, this.window);
    this.ruler = el("div", { class: "ruler" });
    this.list = new List({
      label: "Waterfall",
      columns: "minmax(260px,42%) minmax(200px,1fr) 78px 78px",
      height: "calc(100vh - 300px)",
      row: WATERFALL_ROW,
      render: (row, index) => this.row(row, this.rows[index]),
      moved: (index) => this.select(this.rows[index], false),
      open: () => this.panel.focus({ preventScroll: true }),
    });
    const heading = el(
      "div",
      { class: "list-head", role: "row" },
      cell("Service and operation"),
      el("div", { class: "cell time", role: "columnheader" }, this.ruler),
      cell("Duration", "number"),
      cell("Self", "number"),
    );
    this.list.node.prepend(heading);
    this.list.node.classList.add("waterfall");
    this.panel = el("aside", { class: "panel", tabindex: "-1", "aria-label": "Span" });
    const button = (text, title, work) => el("button", { text, title, onclick: work });
    this.node = el(
      "div",
      { class: "trace", hidden: true },
      el(
        "div",
        { class: "bar" },
        button("← all traces", "Esc", () => actions.close()),
        button("previous", "p", () => actions.step(-1)),
        button("next", "n", () => actions.step(1)),
        el("span", { class: "gap" }),
        button("+", "narrower window of time (+)", () => this.zoom(0.5)),
        button("−", "wider (-)", () => this.zoom(2)),
        button("all", "the whole trace (0)", () => this.look(0, this.trace.end)),
        button("fold all", "only the beginnings", () => this.foldAll(true)),
        button("unfold all", "every span, also of repeated calls", () => this.foldAll(false)),
        button("next on the critical path", "c", () => this.jump((span) => this.trace.critical.has(span))),
        button("next failure", "e", () => this.jump((span) => this.trace.is(span, ERROR))),
      ),
      this.title,
      this.about,
      this.says,
      this.notes,
      this.overviewBox,
      el("div", { class: "split" }, this.list.node, this.panel),
      el("p", { class: "note legend" }, el("span", { class: "sample critical" }), " critical path: what the end-to-end time consists of   ", el("span", { class: "sample failed" }), " failed   ", el("span", { class: "sample unsure" }), " its link to its parent is less sure than a rule that decides alone"),
    );
    this.listen();
  }

  /** Shows a trace, and in it a span, by its id. */
  async show(index, id = null) {
    this.index = index;
    const trace = await this.report.open(index);
    if (this.index !== index) return;
    this.trace = trace;
    trace.longest = trace.roots.reduce((most, root) => (trace.duration[root] > trace.duration[most] ? root : most), trace.roots[0]);
    this.folded.clear();
    this.opened.clear();
    this.selected = trace.groupRow(trace.longest) ?? trace.longest;
    this.node.hidden = false;
    this.heading();
    this.rows = this.visible();
    this.from = 0;
    this.to = Math.max(1, trace.end);
    this.list.node.scrollTop = 0;
    this.list.show(this.rows.length);
    this.drawTime();
    const wanted = id === null ? -1 : trace.placeOf(id);
    if (wanted >= 0) this.select(wanted);
    else this.list.move(this.rows.indexOf(this.selected));
    this.title.focus({ preventScroll: true });
  }

  /** The rows as they are folded now. */
  visible() {
    return this.trace.visible((row) => this.isOpen(row));
  }

  isOpen(row) {
    return row < this.trace.size ? !this.folded.has(row) : this.opened.has(row);
  }

  heading() {
    const { report, index, trace } = this;
    const { errors, spans, kept, duration, incomplete } = report.traces;
    this.title.replaceChildren(dot(report.service(index)), el("span", { text: `${report.service(index)}: ${report.title(index)}` }));
    this.about.textContent =
      `${incomplete[index] ? "≥ " : ""}${time(duration[index])} · ${plural(spans[index], "span")} · ${errors[index] > 0 ? `${count(errors[index])} failed` : "none failed"} · ` +
      `${instant(report.begin(index))} UTC · trace ${report.traces.id[index]}`;
    this.says.textContent = trace.says ? `${trace.says}.` : "";
    const notes = [];
    if (kept[index] < spans[index]) {
      notes.push(`This report has ${count(kept[index])} of its ${count(spans[index])} spans: those nearest to the beginnings. Self times and the critical path are computed over all.`);
    }
    if (trace.roots.length > 1) {
      notes.push(`${count(trace.roots.length)} spans of this trace have no parent in the file; each is drawn as a beginning with a critical path of its own.`);
    }
    this.notes.textContent = notes.join(" ");
  }

  // Rows.

  row(row, at) {
    const { trace } = this;
    const spans = trace.spansOf(at);
    const span = spans[0];
    const isGroup = at >= trace.size;
    const service = trace.serviceName(span);
    const failed = trace.is(span, ERROR);
    const folded = !this.isOpen(at);
    const name = el("div", { class: "cell name", role: "gridcell" });
    name.style.paddingLeft = `${Math.min(trace.depth[at], DEEPEST) * 13 + 4}px`;
    if (!isGroup && trace.children[at] === null) name.append(el("span", { class: "twig" }));
    else {
      const hint = folded ? "unfold (→)" : "fold (←)";
      const twig = el("button", { class: "twig", tabindex: "-1", title: hint, "aria-expanded": !folded, text: folded ? "▸" : "▾" });
      twig.addEventListener("click", (event) => {
        event.preventDefault();
        this.fold(at, !folded);
      });
      name.append(twig);
    }
    const isCall = trace.kind[span] === 1 || trace.kind[span] === 3;
    const below = isGroup || folded ? trace.allBelow(span).length : 0;
    const quiet = isGroup ? (below > 0 ? ` +${count(below)} below each` : "") : folded ? ` (${count(below)} folded)` : "";
    const says = el(
      "span",
      { class: "cut", title: `${service}: ${trace.asked(at)}` },
      isGroup ? el("strong", { class: "times", title: "the same, over and over: click to see each", text: `×${count(spans.length)} ` }) : null,
      failed ? el("span", { class: "failed", text: "! " }) : null,
      el("span", { class: "service", text: `${isCall ? "→ " : ""}${service} ` }),
      trace.asked(at),
      quiet === "" ? null : el("span", { class: "quiet", text: quiet }),
    );
    name.append(dot(service), says);
    const sure = trace.sure[span] / 1000;
    if (sure < 0.99 && trace.parent[span] >= 0) name.append(el("span", { class: "sure", title: "how sure the link to its parent is", text: `${Math.floor(sure * 100)}${THIN}%` }));
    row.classList.toggle("failed-row", failed);
    row.setAttribute("aria-level", trace.depth[at] + 1);
    row.append(
      name,
      this.track(spans, service),
      cell(`${trace.is(span, INCOMPLETE) ? "≥ " : ""}${time(sum(trace.duration, spans))}`, "number"),
      cell(time(sum(trace.own, spans)), "number quiet"),
    );
  }

  /** The bars of spans that are the same but for their times. */
  track(spans, service) {
    const { trace, from, to } = this;
    const track = el("div", { class: "cell time", role: "gridcell" });
    const scale = 100 / (to - from);
    const place = (node, start, end) => {
      const left = Math.max(-1, (start - from) * scale);
      const right = Math.min(101, (end - from) * scale);
      if (right < 0 || left > 100 || right < left) return null;
      node.style.left = `${left}%`;
      node.style.width = `${right - left}%`;
      return node;
    };
    const span = spans[0];
    const sure = trace.sure[span];
    const classes = ["block", trace.is(span, ERROR) && "failed", trace.is(span, INCOMPLETE) && "open-ended", sure < 990 && trace.parent[span] >= 0 && "unsure"];
    const fine = ((to - from) * FINE) / Math.max(100, this.ruler.clientWidth);
    // They come by start. What is too fine to be seen apart is drawn as one.
    const draw = (times, make) => {
      for (let at = 0; at < times.length; ) {
        const begin = times[at];
        let end = times[at + 1];
        at += 2;
        while (at < times.length && times[at] - end < fine) {
          end = Math.max(end, times[at + 1]);
          at += 2;
        }
        if (end < from || begin > to) continue;
        const piece = place(make(), begin, end);
        if (piece !== null) track.append(piece);
      }
    };
    draw(
      spans.flatMap((one) => [trace.start[one], trace.start[one] + trace.duration[one]]),
      () => {
        const bar = el("div", { class: classes.filter(Boolean).join(" ") });
        bar.style.background = serviceColour(service);
        return bar;
      },
    );
    const pieces = spans.flatMap((one) => pairsOf(trace.critical.get(one) ?? [])).sort(([one], [other]) => one - other);
    draw(pieces.flat(), () => el("div", { class: "critical" }));
    return track;
  }

  // Folding and choosing.

  fold(row, is) {
    this.setOpen(row, !is);
    this.again(row);
  }

  setOpen(row, is) {
    const { size, children } = this.trace;
    if (row >= size) {
      if (is) this.opened.add(row);
      else this.opened.delete(row);
    } else if (is) this.folded.delete(row);
    else if (children[row] !== null) this.folded.add(row);
  }

  foldAll(is) {
    const { size, groups } = this.trace;
    for (let row = 0; row < size + groups.length; row++) this.setOpen(row, !is);
    this.again(this.selected);
  }

  again(row) {
    this.rows = this.visible();
    this.list.show(this.rows.length);
    let at = this.rows.indexOf(row);
    for (let up = this.trace.above(row); at < 0 && up !== null; up = this.trace.above(up)) at = this.rows.indexOf(up);
    this.list.move(Math.max(0, at));
  }

  select(row, scroll = true) {
    this.selected = row;
    const { trace } = this;
    if (scroll) {
      let unfolded = false;
      for (let up = trace.above(row); up !== null; up = trace.above(up)) {
        unfolded ||= !this.isOpen(up);
        this.setOpen(up, true);
      }
      if (unfolded) {
        this.again(row);
        return;
      }
      this.list.move(this.rows.indexOf(row));
      return;
    }
    const select = (other) => this.select(other);
    const detail =
      row >= trace.size
        ? groupDetail(this.report, trace, this.index, row, select)
        : spanDetail(this.report, trace, this.index, row, select, (other, id) => this.actions.openTrace(other, id));
    this.panel.replaceChildren(detail);
    this.panel.scrollTop = 0;
  }

  /** The next row, round and round, that has a span which is wanted. Groups stay as they are. */
  jump(wanted) {
    const { trace } = this;
    const all = trace.visible((row) => row < trace.size || this.opened.has(row));
    const here = all.indexOf(this.selected);
    // Of a group that is open each span is a row of its own.
    const has = (row) => !this.opened.has(row) && trace.spansOf(row).some(wanted);
    for (let step = 1; step <= all.length; step++) {
      const row = all[(here + step) % all.length];
      if (has(row)) {
        this.select(row);
        return;
      }
    }
  }

  // Time.

  look(from, to) {
    const whole = Math.max(1, this.trace.end);
    const length = Math.max(Math.min(to - from, whole), Math.min(whole, 1000));
    this.from = Math.max(0, Math.min(from, whole - length));
    this.to = this.from + length;
    this.drawTime();
    this.list.refresh();
  }

  /** Around the chosen span if it is in view, or the middle. */
  zoom(factor, around = null) {
    const { trace, selected } = this;
    const [first] = trace.spansOf(selected);
    const middle = trace.start[first] + trace.duration[first] / 2;
    const inView = middle >= this.from && middle <= this.to;
    const centre = around ?? (inView ? middle : (this.from + this.to) / 2);
    const share = (centre - this.from) / (this.to - this.from);
    const length = (this.to - this.from) * factor;
    this.look(centre - length * share, centre + length * (1 - share));
  }

  pan(share) {
    const by = (this.to - this.from) * share;
    this.look(this.from + by, this.to + by);
  }

  drawTime() {
    const { from, to, trace } = this;
    const whole = Math.max(1, trace.end);
    this.window.hidden = from <= 0 && to >= whole;
    this.window.style.left = `${(from / whole) * 100}%`;
    this.window.style.width = `${((to - from) / whole) * 100}%`;
    const room = Math.max(2, Math.floor((this.ruler.clientWidth || 500) / 90));
    const raw = (to - from) / room;
    const power = 10 ** Math.floor(Math.log10(raw));
    const step = [1, 2, 5, 10].map((factor) => factor * power).find((size) => size >= raw);
    const ticks = [];
    for (let at = Math.ceil(from / step) * step; at <= to && ticks.length < 50; at += step) {
      const left = ((at - from) / (to - from)) * 100;
      if (left > 88) break;
      const tick = el("span", { text: at === 0 ? "0" : shortTime(+at.toPrecision(6)) });
      tick.style.left = `${left}%`;
      ticks.push(tick);
    }
    this.ruler.replaceChildren(...ticks);
    this.drawOverview();
  }

  /** All spans of the trace, each a line. */
  drawOverview() {
    const { overview, trace } = this;
    const width = overview.clientWidth || 800;
    const ratio = devicePixelRatio || 1;
    overview.width = width * ratio;
    overview.height = 56 * ratio;
    const context = overview.getContext("2d");
    context.scale(ratio, ratio);
    const whole = Math.max(1, trace.end);
    const rows = this.rows;
    const height = Math.max(1, Math.min(4, 52 / rows.length));
    const step = Math.max(1, Math.floor(rows.length / 5000));
    for (let at = 0; at < rows.length; at += step) {
      const spans = trace.spansOf(rows[at]);
      const y = 2 + (at / rows.length) * 52;
      const name = serviceColour(trace.serviceName(spans[0])).slice(4, -1);
      context.fillStyle = colour(trace.is(spans[0], ERROR) ? "--bad" : name);
      for (const span of spans) {
        context.fillRect((trace.start[span] / whole) * width, y, Math.max(1, (trace.duration[span] / whole) * width), height);
      }
    }
  }

  // What the mouse and the keyboard do.

  listen() {
    const dragged = (node, done) => {
      node.addEventListener("pointerdown", (down) => {
        if (down.button !== 0) return;
        const box = node.getBoundingClientRect();
        const share = (event) => Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
        const begin = share(down);
        const mark = el("div", { class: "dragging" });
        const move = (event) => {
          const [low, high] = [begin, share(event)].sort((one, other) => one - other);
          mark.style.left = `${low * 100}%`;
          mark.style.width = `${(high - low) * 100}%`;
        };
        const up = (event) => {
          removeEventListener("pointermove", move);
          removeEventListener("pointerup", up);
          mark.remove();
          const [low, high] = [begin, share(event)].sort((one, other) => one - other);
          if ((high - low) * box.width > 4) done(low, high);
        };
        node.append(mark);
        addEventListener("pointermove", move);
        addEventListener("pointerup", up);
      });
    };
    dragged(this.overviewBox, (low, high) => this.look(low * this.trace.end, high * this.trace.end));
    dragged(this.ruler, (low, high) => {
      const length = this.to - this.from;
      this.look(this.from + low * length, this.from + high * length);
    });
    for (const node of [this.overviewBox, this.ruler]) node.addEventListener("dblclick", () => this.look(0, this.trace.end));
    this.list.node.addEventListener(
      "wheel",
      (event) => {
        if (!event.ctrlKey) return;
        event.preventDefault();
        const box = this.ruler.getBoundingClientRect();
        const share = Math.max(0, Math.min(1, (event.clientX - box.left) / box.width));
        this.zoom(event.deltaY > 0 ? 1.25 : 0.8, this.from + share * (this.to - this.from));
      },
      { passive: false },
    );
    new ResizeObserver(() => {
      if (this.trace && !this.node.hidden) this.drawTime();
    }).observe(this.ruler);
  }

  /** Whether the key meant something here. */
  key(event) {
    const keys = {
      "+": () => this.zoom(0.5),
      "=": () => this.zoom(0.5),
      "-": () => this.zoom(2),
      0: () => this.look(0, this.trace.end),
      ",": () => this.pan(-0.25),
      ".": () => this.pan(0.25),
      n: () => this.actions.step(1),
      p: () => this.actions.step(-1),
      c: () => this.jump((span) => this.trace.critical.has(span)),
      e: () => this.jump((span) => this.trace.is(span, ERROR)),
      Escape: () => this.actions.close(),
      ArrowLeft: () => {
        const { selected, trace } = this;
        const above = trace.above(selected);
        if (trace.below(selected) !== null && this.isOpen(selected)) this.fold(selected, true);
        else if (above !== null) this.select(above);
      },
      ArrowRight: () => {
        const { selected, trace } = this;
        const below = trace.below(selected);
        if (below === null) return;
        if (this.isOpen(selected)) this.select(below[0]);
        else this.fold(selected, false);
      },
      ArrowDown: () => this.list.move(this.list.cursor + 1),
      ArrowUp: () => this.list.move(this.list.cursor - 1),
      Enter: () => this.panel.focus({ preventScroll: true }),
    };
    const work = keys[event.key];
    if (work === undefined) return false;
    work();
    return true;
  }
}
