// Elements, numbers and times as people read them. Whatever comes from a file becomes text, never markup.

/** An element. `attributes`: class, text, title, and whatever else is an attribute; names that begin with "on" are listeners. */
function el(name, attributes = {}, ...children) {
  const node = document.createElement(name);
  dress(node, attributes, children);
  return node;
}

/** The same for drawings. */
function svg(name, attributes = {}, ...children) {
  const node = document.createElementNS("http://www.w3.org/2000/svg", name);
  dress(node, attributes, children);
  return node;
}

function dress(node, attributes, children) {
  for (const [key, value] of Object.entries(attributes)) {
    if (value === null || value === undefined || value === false) continue;
    if (key.startsWith("on")) node.addEventListener(key.slice(2), value);
    else if (key === "text") node.textContent = value;
    else node.setAttribute(key, value === true ? "" : value);
  }
  node.append(...children.filter((child) => child !== null && child !== undefined && child !== false));
}

const THIN = "\u202f";

/** 1 234 567 */
function count(number) {
  return String(Math.round(number)).replace(/\B(?=(\d{3})+$)/g, THIN);
}

/** "1 trace", "2 traces". */
function plural(number, what) {
  return `${count(number)} ${what}${number === 1 ? "" : "s"}`;
}

function three(value) {
  return value.toFixed(value < 9.995 ? 2 : value < 99.95 ? 1 : 0);
}

/** Nanoseconds with three digits. */
function time(nanos) {
  if (nanos < 1e3) return `${Math.round(nanos)}${THIN}ns`;
  if (nanos < 999.5e3) return `${three(nanos / 1e3)}${THIN}µs`;
  if (nanos < 999.5e6) return `${three(nanos / 1e6)}${THIN}ms`;
  if (nanos < 100e9) return `${three(nanos / 1e9)}${THIN}s`;
  const seconds = Math.round(nanos / 1e9);
  if (seconds < 7200) return `${Math.floor(seconds / 60)}${THIN}m${THIN}${seconds % 60}${THIN}s`;
  return `${Math.floor(seconds / 3600)}${THIN}h${THIN}${Math.floor(seconds / 60) % 60}${THIN}m`;
}

/** How often in a second, as `tracer show` has it; what was there once has no rate. */
function rate(number, nanos) {
  if (!nanos || number < 2) return "–";
  const each = number / (nanos / 1e9);
  if (each >= 0.095) return `${each >= 99.95 ? count(each) : each.toFixed(each < 9.995 ? 2 : 1)}/s`;
  const minutely = each * 60;
  return minutely >= 0.095 ? `${minutely.toFixed(1)}/min` : `${(minutely * 60).toFixed(1)}/h`;
}

/** A share; never 0 % of something, nor 100 % of less than all. */
function percent(part, whole) {
  if (!part || !whole) return `0${THIN}%`;
  const share = (part / whole) * 100;
  if (share < 0.1) return `<${THIN}0.1${THIN}%`;
  if (share < 10) return `${share.toFixed(1)}${THIN}%`;
  return `${part < whole ? Math.min(99, Math.round(share)) : Math.round(share)}${THIN}%`;
}

/** Nanoseconds since 1970 (a BigInt): the instant in UTC. */
function instant(nanos, withDate = true) {
  const micros = nanos / 1000n;
  const milliseconds = Number(micros / 1000n);
  const date = new Date(milliseconds);
  if (Number.isNaN(date.getTime())) return `${nanos} ns`;
  const rest = String(((micros % 1000n) + 1000n) % 1000n).padStart(3, "0");
  const [day, clock] = date.toISOString().split("T");
  const exact = clock.replace("Z", rest);
  return withDate ? `${day} ${exact}` : exact;
}

const KINDS = ["served", "call", "consumed", "produced", "internal"];

/** Of a colour of the style sheet. */
function colour(name) {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Every service has a colour of eight; the name stands beside it wherever it is used. */
const serviceColours = new Map();
function serviceColour(name) {
  if (!serviceColours.has(name)) serviceColours.set(name, serviceColours.size % 8);
  return `var(--service${serviceColours.get(name)})`;
}

function dot(service) {
  const node = el("span", { class: "dot", "aria-hidden": "true" });
  node.style.background = serviceColour(service);
  return node;
}

/** Calls once, after a pause in being asked. */
function debounced(work, milliseconds = 120) {
  let timer = 0;
  return () => {
    clearTimeout(timer);
    timer = setTimeout(work, milliseconds);
  };
}
