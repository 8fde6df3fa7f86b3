// MongoDB's own driver for Node, several calls at a time.
//
//     node mongodb_client.js PORT CONNECTIONS ROUNDS
'use strict';
const { MongoClient } = require('mongodb');

const [port, connections, rounds] = process.argv.slice(2).map(Number);

async function work(client, number) {
  const users = client.db('shop').collection(`users-${number}`);
  await client.db('admin').command({ ping: 1 });
  await new Promise((done) => setTimeout(done, 400));
  for (let turn = 0; turn < rounds; turn += 1) {
    const pad = 'secret'.repeat([1, 100, 400, 3000][turn % 4]);
    await users.insertOne({ _id: turn, name: 'secret', pad });
    await users.insertMany([1, 2, 3, 4].map((age) => ({ _id: `${turn}-${age}`, age, pad })));
    await users.insertOne({ _id: turn }).catch(() => {});
    await users.findOne({ _id: turn });
    await users.find({ age: { $gt: 0 } }, { batchSize: 2 }).toArray();
    await users.updateOne({ _id: turn }, { $set: { name: 'secret too' } });
    await users.aggregate([{ $match: { age: { $gt: 1 } } }, { $count: 'n' }]).toArray();
    await users.deleteMany({ age: { $gt: 0 } });
    await client.db('shop').command({ drop: 'absent' }).catch(() => {});
  }
}

async function main() {
  const client = new MongoClient(`mongodb://127.0.0.1:${port}/`, {
    maxPoolSize: connections,
    heartbeatFrequencyMS: 500,
  });
  await client.connect();
  await Promise.all(Array.from({ length: connections }, (_, number) => work(client, number)));
  await new Promise((done) => setTimeout(done, 1200));
  await client.close();
}

main();
