// Encodes spans with Zipkin's own model and encoder, and compares what `tracer export` wrote: exports_zipkin.js TRACES ZIPKIN_JSON
// The encoder knows no addresses of IPv6; those are compared by hand.

const assert = require('assert');
const fs = require('fs');
const net = require('net');
const { jsonEncoder: { JSON_V2 }, model: { Endpoint, Span }, option: { None, Some }, TraceId } = require('zipkin');

const [traces, zipkin] = process.argv.slice(2).map((file) => JSON.parse(fs.readFileSync(file, 'utf8')));
assert.strictEqual(zipkin.length, traces.length, 'spans are missing');

const text = (value) => {
  if (value === null) return '';
  return typeof value === 'object' ? JSON.stringify(value) : String(value);
};
const isHex = (id, digits) => id.length <= digits && /^[0-9a-fA-F]+$/.test(id) && /[^0]/.test(id);
// An id that is no hexadecimal number became another one; which, is the tracer's to choose.
const id = (source, written, digits) => {
  if (source === null || source === undefined) return undefined;
  if (!isHex(source, digits)) {
    assert.match(written, digits === 32 ? /^([0-9a-f]{16}){1,2}$/ : /^[0-9a-f]{16}$/);
    return written;
  }
  const wide = source.length > 16 ? 32 : 16;
  return source.toLowerCase().padStart(wide, '0');
};

traces.forEach((source, at) => {
  const written = zipkin[at];
  const tags = { ...(source.tags || {}) };
  const parent = source.parentSpanId === source.spanId ? undefined : id(source.parentSpanId, written.parentId, 16);
  const span = new Span(new TraceId({
    traceId: id(source.traceId, written.traceId, 32),
    spanId: id(source.spanId, written.id, 16),
    parentId: parent === undefined ? None : new Some(parent),
  }));
  span.setName(source.operationName);
  const kind = ['server', 'client', 'producer', 'consumer'].find((name) => name === tags['span.kind']);
  if (kind) {
    span.setKind(kind.toUpperCase());
    delete tags['span.kind'];
  }
  // Microseconds; Date knows milliseconds.
  const fraction = (source.startTime.match(/\.(\d+)/) || ['', ''])[1].padEnd(6, '0').slice(0, 6);
  const seconds = Math.floor(Date.parse(source.startTime) / 1000);
  if (seconds >= 0) span.setTimestamp(seconds * 1e6 + Number(fraction));
  span.setDuration(Math.floor(Number((Math.max(Number(source.duration), 0) * 1e3).toFixed(3))));
  span.setLocalEndpoint(new Endpoint({ serviceName: source.serviceName }));
  const remote = { serviceName: tags['peer.service'] || tags['db.system'] || tags['messaging.system'], port: tags['net.peer.port'] };
  const address = tags['net.peer.ip'];
  if (net.isIPv4(address)) remote.ipv4 = address;
  span.setRemoteEndpoint(new Endpoint(remote));
  if (net.isIPv6(address)) {
    assert.strictEqual(written.remoteEndpoint.ipv6, address);
    delete written.remoteEndpoint.ipv6;
  }
  if (net.isIP(address)) delete tags['net.peer.ip'];
  if (tags['net.peer.port']) delete tags['net.peer.port'];
  if (tags.error === false || tags.error === 'false') delete tags.error;
  for (const [name, value] of Object.entries(tags)) {
    const known = typeof value === 'number' && Number(written.tags[name]) === value;
    // One number can be written in several ways.
    span.putTag(name, known ? written.tags[name] : text(value));
  }
  assert.deepStrictEqual(written, JSON.parse(JSON_V2.encode(span)));
});
console.log(`zipkin: ${zipkin.length} spans are what Zipkin's own encoder writes`);
