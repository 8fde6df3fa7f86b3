// Node's own HTTP/1.1, and what is rarely used of it: `http1.js server` and `http1.js client` (PORT, ACCESS_LOG, PREFIX in the environment).
//
// The client makes ROUNDS calls of each kind on each of CONNECTIONS connections, /KIND/NUMBER, one after the other on each, and checks every
// answer. It prints a line per call as the servers log theirs, with the time from before it asked until it had all of the answer.
'use strict';
const fs = require('node:fs');
const http = require('node:http');

const LARGE = Buffer.alloc(2_000_000, 'l');
const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

async function pieces(stream, count) {
  for (let piece = 0; piece < count; piece++) {
    stream.write(`piece ${piece} `.repeat(200));
    await sleep(1);
  }
}

// What is asked: options, how the body is sent, and the status and length of the answer.
const KINDS = {
  plain: { status: 200, length: 10 },
  head: { method: 'HEAD', status: 200, length: 0 },
  none: { status: 204, length: 0 },
  cached: { headers: { 'if-none-match': '"seen"' }, status: 304, length: 0 },
  missing: { status: 404, length: 10 },
  chunked: { status: 200, length: 5 * 1600, trailer: 'x-sum' },
  upload: { method: 'POST', headers: { trailer: 'x-sum' }, status: 201, length: 4, send: async (request) => {
    await pieces(request, 5);
    request.addTrailers({ 'x-sum': 'made up' });
    request.end();
  } },
  put: { method: 'PUT', headers: { 'content-length': LARGE.length }, status: 200, length: 7, send: (request) => request.end(LARGE) },
  continue: { method: 'POST', headers: { expect: '100-continue', 'content-length': 20000 }, status: 200, length: 5,
    send: (request) => request.on('continue', () => request.end(Buffer.alloc(20000, 'c'))) },
  hints: { status: 200, length: 10 },
  large: { status: 200, length: LARGE.length },
  closing: { headers: { connection: 'close' }, status: 200, length: 10, fresh: true },
  ended: { status: 200, length: 10, fresh: true },
};

function answer(request, response, received) {
  const kind = request.url.split('/')[1];
  response.statusCode = (KINDS[kind] || { status: 500 }).status;
  if (kind === 'chunked') {
    response.setHeader('trailer', 'x-sum');
    return pieces(response, 5).then(() => {
      response.addTrailers({ 'x-sum': 'made up' });
      response.end();
    });
  }
  if (kind === 'hints') response.writeEarlyHints({ link: '</style.css>; rel=preload' });
  if (kind === 'large') return response.end(LARGE);
  if (kind === 'none' || kind === 'cached') return response.end();
  if (kind === 'ended') {
    // No length and not chunked: the close is the end.
    response.useChunkedEncodingByDefault = false;
    response.removeHeader('content-length');
    response.shouldKeepAlive = false;
    response.write('an ');
    return response.end('answer\n');
  }
  const body = received > 0 ? String(received) : 'an answer\n';
  response.setHeader('content-length', body.length);
  return response.end(body);
}

function serve() {
  const log = fs.openSync(process.env.ACCESS_LOG, 'a');
  const server = http.createServer((request, response) => {
    const start = process.hrtime.bigint();
    let received = 0;
    let nanoseconds = 0n;
    // It is told that all was handed over long after it was, so the moment before counts.
    const end = response.end.bind(response);
    response.end = (...last) => {
      nanoseconds = process.hrtime.bigint() - start;
      return end(...last);
    };
    response.on('finish', () => {
      fs.writeSync(log, `${request.method} ${request.url} HTTP/1.1 ${response.statusCode} ${nanoseconds}\n`);
    });
    request.on('data', (data) => { received += data.length; });
    request.on('end', () => answer(request, response, received));
  });
  server.keepAliveTimeout = 60_000;
  server.listen(Number(process.env.PORT), '127.0.0.1');
}

function call(agent, name, number) {
  const kind = KINDS[name];
  const path = `${process.env.PREFIX}/${name}/${number}`;
  return new Promise((resolve, reject) => {
    const start = process.hrtime.bigint();
    const options = { port: process.env.PORT, host: '127.0.0.1', path, method: kind.method || 'GET', headers: kind.headers || {} };
    const request = http.request({ ...options, agent: kind.fresh ? false : agent }, (response) => {
      let length = 0;
      response.on('data', (data) => { length += data.length; });
      response.on('end', () => {
        const nanoseconds = process.hrtime.bigint() - start;
        const right = response.statusCode === kind.status && length === kind.length;
        // nginx passes no trailers on.
        const said = !kind.trailer || process.env.PREFIX !== '' || response.trailers[kind.trailer] === 'made up';
        if (!right || !said) return reject(new Error(`${path}: ${response.statusCode}, ${length} bytes`));
        console.log(`${options.method} ${path} HTTP/1.1 ${response.statusCode} ${nanoseconds}`);
        return resolve();
      });
    });
    request.on('error', reject);
    if (kind.send) kind.send(request); else request.end();
  });
}

async function client() {
  const skipped = process.env.PREFIX === '' ? [] : ['hints'];
  const names = Object.keys(KINDS).filter((name) => !skipped.includes(name));
  const one = async (connection) => {
    const agent = new http.Agent({ keepAlive: true, maxSockets: 1 });
    for (let round = 0; round < Number(process.env.ROUNDS); round++) {
      // Another order on each connection.
      for (let at = 0; at < names.length; at++) {
        await call(agent, names[(at + 5 * connection) % names.length], `${connection}-${round}`);
      }
    }
    agent.destroy();
  };
  await Promise.all(Array.from({ length: Number(process.env.CONNECTIONS) }, (_, connection) => one(connection)));
}

if (process.argv[2] === 'server') serve(); else client();
