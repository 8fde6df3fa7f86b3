// A stock service that OpenTelemetry's own SDK watches too: `sdk_stock.js PORT`, beside `sdk_shop.py`.
//
// /stock/N asks PostgreSQL, Redis and MariaDB, some of it at the same time, and then the shop, with `fetch` and with `http`. N is in every
// target, in every statement as part of a column's name, and the length of every key.
//
// The spans stay in memory, so that writing them down takes no time from what is measured; SIGTERM has them written to SPANS, one JSON each.
'use strict';
const fs = require('node:fs');
const { registerInstrumentations } = require('@opentelemetry/instrumentation');
const { HttpInstrumentation } = require('@opentelemetry/instrumentation-http');
const { IORedisInstrumentation } = require('@opentelemetry/instrumentation-ioredis');
const { MySQL2Instrumentation } = require('@opentelemetry/instrumentation-mysql2');
const { PgInstrumentation } = require('@opentelemetry/instrumentation-pg');
const { UndiciInstrumentation } = require('@opentelemetry/instrumentation-undici');
const { InMemorySpanExporter, NodeTracerProvider, SimpleSpanProcessor } = require('@opentelemetry/sdk-trace-node');
const { ROOT_CONTEXT, SpanKind, context } = require('@opentelemetry/api');

const exporter = new InMemorySpanExporter();
new NodeTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }).register();
registerInstrumentations({
  instrumentations: [
    new HttpInstrumentation(), new UndiciInstrumentation(), new PgInstrumentation(), new IORedisInstrumentation(),
    new MySQL2Instrumentation(),
  ],
});

// After the instrumentation, which changes them as they are loaded.
const http = require('node:http');
const Redis = require('ioredis');
const mysql = require('mysql2/promise');
const { Pool } = require('pg');

const shop = process.env.SHOP;
const agent = new http.Agent({ keepAlive: true });
// It connects with the first request, which the tracer may be there to see, but not as part of it.
const redis = new Redis(process.env.REDIS, { lazyConnect: true });
let connected;
const pool = new Pool({ connectionString: process.env.POSTGRES, max: 8, idleTimeoutMillis: 0 });
const maria = mysql.createPool({ uri: process.env.MYSQL, connectionLimit: 8 });

function get(url) {
  return new Promise((resolve, reject) => {
    http.get(url, { agent }, (response) => response.resume().on('end', resolve)).on('error', reject);
  });
}

async function stock(n) {
  const key = 's'.repeat(n + 1);
  connected ??= context.with(ROOT_CONTEXT, () => redis.connect());
  await connected;
  await pool.query(`SELECT $1::int AS stock_${n}_read`, [n]);
  await Promise.all([
    redis.hset(key, 'left', '1'),
    maria.query(`SELECT ${n} AS stock_${n}_item, SLEEP(0.003)`),
  ]);
  await maria.execute(`SELECT ? AS stock_${n}_prepared`, [n]);
  if (n % 4 === 1) await maria.query(`SELECT stock_${n}_fails FROM nowhere`).catch(() => {});
  if (n % 4 === 2) {
    // Not the pool's own `query`, which ends a connection when a statement fails.
    const client = await pool.connect();
    await client.query(`SELECT 1 / 0 AS stock_${n}_fails`).catch(() => {});
    client.release();
  }
  if (n % 4 === 3) await redis.incr(key).catch(() => {});
  await (await fetch(`${shop}/price/${n}`)).text();
  await get(`${shop}/quote/${n}`);
  await redis.hget(key, 'left');
}

const server = http.createServer((request, response) => {
  const [, kind, n] = request.url.split('/');
  const done = (status) => {
    response.statusCode = status;
    response.end('done\n');
  };
  if (kind === 'stock') stock(Number(n)).then(() => done(200), (error) => { console.error(error); done(500); });
  else done(404);
});
server.keepAliveTimeout = 60000;
server.listen(Number(process.argv[2]), '127.0.0.1');

process.on('SIGTERM', () => {
  const seconds = ([whole, nanos]) => whole + nanos / 1e9;
  const line = (span) => JSON.stringify({
    name: span.name,
    kind: SpanKind[span.kind],
    id: span.spanContext().spanId,
    parent: span.parentSpanContext ? span.parentSpanContext.spanId : null,
    start: seconds(span.startTime),
    ms: seconds(span.duration) * 1000,
    failed: span.status.code === 2,
    attributes: span.attributes,
  });
  fs.writeFileSync(process.env.SPANS, exporter.getFinishedSpans().map((span) => line(span) + '\n').join(''));
  process.exit(0);
});
