// Unary gRPC calls with @grpc/grpc-js (PORT, LOG and STREAMS in the environment; the package beside node's other modules), on one
// connection, as the lines of standard input name them: a method of /made.Up/, numbers from and to. Answers `done`.
'use strict';
const grpc = require('@grpc/grpc-js');
const fs = require('node:fs');
const readline = require('node:readline');

const log = fs.createWriteStream(process.env.LOG, { flags: 'a' });
const client = new grpc.Client(`127.0.0.1:${process.env.PORT}`, grpc.credentials.createInsecure());
const bytes = (value) => value;

function call(method, number) {
  return new Promise((resolve) => {
    const metadata = new grpc.Metadata();
    metadata.set('x-number', String(number));
    const message = Buffer.from(method === 'Fail' ? String(1 + (number % 16)) : 'a message');
    const start = process.hrtime.bigint();
    client.makeUnaryRequest(`/made.Up/${method}`, bytes, bytes, message, metadata, {}, (error) => {
      const ms = Number(process.hrtime.bigint() - start) / 1e6;
      log.write(JSON.stringify({ method, number, code: error ? error.code : 0, ms }) + '\n');
      resolve();
    });
  });
}

async function main() {
  for await (const line of readline.createInterface({ input: process.stdin })) {
    const [method, from, to] = line.split(' ');
    const numbers = [];
    for (let number = Number(from); number < Number(to); number++) numbers.push(number);
    const one = async () => {
      while (numbers.length > 0) await call(method, numbers.shift());
    };
    await Promise.all(Array.from({ length: Number(process.env.STREAMS || 100) }, one));
    console.log('done');
  }
  client.close();
}

main();
