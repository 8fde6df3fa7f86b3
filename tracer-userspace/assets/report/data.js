// What the page carries: columns in base64, deflated. `main` is unpacked at once, a block when one of its traces is opened.

async function unpack(id) {
  const packed = atob(document.getElementById(id).textContent);
  const bytes = new Uint8Array(packed.length);
  for (let at = 0; at < packed.length; at++) bytes[at] = packed.charCodeAt(at);
  const stream = new Blob([bytes]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).json();
}

/** Blocks that were unpacked last; more would only take memory. */
const KEPT_BLOCKS = 4;
const blocks = new Map();

function block(number) {
  const found = blocks.get(number) ?? unpack(`block${number}`);
  blocks.delete(number);
  blocks.set(number, found);
  if (blocks.size > KEPT_BLOCKS) blocks.delete(blocks.keys().next().value);
  return found;
}

/** All of it that is known from the beginning. */
class Report {
  constructor(main) {
    Object.assign(this, main);
    this.first = BigInt(main.totals.first);
    for (const operation of this.operations) {
      operation.serviceName = this.names[operation.service];
      operation.title = this.names[operation.name];
      operation.search = `${operation.serviceName} ${operation.title}`.toLowerCase();
    }
    const { id, service, name } = this.traces;
    this.count = id.length;
    this.search = id.map((text, at) => `${this.names[service[at]]} ${this.names[name[at]]} ${text}`.toLowerCase());
    this.byId = new Map(id.map((text, at) => [text, at]));
  }

  /** The operation and service that a trace begins with. */
  title(trace) {
    return this.names[this.traces.name[trace]];
  }

  service(trace) {
    return this.names[this.traces.service[trace]];
  }

  begin(trace) {
    return this.first + BigInt(Math.round(this.traces.start[trace]));
  }

  /** The trace, by its place in the list, that has a span which others name as a candidate for their parent; nothing if none here has it. */
  async traceOfCandidate(id) {
    this.candidates ??= unpack("candidates").then(({ id: ids, trace }) => new Map(ids.map((text, at) => [text, trace[at]])));
    return (await this.candidates).get(id);
  }

  /** All spans of a trace. */
  async open(trace) {
    const { texts, shapes, traces } = await block(this.traces.block[trace]);
    return new Trace(traces[this.traces.at[trace]], texts, shapes);
  }
}

const ERROR = 1;
const INCOMPLETE = 2;
const TORN = 4;

/**
 * The spans of one trace, by columns; times in nanoseconds from the first span's start. A row is a span, by its place, or a group of spans
 * that are the same: `size` and up.
 */
class Trace {
  constructor(columns, texts, shapes) {
    Object.assign(this, columns);
    this.texts = texts;
    this.shapes = shapes;
    this.size = this.start.length;
    this.children = Array.from({ length: this.size }, () => null);
    this.roots = [];
    this.end = 0;
    this.groupNames = this.groups.map(([name]) => String(texts[name]));
    this.groups = this.groups.map(([, spans]) => spans);
    this.depth = new Int32Array(this.size + this.groups.length);
    this.groupOf = new Int32Array(this.size).fill(-1);
    this.groups.forEach((spans, at) => spans.forEach((span) => (this.groupOf[span] = at)));
    for (let at = 0; at < this.size; at++) {
      const parent = this.parent[at];
      if (parent < 0) this.roots.push(at);
      else (this.children[parent] ??= []).push(at);
      this.end = Math.max(this.end, this.start[at] + this.duration[at]);
    }
    // The critical path by span: from, to, from, to…
    this.critical = new Map();
    for (let at = 0; at < this.path.length; at += 3) {
      const [span, from, length] = this.path.slice(at, at + 3);
      if (!this.critical.has(span)) this.critical.set(span, []);
      this.critical.get(span).push(from, from + length);
    }
    this.absentParent = new Map(this.absent.map(([span, text]) => [span, texts[text]]));
  }

  serviceName(span) {
    return String(this.texts[this.service[span]]);
  }

  title(span) {
    return String(this.texts[this.name[span]]);
  }

  /** Of a row: the statement, which says more than the name of the operation; else that, of a group without identifiers. */
  asked(row) {
    const [span] = this.spansOf(row);
    const statement = this.tag(span, "db.statement") ?? this.tag(span, "db.query.text");
    if (typeof statement === "string") return statement;
    return row < this.size ? this.title(span) : this.groupNames[row - this.size];
  }

  spanId(span) {
    return String(this.texts[this.id[span]]);
  }

  /** The place of a span, by its id; -1 if it is not here. */
  placeOf(id) {
    return this.id.findIndex((text) => String(this.texts[text]) === id);
  }

  is(span, flag) {
    return (this.flags[span] & flag) !== 0;
  }

  /** Names and values, as the file has them. */
  tagsOf(span) {
    const shape = this.shapes[this.shape[span]];
    return this.tags[span].map((cell, at) => {
      const code = shape[at];
      return [String(this.texts[code >> 1]), code & 1 ? cell : this.texts[cell]];
    });
  }

  tag(span, wanted) {
    const found = this.tagsOf(span).find(([name]) => name === wanted);
    return found === undefined ? undefined : found[1];
  }

  /** The spans of a row. */
  spansOf(row) {
    return row < this.size ? [row] : this.groups[row - this.size];
  }

  /** The group of a span as a row, if it is in one. */
  groupRow(span) {
    return this.groupOf[span] < 0 ? null : this.size + this.groupOf[span];
  }

  /** The row that has to be open for this one to be seen; null at a beginning. */
  above(row) {
    if (row < this.size && this.groupOf[row] >= 0) return this.groupRow(row);
    const parent = this.parent[this.spansOf(row)[0]];
    return parent < 0 ? null : parent;
  }

  /** What is below a row when it is open. */
  below(row) {
    if (row >= this.size) return this.groups[row - this.size];
    const children = this.children[row];
    if (children === null) return null;
    return this.grouped(children);
  }

  /** Siblings, those of a group as one. */
  grouped(siblings) {
    const is = (span) => this.groupOf[span] < 0 || this.groups[this.groupOf[span]][0] === span;
    return siblings.filter(is).map((span) => this.groupRow(span) ?? span);
  }

  /** The rows in the order of the tree, without what is below the folded ones and in groups that are not open. */
  visible(isOpen) {
    const rows = [];
    const open = this.grouped(this.roots).reverse();
    for (const row of open) this.depth[row] = 0;
    while (open.length > 0) {
      const row = open.pop();
      rows.push(row);
      const below = isOpen(row) ? this.below(row) : null;
      if (below === null) continue;
      for (let at = below.length - 1; at >= 0; at--) {
        this.depth[below[at]] = this.depth[row] + 1;
        open.push(below[at]);
      }
    }
    return rows;
  }

  /** The spans below this one, at any depth. */
  allBelow(span) {
    const found = [];
    for (let at = -1; at < found.length; at++) {
      for (const child of this.children[at < 0 ? span : found[at]] ?? []) found.push(child);
    }
    return found;
  }
}
