"""Every kind of Redis command through redis-py: several threads, transactions, scripts, a queue, subscriptions.

    redis_monitored.py PORT ROUNDS
"""

import os
import sys
import threading
import time
import traceback

import redis

PORT, ROUNDS = int(sys.argv[1]), int(sys.argv[2])
WORKERS = 3


def client(number=0):
    return redis.Redis(port=PORT, db=number, single_connection_client=True)


def work(number):
    """One of everything, over and over."""
    one = client(number % 2)
    one.ping()
    time.sleep(0.1)
    for turn in range(ROUNDS):
        key = f'k "{number}\\{turn}\n'
        # Far more than is captured of a call.
        one.set("large", "v" * 40_000)
        one.get("large")
        one.set(key, "v" * (turn * 97 % 1000), ex=60)
        one.get(key)
        one.mset({f"{key}{part}": part for part in range(7)})
        one.mget([key, "none"] * 3)
        one.hset("h" + key, mapping={"a": "1", "b": b"\x00\xff"})
        one.zadd("z", {key: turn})
        try:
            one.lpush(key, "x")
        except redis.ResponseError:
            pass
        one.eval("redis.call('incr', KEYS[1]) return redis.call('get', KEYS[1])", 1, "script")
        with one.pipeline(transaction=turn % 2 == 0) as pipe:
            pipe.incr("n").expire("n", 10).getrange(key, 0, 3).object("encoding", key)
            pipe.execute()
        with one.pipeline(transaction=True) as pipe:
            pipe.watch(key)
            pipe.multi()
            pipe.append(key, "x")
            pipe.execute()
        one.publish("news", "n" * turn)
        one.delete(key)
        one.rpush("jobs", turn)
    one.close()


def consume(number, count):
    """Waits for what the others queue in a database."""
    one = client(number)
    while count > 0:
        count -= one.blpop(["jobs"], timeout=0.2) is not None
    one.close()


def listen():
    """Hears everything, on two ways."""
    one = redis.Redis(port=PORT)
    heard = one.pubsub()
    heard.subscribe("news", "nothing")
    heard.psubscribe("n*ws")
    left = 3 + 2 * WORKERS * ROUNDS
    LISTENING.set()
    while left > 0:
        left -= heard.get_message(timeout=0.2) is not None
    heard.ping()
    heard.get_message(timeout=1)
    heard.unsubscribe("nothing")
    heard.get_message(timeout=1)
    heard.close()
    one.close()


def failed(what):
    """The others would wait for ever."""
    traceback.print_exception(what.exc_type, what.exc_value, what.exc_traceback)
    os._exit(1)


threading.excepthook = failed
LISTENING = threading.Event()
listener = threading.Thread(target=listen)
listener.start()
LISTENING.wait()
time.sleep(0.2)
threads = [threading.Thread(target=consume, args=pair) for pair in [(0, 2 * ROUNDS), (1, ROUNDS)]]
threads += [threading.Thread(target=work, args=(number,)) for number in range(WORKERS)]
for thread in threads:
    thread.start()
for thread in [*threads, listener]:
    thread.join()
