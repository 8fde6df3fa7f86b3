// A Node service: /item/ at once, /slow/ after 20 ms, /missing/ not at all, /b after 2 ms, and /front, which calls
// the backend twice, one after the other, over a keep-alive agent. Writes its own access log.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');

const log = fs.openSync(process.env.ACCESS_LOG, 'a');
const truth = fs.openSync(process.env.TRUTH, 'a');
const agent = new http.Agent({ keepAlive: true });

function callBackend(incoming) {
  const outgoing = crypto.randomBytes(8).toString('hex');
  fs.writeSync(truth, `${incoming} ${outgoing}\n`);
  return new Promise((resolve, reject) => {
    const request = http.get(`http://${process.env.BACKEND}/b?truth=${outgoing}`, { agent }, (response) => {
      response.resume();
      response.on('end', () => resolve(response.statusCode));
    });
    request.on('error', reject);
  });
}

async function front(request, response) {
  const incoming = new URL(request.url, 'http://localhost').searchParams.get('truth') || '-';
  const statuses = [await callBackend(incoming), await callBackend(incoming)];
  response.statusCode = statuses.every((status) => status === 200) ? 200 : 502;
  response.end('ok\n');
}

const server = http.createServer((request, response) => {
  const start = process.hrtime.bigint();
  response.on('finish', () => {
    const nanoseconds = process.hrtime.bigint() - start;
    fs.writeSync(log, `${request.method} ${request.url} HTTP/1.1 ${response.statusCode} ${nanoseconds}\n`);
  });
  const path = request.url;
  if (path.startsWith('/front')) {
    front(request, response).catch(() => { response.statusCode = 502; response.end(); });
  } else if (path.startsWith('/slow/')) {
    setTimeout(() => response.end('ok\n'), 20);
  } else if (path.startsWith('/b')) {
    setTimeout(() => response.end('ok\n'), 2);
  } else if (path.startsWith('/missing/')) {
    response.statusCode = 404;
    response.end('no\n');
  } else {
    response.end('ok\n');
  }
});
server.keepAliveTimeout = 60_000;
server.listen(Number(process.env.PORT), '127.0.0.1');
