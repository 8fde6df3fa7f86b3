// Every kind of Redis command through ioredis, which sends what is asked in one turn of its loop together: `redis_monitored.js PORT ROUNDS`.
'use strict';
const Redis = require('ioredis');

const [port, rounds] = process.argv.slice(2).map(Number);
const WORKERS = 3;
const sleep = (ms) => new Promise((resolve) => { setTimeout(resolve, ms); });

async function work(number, db) {
  const one = new Redis({ port, db });
  await one.ping();
  await sleep(100);
  for (let turn = 0; turn < rounds; turn++) {
    const key = `k "${number}\\${turn}\n`;
    await one.set(key, 'v'.repeat((turn * 97) % 3000), 'EX', 60);
    // Three at a time, on one connection.
    await Promise.all([one.get(key), one.mget(key, 'none', 'none'), one.hset(`h${key}`, { a: 1, b: 2 })]);
    await one.lpush(key, 'x').catch(() => {});
    await one.eval("redis.call('incr', KEYS[1]) return 1", 1, 'script');
    await one.pipeline().incr('n').expire('n', 10).object('ENCODING', key).exec();
    await one.multi().decr('n').getrange(key, 0, 3).exec();
    await one.zadd('z', turn, key, turn, 'b', turn, 'c', turn, 'd', turn, 'e');
    await one.publish('news', 'n'.repeat(turn));
    await one.del(key);
    await one.rpush('jobs', turn);
  }
  one.disconnect();
}

async function consume(db, count) {
  const one = new Redis({ port, db });
  for (let taken = 0; taken < count;) taken += (await one.blpop('jobs', 0.2)) ? 1 : 0;
  one.disconnect();
}

async function main() {
  const listener = new Redis({ port });
  let heard = 0;
  listener.on('message', () => { heard += 1; });
  listener.on('pmessage', () => { heard += 1; });
  await listener.subscribe('news', 'nothing');
  await listener.psubscribe('n*ws');
  const workers = Array.from({ length: WORKERS }, (_, number) => work(number, number % 2));
  await Promise.all([...workers, consume(0, 2 * rounds), consume(1, rounds)]);
  while (heard < 2 * WORKERS * rounds) await sleep(10);
  await listener.unsubscribe('nothing');
  listener.disconnect();
}

main();
