"""Meta commands through meta-memcache, several connections at a time. Prints how many of each command there were."""
import collections
import sys
import threading
import time

from meta_memcache import CacheClient, Key, ServerAddress, connection_pool_factory_builder

port, connections, rounds = (int(word) for word in sys.argv[1:4])
counts = collections.Counter()
lock = threading.Lock()


def work(number):
    client = CacheClient.cache_client_from_servers(
        servers=[ServerAddress(host="127.0.0.1", port=port)],
        connection_pool_factory_fn=connection_pool_factory_builder(recv_timeout=10),
    )
    mine = collections.Counter()
    # The probes are told to look at every call once the first has been recognised.
    client.get(Key("first"))
    mine["mg"] += 1
    time.sleep(0.4)
    for turn in range(rounds):
        key = Key(f"secret-{number}-{turn}")
        other = Key(f"other-{number}-{turn}")
        # The largest is more than is captured of a call.
        value = "x" * (1, 100, 1500, 9000)[turn % 4]
        client.set(key, value, ttl=60)
        mine["ms"] += 1
        assert client.get(key) == value
        mine["mg"] += 1
        client.set(other, number, ttl=60)
        mine["ms"] += 1
        # Three commands in one call.
        found = client.multi_get([key, other, Key("none")])
        assert found[other] == number and found[Key("none")] is None
        mine["mg"] += 3
        client.touch(key, ttl=30)
        mine["mg"] += 1
        client.delta_initialize(Key(f"n-{number}"), 3, initial_value=5, initial_ttl=60)
        mine["ma"] += 1
        client.delete(key)
        mine["md"] += 1
        client.get(key)
        mine["mg"] += 1
        time.sleep(0.001)
    with lock:
        counts.update(mine)


threads = [threading.Thread(target=work, args=(number,)) for number in range(connections)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print("\n".join(f"{name} {count}" for name, count in sorted(counts.items())))
