"""Commands through pymemcache, several connections at a time. Prints how many of each there were."""
import collections
import sys
import threading
import time

from pymemcache.client.base import Client

port, connections, rounds = (int(word) for word in sys.argv[1:4])
counts = collections.Counter()
lock = threading.Lock()


def work(number):
    client = Client(("127.0.0.1", port), default_noreply=False)
    mine = collections.Counter()
    # The probes are told to look at every call once the first has been recognised.
    client.get("first")
    mine["get"] += 1
    time.sleep(0.4)
    for turn in range(rounds):
        key = f"secret-{number}-{turn}"
        # The largest is more than is captured of a call.
        client.set(key, "x" * (0, 100, 1500, 9000)[turn % 4])
        mine["set"] += 1
        client.get(key)
        mine["get"] += 1
        client.get_many([key, "none", key + "-other"])
        mine["get"] += 1
        client.gets(key)
        mine["gets"] += 1
        client.touch(key, 60)
        mine["touch"] += 1
        client.set("n", "5")
        mine["set"] += 1
        client.incr("n", 3)
        mine["incr"] += 1
        client.delete(key)
        mine["delete"] += 1
        time.sleep(0.001)
    client.close()
    with lock:
        counts.update(mine)


threads = [threading.Thread(target=work, args=(number,)) for number in range(connections)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("\n".join(f"{name} {count}" for name, count in sorted(counts.items())))
