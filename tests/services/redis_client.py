"""redis-py in several threads, each with a connection of its own.

    redis_client.py PORT PROTOCOL THREADS ROUNDS     prints a JSON list: thread, command, begin and end in ns since 1970
"""

import json
import sys
import threading
import time

import redis

PORT, PROTOCOL, THREADS, ROUNDS = map(int, sys.argv[1:5])
SAID = []


def timed(said, name, call):
    """Calls, and notes when."""
    begin = time.time_ns()
    try:
        call()
    except redis.ResponseError:
        pass
    said.append([threading.get_native_id(), name, begin, time.time_ns()])


def work(number):
    """One of everything, over and over."""
    said = []
    client = redis.Redis(port=PORT, protocol=PROTOCOL, db=number % 3, single_connection_client=True)
    client.ping()
    for turn in range(ROUNDS):
        key = f"key-{number}-{turn}"
        timed(said, "SET", lambda: client.set(key, "v" * (turn * 397 % 100_000)))
        timed(said, "GET", lambda: client.get(key))
        timed(said, "LPUSH", lambda: client.lpush(key, "x"))
        timed(said, "HSET", lambda: client.hset("h" + key, mapping={"a": "1", "b": "2"}))
        timed(said, "HGETALL", lambda: client.hgetall("h" + key))
        with client.pipeline(transaction=turn % 2 == 0) as pipe:
            pipe.incr("n" + key).expire("n" + key, 10).mget([key] * 5)
            begin = time.time_ns()
            pipe.execute()
            names = ["INCRBY", "EXPIRE", "MGET"]
            names = ["MULTI", *names, "EXEC"] if turn % 2 == 0 else names
            said.extend([threading.get_native_id(), name, begin, time.time_ns()] for name in names)
        if turn % 20 == 0:
            timed(said, "BLPOP", lambda: client.blpop("none", timeout=0.05))
    client.close()
    SAID.extend(said)


threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(SAID))
