// A list of any length, of which only the rows in view exist. Rows are a grid: one line each, of one height.

const ROW = 28;
/** So many rows are printed. */
const PRINTED = 60;

class List {
  /**
   * `render(row, index)` fills an empty element; `open(index)` is what Enter and a click do; `moved(index)` is told when the
   * cursor has moved; `label` is what it is called.
   */
  constructor({ render, open = null, moved = null, label, columns, height = 420, row = ROW }) {
    Object.assign(this, { render, openRow: open, moved, rowHeight: row });
    this.length = 0;
    this.cursor = -1;
    this.made = new Map();
    this.inner = el("div", { class: "list-inner" });
    this.node = el("div", { class: "list", tabindex: "0", role: "grid", "aria-label": label }, this.inner);
    this.node.style.setProperty("--columns", columns);
    this.node.style.maxHeight = typeof height === "number" ? `${height}px` : height;
    this.node.addEventListener("scroll", () => this.draw(), { passive: true });
    this.node.addEventListener("keydown", (event) => this.key(event));
    this.inner.addEventListener("click", (event) => {
      const row = event.target.closest(".row");
      if (row === null) return;
      this.move(Number(row.dataset.index), false);
      if (!event.defaultPrevented && this.openRow) this.openRow(this.cursor);
    });
    new ResizeObserver(() => this.draw()).observe(this.node);
    addEventListener("beforeprint", () => this.draw(true));
    addEventListener("afterprint", () => this.draw());
  }

  /** Everything anew. */
  show(length, cursor = -1) {
    this.length = length;
    this.cursor = Math.min(cursor, length - 1);
    this.node.setAttribute("aria-rowcount", length);
    this.inner.style.height = `${length * this.rowHeight}px`;
    this.refresh();
  }

  refresh() {
    for (const row of this.made.values()) row.remove();
    this.made.clear();
    this.draw();
  }

  draw(printing = false) {
    const height = this.node.clientHeight || 400;
    const margin = 6;
    let from = Math.max(0, Math.floor(this.node.scrollTop / this.rowHeight) - margin);
    let to = Math.min(this.length, Math.ceil((this.node.scrollTop + height) / this.rowHeight) + margin);
    if (printing) {
      [from, to] = [0, Math.min(this.length, PRINTED)];
      this.inner.style.height = `${to * this.rowHeight}px`;
    } else {
      this.inner.style.height = `${this.length * this.rowHeight}px`;
    }
    for (const [index, row] of this.made) {
      if (index < from || index >= to) {
        row.remove();
        this.made.delete(index);
      }
    }
    for (let index = from; index < to; index++) {
      if (this.made.has(index)) continue;
      const row = el("div", { class: "row", role: "row", "data-index": index, "aria-rowindex": index + 1 });
      row.style.top = `${index * this.rowHeight}px`;
      row.style.height = `${this.rowHeight}px`;
      if (index === this.cursor) this.mark(row, true);
      this.render(row, index);
      this.made.set(index, row);
      this.inner.append(row);
    }
  }

  mark(row, is) {
    if (row === undefined) return;
    row.classList.toggle("cursor", is);
    row.setAttribute("aria-selected", is);
  }

  /** Puts the cursor on a row, and that into view. */
  move(index, scroll = true) {
    if (this.length === 0) return;
    index = Math.max(0, Math.min(this.length - 1, index));
    this.mark(this.made.get(this.cursor), false);
    this.cursor = index;
    if (scroll) {
      const top = index * this.rowHeight;
      if (top < this.node.scrollTop) this.node.scrollTop = top;
      const bottom = top + this.rowHeight - this.node.clientHeight;
      if (bottom > this.node.scrollTop) this.node.scrollTop = bottom;
      this.draw();
    }
    this.mark(this.made.get(index), true);
    if (this.moved) this.moved(index);
  }

  key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const page = Math.max(1, Math.floor(this.node.clientHeight / this.rowHeight) - 1);
    const steps = { ArrowDown: 1, ArrowUp: -1, j: 1, k: -1, PageDown: page, PageUp: -page };
    if (event.key in steps) this.move(this.cursor < 0 ? 0 : this.cursor + steps[event.key]);
    else if (event.key === "Home") this.move(0);
    else if (event.key === "End") this.move(this.length - 1);
    else if ((event.key === "Enter" || event.key === " ") && this.openRow && this.cursor >= 0) this.openRow(this.cursor);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

function cell(content, kind = "") {
  const node = el("div", { class: `cell ${kind}`, role: "gridcell" });
  if (content instanceof Node) node.append(content);
  else node.textContent = content;
  return node;
}

/**
 * The head of a list: buttons that sort. `columns` are {title, kind, key, hint}; `sort` is {key, down} and is changed.
 */
function head(columns, sort, changed) {
  const node = el("div", { class: "list-head", role: "row" });
  const draw = () => {
    node.replaceChildren(
      ...columns.map(({ title, kind = "", key, hint }) => {
        const is = key !== undefined && sort.key === key;
        const direction = is ? (sort.down ? "descending" : "ascending") : "none";
        const box = el("div", { class: `cell ${kind}`, role: "columnheader", "aria-sort": key === undefined ? null : direction });
        if (key === undefined) {
          box.append(el("span", { text: title, title: hint }));
          return box;
        }
        const arrow = is ? (sort.down ? " ▾" : " ▴") : "";
        box.append(
          el("button", {
            text: title + arrow,
            title: hint,
            "data-key": key,
            onclick: () => {
              if (sort.key === key) sort.down = !sort.down;
              else Object.assign(sort, { key, down: kind.includes("number") });
              draw();
              changed();
              node.querySelector(`[data-key="${key}"]`).focus();
            },
          }),
        );
        return box;
      }),
    );
  };
  draw();
  return node;
}

/** Compares texts and numbers. */
function compare(one, other) {
  return typeof one === "string" ? one.localeCompare(other) : one - other;
}
