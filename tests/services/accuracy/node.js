// Node's http: `node.js keepalive` (an agent that keeps connections), `node.js sockets8` (at most 8, calls queue).
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const net = require('net');

const WAIT = 'db';
const NOBODY = '-';
// The call that sends a body, as the request does that asks for it.
const SAVE = 'save';
const BODY = '{"item": "0123456789abcdef0123456789abcdef", "count": 12}';
const PLANS = {
  '/front': [['b'], ['c']],
  '/other': [['c'], ['d']],
  '/fan': [['b', 'c']],
  '/repeat': [['b'], ['b'], ['b']],
  '/skip': [['b'], ['c']],
  '/db': [[WAIT], ['b']],
  '/post': [[SAVE], ['c']],
};
const truth = fs.openSync(process.env.TRUTH, 'a');
const [host, backendPort] = process.env.BACKEND.split(':');
const databasePort = Number(process.env.DATABASE.split(':')[1]);
const agent = new http.Agent({ keepAlive: true, maxSockets: process.argv[2] === 'sockets8' ? 8 : Infinity });
const idle = [];

// One question to the database, on a connection of a pool.
function query() {
  const connection = idle.pop() || net.connect(databasePort, host).setNoDelay();
  return new Promise((resolve, reject) => {
    connection.once('error', reject);
    connection.once('data', () => {
      connection.removeListener('error', reject);
      idle.push(connection);
      resolve();
    });
    connection.write('*1\r\n$4\r\nPING\r\n');
  });
}

function call(incoming, name) {
  if (name === WAIT) return query();
  const fresh = crypto.randomBytes(8).toString('hex');
  fs.writeSync(truth, `${incoming} ${fresh}\n`);
  const headers = { 'x-truth-id': fresh };
  return new Promise((resolve, reject) => {
    const method = name === SAVE ? 'POST' : 'GET';
    const request = http.request({ method, host, port: backendPort, path: `/${name}`, headers, agent }, (response) => {
      response.resume();
      response.on('end', resolve);
    });
    request.on('error', reject);
    request.end(name === SAVE ? BODY : undefined);
  });
}

async function serve(path, incoming) {
  for (const step of PLANS[path] || []) {
    if (path === '/skip' && Math.random() < 0.3) continue;
    await Promise.all(step.map((name) => call(incoming, name)));
  }
}

const server = http.createServer((request, response) => {
  const incoming = request.headers['x-truth-id'] || NOBODY;
  const begin = () => serve(request.url, incoming)
    .catch((error) => { console.error(error); response.statusCode = 502; })
    .finally(() => response.end('ok\n'));
  if (request.method !== 'POST') return begin();
  request.resume();
  request.on('end', begin);
});
server.keepAliveTimeout = 60_000;
server.listen({ port: Number(process.env.PORT), host: '127.0.0.1', backlog: 511 });

const background = Number(process.env.BACKGROUND || 0);
if (background) setInterval(() => call(NOBODY, 'tick').catch(console.error), background);
