// The service map, laid out by dagre.

const OUTSIDE = "callers not recorded";
const FONT = "12px system-ui, sans-serif";

function textWidth(text, font = FONT) {
  textWidth.context ??= document.createElement("canvas").getContext("2d");
  textWidth.context.font = font;
  return textWidth.context.measureText(text).width;
}

function shortened(text, length = 34) {
  return text.length > length ? `${text.slice(0, length - 1)}…` : text;
}

function nodeName(report, { kind, name }) {
  return kind === 2 ? OUTSIDE : report.names[name] || "not named";
}

/** What stands below the name. */
function nodeSays(report, node) {
  if (node.kind !== 0) return node.kind === 1 ? "seen by its callers" : "";
  return node.count > 0 ? `${rate(node.count, report.totals.observed)} · p95 ${time(node.p95)}` : "calls others";
}

/** What stands on an edge: how often, how long, how many failed. */
function edgeLines(report, edge) {
  const lines = [`${rate(edge.count, report.totals.observed)} · p95 ${time(edge.p95)}`];
  if (edge.errors > 0) lines.push(`${percent(edge.errors, edge.count)} failed`);
  return lines;
}

function layout(report) {
  const { nodes, edges } = report.map;
  const graph = new dagre.graphlib.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: 26, ranksep: 34, marginx: 12, marginy: 12, edgesep: 18 });
  graph.setDefaultEdgeLabel(() => ({}));
  nodes.forEach((node, at) => {
    const name = textWidth(shortened(nodeName(report, node)), "600 13px system-ui, sans-serif");
    graph.setNode(String(at), { width: Math.max(name, textWidth(nodeSays(report, node), "11px system-ui, sans-serif")) + 36, height: 48 });
  });
  for (const edge of edges) {
    const lines = edgeLines(report, edge);
    const width = Math.max(...lines.map((line) => textWidth(line))) + 12;
    graph.setEdge(String(edge.from), String(edge.to), { width, height: 36, labelpos: "c" });
  }
  dagre.layout(graph);
  return graph;
}

/** A smooth line through points that leaves and enters each of them level. */
function level(points) {
  const parts = [`M${points[0].x},${points[0].y}`];
  for (let at = 1; at < points.length; at++) {
    const [from, to] = [points[at - 1], points[at]];
    const middle = (from.x + to.x) / 2;
    parts.push(`C${middle},${from.y} ${middle},${to.y} ${to.x},${to.y}`);
  }
  return parts.join(" ");
}

/** The line of an edge, straight where its label stands. */
function line({ points, x, y, width }, isLoop) {
  if (isLoop || points.length < 3) return `M${points.map((point) => `${point.x},${point.y}`).join(" L")}`;
  const inner = points.slice(1, -1);
  const distance = (point) => Math.hypot(point.x - x, point.y - y);
  const label = inner.reduce((best, point, at) => (distance(point) < distance(inner[best]) ? at : best), 0);
  const half = (points[points.length - 1].x >= points[0].x ? 1 : -1) * (width / 2);
  inner.splice(label, 1, { x: x - half, y }, { x: x + half, y });
  return level([points[0], ...inner, points[points.length - 1]]);
}

function drawEdge(report, edge, place, most) {
  const { x, y } = place;
  const lines = edgeLines(report, edge);
  const group = svg("g", { class: edge.errors > 0 ? "edge failing" : "edge" });
  const weight = 1.2 + 2.8 * Math.sqrt(edge.count / most);
  const { nodes } = report.map;
  const names = `${nodeName(report, nodes[edge.from])} → ${nodeName(report, nodes[edge.to])}`;
  group.append(
    svg("title", { text: `${names}: ${plural(edge.count, "call")}, ${count(edge.errors)} failed, p50 ${time(edge.p50)}, p95 ${time(edge.p95)}, p99 ${time(edge.p99)}` }),
    svg("path", { d: line(place, edge.from === edge.to), "stroke-width": weight.toFixed(2), "marker-end": edge.errors > 0 ? "url(#arrow-failing)" : "url(#arrow)" }),
  );
  // The line runs between them.
  lines.forEach((text, at) => {
    const label = svg("text", { x, y: at === 0 ? y - 6 : y + 15, "text-anchor": "middle", text });
    if (at > 0) label.classList.add("failed");
    group.append(label);
  });
  return group;
}

