// Charts, drawn by uPlot: the latencies of an operation, and traces over time.

const AXIS_FONT = "11px system-ui, sans-serif";
/** Buckets of a distribution per doubling. */
const STEPS = 8;

function axis(extra) {
  const line = { stroke: colour("--line"), width: 1 };
  return { stroke: colour("--muted"), font: AXIS_FONT, grid: line, ticks: { ...line, size: 4 }, ...extra };
}

/** Marks on a logarithmic scale of nanoseconds: 1, 2 and 5 of each power of ten, as many as there is room for. */
function marks(from, to, room) {
  const decades = Math.log10(Math.max(to / Math.max(from, 1), 1.0001));
  const steps = decades * 3 < room ? [1, 2, 5] : [1];
  const found = [];
  for (let power = Math.floor(Math.log10(Math.max(from, 1))); power <= Math.ceil(Math.log10(Math.max(to, 1))); power++) {
    for (const step of steps) {
      const mark = step * 10 ** power;
      if (mark >= from * 0.999 && mark <= to * 1.001) found.push(mark);
    }
  }
  return found;
}

function shortTime(nanos) {
  for (const [size, unit] of [[1e9, "s"], [1e6, "ms"], [1e3, "µs"]]) if (nanos >= size) return `${+(nanos / size).toPrecision(3)}${THIN}${unit}`;
  return `${nanos}${THIN}ns`;
}

/** How the latencies of an operation are distributed. */
function distribution(operation, width) {
  const { buckets, p50, p95, p99 } = operation;
  const first = buckets[0] - 2;
  const last = buckets[buckets.length - 2] + 3;
  const [xs, ys] = [[], []];
  const counts = new Map();
  for (let at = 0; at < buckets.length; at += 2) counts.set(buckets[at], buckets[at + 1]);
  for (let bucket = first; bucket <= last; bucket++) {
    xs.push(bucket + 0.5);
    ys.push(counts.get(bucket) ?? 0);
  }
  const nanos = (bucket) => 2 ** (bucket / STEPS);
  const where = (value) => STEPS * Math.log2(Math.max(value, 1));
  const lines = (chart) => {
    const { ctx, bbox } = chart;
    ctx.save();
    ctx.font = `${11 * devicePixelRatio}px system-ui, sans-serif`;
    ctx.fillStyle = colour("--text");
    ctx.strokeStyle = colour("--strong");
    ctx.setLineDash([4 * devicePixelRatio, 3 * devicePixelRatio]);
    [[p50, "p50"], [p95, "p95"], [p99, "p99"]].forEach(([value, name], at) => {
      const x = chart.valToPos(where(value), "x", true);
      ctx.beginPath();
      ctx.moveTo(x, bbox.top);
      ctx.lineTo(x, bbox.top + bbox.height);
      ctx.stroke();
      ctx.fillText(name, x + 4 * devicePixelRatio, bbox.top + (11 + at * 13) * devicePixelRatio);
    });
    ctx.restore();
  };
  const box = el("div", { class: "chart" });
  new uPlot(
    {
      width,
      height: 190,
      legend: { show: true },
      cursor: { y: false, points: { show: false } },
      scales: { x: { time: false, range: [first, last + 1] }, y: { range: (chart, low, high) => [0, Math.max(1, high * 1.08)] } },
      axes: [
        axis({ splits: () => marks(nanos(first), nanos(last + 1), width / 60).map(where), values: (chart, all) => all.map((mark) => shortTime(Math.round(nanos(mark)))) }),
        axis({ size: 48, values: (chart, all) => all.map((mark) => (Number.isInteger(mark) ? count(mark) : "")) }),
      ],
      series: [
        { label: "duration", value: (chart, value) => (value === null ? "–" : `${time(nanos(value - 0.5))} to ${time(nanos(value + 0.5))}`) },
        {
          label: "spans",
          paths: uPlot.paths.bars({ size: [0.92], align: 0 }),
          fill: colour("--accent-soft"),
          stroke: colour("--accent"),
          width: 1,
          points: { show: false },
          value: (chart, value) => (value === null ? "–" : count(value)),
        },
      ],
      hooks: { draw: [lines] },
    },
    [xs, ys],
    box,
  );
  return box;
}

/** Traces by when they began and how long they took; a click opens one. */
function overTime(report, traces, width, open) {
  const { start, duration, errors } = report.traces;
  const order = traces.slice().sort((one, other) => start[one] - start[other]);
  const xs = order.map((trace) => start[trace] / 1e9);
  const ys = order.map((trace) => Math.max(duration[trace], 1));
  const fine = order.map((trace, at) => (errors[trace] > 0 ? null : ys[at]));
  const failing = order.map((trace, at) => (errors[trace] > 0 ? ys[at] : null));
  const series = (label, name) => ({
    label,
    paths: () => null,
    stroke: colour(name),
    points: { show: true, size: order.length > 2000 ? 3 : 5, fill: colour(name), width: 0 },
    value: (chart, value) => (value === null ? "–" : time(value)),
  });
  const box = el("div", { class: "chart pointing" });
  const chart = new uPlot(
    {
      width,
      height: 190,
      cursor: { drag: { x: true, y: false } },
      scales: {
        x: { time: false, range: (chart, low, high) => (high > low ? [low, high] : [low - 0.5, high + 0.5]) },
        y: { distr: 3, range: (chart, low, high) => [low / 1.3, high * 1.3] },
      },
      axes: [
        axis({ values: (chart, all) => all.map((seconds) => `${+seconds.toFixed(6)}${THIN}s`) }),
        axis({
          size: 58,
          splits: (chart) => marks(chart.scales.y.min, chart.scales.y.max, 6),
          filter: (chart, all) => all,
          values: (chart, all) => all.map(shortTime),
        }),
      ],
      series: [{ label: "since the first", value: (chart, value) => (value === null ? "–" : time(value * 1e9)) }, series("duration", "--accent"), series("failing", "--bad")],
    },
    [xs, fine, failing],
    box,
  );
  let pressed = 0;
  chart.over.addEventListener("mousedown", (event) => (pressed = event.clientX));
  chart.over.addEventListener("click", (event) => {
    const at = chart.cursor.idx;
    if (Math.abs(event.clientX - pressed) < 4 && at !== null && at !== undefined) open(order[at]);
  });
  return box;
}
