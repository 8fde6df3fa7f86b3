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

  /** All spans of a trace. */
  async open(trace) {
    const { texts, shapes, traces } = await block(this.traces.block[trace]);
    return new Trace(traces[this.traces.at[trace]], texts, shapes);
  }
}

const ERROR = 1;
const INCOMPLETE = 2;
const TORN = 4;

/** The spans of one trace, by columns; times in nanoseconds from the first span's start. */
class Trace {
  constructor(columns, texts, shapes) {
    Object.assign(this, columns);
    this.texts = texts;
    this.shapes = shapes;
    this.size = this.start.length;
    this.children = Array.from({ length: this.size }, () => null);
    this.roots = [];
    this.end = 0;
    this.depth = new Int32Array(this.size);
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

  spanId(span) {
    return String(this.texts[this.id[span]]);
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

  /** The spans in the order of the tree, without what is below the folded ones. */
  visible(folded) {
    const rows = [];
    const open = this.roots.slice().reverse();
    while (open.length > 0) {
      const span = open.pop();
      rows.push(span);
      const children = this.children[span];
      if (children === null || folded.has(span)) continue;
      for (let at = children.length - 1; at >= 0; at--) {
        this.depth[children[at]] = this.depth[span] + 1;
        open.push(children[at]);
      }
    }
    return rows;
  }
}
