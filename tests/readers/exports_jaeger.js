// Has Jaeger's user interface's own code read what `tracer export` wrote as Jaeger's JSON, and compares it with the trace JSON it was made from.
//
//     exports_jaeger.js TRACES.json TRACES.jaeger.json
//
// jaeger-ui is in no package. Its `transformTraceData`, which makes of a loaded trace what is drawn, and its `TreeNode` are in that of Kiali's user
// interface, which took them over: they are cut out of its bundle. What they call is given here as it was: what compiled classes need, lodash's
// isEqual, and nothing of what Kiali does with each span besides.
//
// Prints a line; fails with a sentence.

"use strict";

const assert = require("node:assert");
const fs = require("node:fs");
const path = require("node:path");
const util = require("node:util");

function transformTraceData(warnings) {
  const scripts = path.join(path.dirname(require.resolve("@kiali/kiali-ui/package.json")), "build/static/js");
  const bundle = fs.readdirSync(scripts).find((name) => /^main\..*\.js$/.test(name));
  const text = fs.readFileSync(path.join(scripts, bundle), "utf8");
  // Names are those of this version's bundle.
  const [begin, end] = ["$h=function(){", "var af=function("].map((mark) => {
    assert.equal(text.split(mark).length, 2, `${bundle} has not one place with ${mark}`);
    return text.indexOf(mark);
  });
  const define = (target, properties) => {
    for (const property of properties ?? []) Object.defineProperty(target, property.key, { configurable: true, ...property });
  };
  const createClass = (made, own, ofClass) => {
    define(made.prototype, own);
    define(made, ofClass);
    return made;
  };
  const names = {
    s: { a: () => {} },
    l: { a: createClass },
    Zh: () => util.isDeepStrictEqual,
    af: (span) => span,
    console: { warn: (...said) => warnings.push(util.format(...said)) },
  };
  return new Function(...Object.keys(names), `"use strict"; var ${text.slice(begin, end)}; return tf;`)(...Object.values(names));
}

function main([source, written]) {
  const spans = JSON.parse(fs.readFileSync(source, "utf8"));
  const answer = JSON.parse(fs.readFileSync(written, "utf8"));
  const warnings = [];
  const transform = transformTraceData(warnings);
  let drawn = 0;
  for (const data of answer.data) {
    const said = new Map(data.spans.map((span) => [span.spanID, structuredClone(span)]));
    const trace = transform(data);
    assert.equal(trace.traceID, data.traceID);
    assert.equal(trace.spans.length, said.size, `${said.size} spans, of which ${trace.spans.length} are drawn`);
    const start = Math.min(...[...said.values()].map((span) => span.startTime));
    assert.equal(trace.startTime, start);
    assert.equal(trace.endTime, Math.max(...[...said.values()].map((span) => span.startTime + span.duration)));
    for (const span of trace.spans) {
      const own = said.get(span.spanID);
      const above = (span) => said.get(span.references[0]?.spanID);
      let depth = 0;
      for (let at = above(own); at; at = above(at)) depth += 1;
      assert.equal(span.depth, depth, `${span.spanID} is drawn ${span.depth} deep where ${depth} are above it`);
      assert.equal(span.relativeStartTime, own.startTime - start);
      assert.equal(span.process.serviceName, data.processes[own.processID].serviceName);
      const has = [...said.values()].some((other) => above(other) === own);
      assert.equal(span.hasChildren, has);
    }
    assert.equal(trace.services.reduce((sum, service) => sum + service.numberOfSpans, 0), said.size);
    drawn += trace.spans.length;
  }
  assert.deepEqual(warnings, [], "jaeger-ui warns");
  const distinct = new Set(spans.map((span) => JSON.stringify([span.traceId, span.spanId]))).size;
  assert.equal(drawn, distinct, `${drawn} spans are drawn of ${distinct}`);
  console.log(`jaeger-ui: ${drawn} spans in ${answer.data.length} traces`);
}

main(process.argv.slice(2));
