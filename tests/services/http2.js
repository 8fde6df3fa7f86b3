// Node's own HTTP/2, without TLS: `http2.js server` and `http2.js client` (PORT and LOG in the environment).
//
// The server answers /item/N, /missing/N, /broken/N, /slow/N and /big/N, and writes down how long each request took from its head until it
// handed over the answer. The client makes its requests on one connection, STREAMS of them at a time: those of each line of its
// standard input, which names a kind and the numbers from and to; it answers `done` when all are answered. For each it writes down when it asked, and
// when it had the whole answer.
'use strict';
const http2 = require('node:http2');
const fs = require('node:fs');
const readline = require('node:readline');

const log = fs.createWriteStream(process.env.LOG, { flags: 'a' });
const since = (start) => Number(process.hrtime.bigint() - start) / 1e6;
const STATUS = { item: 200, missing: 404, broken: 503, slow: 200, big: 200, sent: 201 };

function serve() {
  const server = http2.createServer();
  server.on('stream', (stream, headers) => {
    const start = process.hrtime.bigint();
    const path = headers[':path'];
    const kind = path.split('/')[1];
    const status = STATUS[kind] || 500;
    // It may be told that it was handed over long after it was, so the moment before counts.
    const done = () => log.write(JSON.stringify({ path, method: headers[':method'], status, ms: since(start) }) + '\n');
    stream.on('error', () => {});
    const answer = () => {
      stream.respond({ ':status': status, 'content-type': 'text/plain', 'x-made-for': path });
      stream.end(kind === 'big' ? Buffer.alloc(100000, 'b') : 'an answer\n');
      done();
    };
    stream.resume();
    stream.on('end', () => (kind === 'slow' ? setTimeout(answer, 30) : answer()));
  });
  server.listen(Number(process.env.PORT), '127.0.0.1');
}

function ask(session, kind, number) {
  return new Promise((resolve) => {
    const path = `/${kind}/${number}`;
    const method = kind === 'sent' ? 'POST' : 'GET';
    const start = process.hrtime.bigint();
    const request = session.request({ ':path': path, ':method': method, 'user-agent': 'made up' });
    let status = 0;
    request.on('response', (headers) => { status = headers[':status']; });
    request.on('error', () => {});
    request.on('close', () => {
      log.write(JSON.stringify({ path, method, status, ms: since(start) }) + '\n');
      resolve();
    });
    request.resume();
    request.end(kind === 'sent' ? Buffer.alloc(3000, 's') : undefined);
  });
}

async function client() {
  const session = http2.connect(`http://127.0.0.1:${process.env.PORT}`);
  session.on('error', (error) => { console.log(`error ${error}`); process.exit(1); });
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [kind, from, to] = line.split(' ');
    const numbers = [];
    for (let number = Number(from); number < Number(to); number++) numbers.push(number);
    const one = async () => {
      while (numbers.length > 0) await ask(session, kind, numbers.shift());
    };
    await Promise.all(Array.from({ length: Number(process.env.STREAMS || 100) }, one));
    console.log('done');
  }
  session.close();
}

if (process.argv[2] === 'server') serve(); else client();
