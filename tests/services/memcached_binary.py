"""The binary protocol through python-binary-memcached, several connections at a time. Prints how many of each command there were."""
import collections
import os
import sys
import threading
import time

import bmemcached

port, connections, rounds = (int(word) for word in sys.argv[1:4])
counts = collections.Counter()
lock = threading.Lock()


def work(number):
    client = bmemcached.Client((f"127.0.0.1:{port}",))
    mine = collections.Counter()
    # The probes are told to look at every call once the first has been recognised.
    client.get("first")
    mine["get"] += 1
    time.sleep(0.4)
    for turn in range(rounds):
        key = f"secret-{number}-{turn}"
        # The largest is more than is captured of a call, also when it is compressed.
        client.set(key, os.urandom((0, 100, 1500, 9000)[turn % 4]))
        mine["set"] += 1
        client.get(key)
        mine["get"] += 1
        # Quiet commands, and one that ends them.
        client.get_multi([key, "none", "n"])
        mine["get"] += 1
        client.set_multi({key: "one", key + "-other": "two"})
        mine["set"] += 1
        client.add(key, "there already")
        mine["add"] += 1
        client.replace("nowhere", "not there")
        mine["replace"] += 1
        client.set("text", "no number")
        mine["set"] += 1
        try:
            client.incr("text", 3)
        except bmemcached.exceptions.MemcachedException:
            pass
        client.incr("n", 3)
        mine["incr"] += 2
        client.decr("n", 1)
        mine["decr"] += 1
        # Pipelined: each is answered.
        client.delete_multi([key, key + "-other"])
        mine["delete"] += 2
        mine["noop"] += 1
        if turn % 10 == 0:
            client.stats()
            mine["stats"] += 1
        time.sleep(0.001)
    client.disconnect_all()
    with lock:
        counts.update(mine)


threads = [threading.Thread(target=work, args=(number,)) for number in range(connections)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("\n".join(f"{name} {count}" for name, count in sorted(counts.items())))