function drawNode(report, node, { x, y, width, height }, actions) {
  const name = nodeName(report, node);
  const group = svg("g", { class: `node kind${node.kind}`, transform: `translate(${x - width / 2},${y - height / 2})` });
  const box = svg("rect", { width, height, rx: 7 });
  if (node.kind === 0) {
    const mark = svg("rect", { width: 5, height: height - 16, x: 8, y: 8, rx: 2, class: "mark" });
    mark.style.fill = serviceColour(name);
    group.append(svg("title", { text: `${name}: the operations of this service` }), box, mark);
    group.setAttribute("tabindex", "0");
    group.setAttribute("role", "button");
    group.setAttribute("aria-label", `operations of ${name}`);
    const choose = () => actions.service(name);
    group.addEventListener("click", choose);
    group.addEventListener("keydown", (event) => {
      if (event.key === "Enter" || event.key === " ") {
        event.preventDefault();
        choose();
      }
    });
  } else {
    group.append(svg("title", { text: name }), box);
  }
  group.append(svg("text", { x: 20, y: 20, class: "name", text: shortened(name) }));
  group.append(svg("text", { x: 20, y: 37, class: "says", text: nodeSays(report, node) }));
  return group;
}

function arrow(id) {
  return svg(
    "marker",
    { id, viewBox: "0 0 10 10", refX: 9, refY: 5, markerWidth: 9, markerHeight: 9, markerUnits: "userSpaceOnUse", orient: "auto-start-reverse" },
    svg("path", { d: "M0,0 L10,5 L0,10 z" }),
  );
}

function edgeTable(report) {
  const { nodes, edges } = report.map;
  const number = (text) => el("td", { class: "number", text });
  const rows = edges
    .slice()
    .sort((one, other) => other.total - one.total)
    .map((edge) =>
      el(
        "tr",
        { class: edge.errors > 0 ? "failing" : null },
        el("td", { text: nodeName(report, nodes[edge.from]) }),
        el("td", { text: nodeName(report, nodes[edge.to]) }),
        ...[count(edge.count), rate(edge.count, report.totals.observed), count(edge.errors)].map(number),
        ...[edge.p50, edge.p95, edge.p99, edge.max].map((nanos) => number(time(nanos))),
      ),
    );
  const heads = ["caller", "callee", "calls", "rate", "failed", "p50", "p95", "p99", "max"];
  return el(
    "details",
    { class: "edges" },
    el("summary", { text: `The same as a table (${plural(edges.length, "edge")})` }),
    el(
      "table",
      { class: "plain" },
      el("thead", {}, el("tr", {}, ...heads.map((text, at) => el("th", { class: at > 1 ? "number" : null, text })))),
      el("tbody", {}, ...rows),
    ),
  );
}

function serviceMap(report, actions) {
  const section = el("section", { id: "map" }, el("h2", { text: "Service map" }));
  const { nodes, edges, left_out: leftOut } = report.map;
  if (edges.length === 0) {
    section.append(el("p", { class: "note", text: "No service calls another one in these traces." }));
    return section;
  }
  const graph = layout(report);
  const { width, height } = graph.graph();
  const most = Math.max(...edges.map((edge) => edge.count));
  const drawing = svg("svg", { viewBox: `0 0 ${width} ${height}`, class: "map", role: "img", "aria-label": "Who calls whom; the table below has the same" });
  drawing.style.width = `${width}px`;
  drawing.append(svg("defs", {}, arrow("arrow"), arrow("arrow-failing")));
  for (const edge of edges) drawing.append(drawEdge(report, edge, graph.edge(String(edge.from), String(edge.to)), most));
  nodes.forEach((node, at) => drawing.append(drawNode(report, node, graph.node(String(at)), actions)));
  section.append(
    el("p", {
      class: "note",
      text: "On each arrow: calls a second, the 95th percentile as the caller saw it, and how many failed. Dashed: known only by what callers say of them.",
    }),
    el("div", { class: "map-box" }, drawing),
  );
  if (leftOut > 0) section.append(el("p", { class: "note", text: `${plural(leftOut, "service")} with fewer calls are not drawn.` }));
  section.append(edgeTable(report));
  return section;
}
