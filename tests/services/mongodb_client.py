"""PyMongo in several threads, each with a client of its own.

    mongodb_client.py PORT THREADS ROUNDS
        prints a JSON list: thread, command, begin and end in ns since 1970, as PyMongo tells its listeners
"""

import json
import sys
import threading
import time

import pymongo
from pymongo import monitoring
from pymongo.errors import DuplicateKeyError, OperationFailure

PORT, THREADS, ROUNDS = map(int, sys.argv[1:4])
SAID = []


class Listener(monitoring.CommandListener):
    """Notes when commands begin and end."""

    def __init__(self):
        self.begun = {}

    def started(self, event):
        self.begun[event.request_id] = time.time_ns()

    def succeeded(self, event):
        end = time.time_ns()
        SAID.append([threading.get_native_id(), event.command_name, self.begun.pop(event.request_id), end])

    failed = succeeded


def work(number):
    """One of everything, over and over."""
    client = pymongo.MongoClient(
        "127.0.0.1", PORT, maxPoolSize=1, heartbeatFrequencyMS=500, event_listeners=[Listener()]
    )
    users = client.shop[f"users-{number}"]
    log = client.shop.get_collection("log", write_concern=pymongo.WriteConcern(w=0))
    client.admin.command("ping")
    # The probes are told to look at every call once the first has been recognised.
    time.sleep(0.4)
    for turn in range(ROUNDS):
        # The largest is more than is captured of a call.
        pad = "secret" * (1, 100, 400, 3000)[turn % 4]
        users.insert_one({"_id": turn, "name": "secret", "pad": pad})
        users.insert_many([{"_id": f"{turn}-{index}", "age": index, "pad": pad} for index in range(5)])
        try:
            users.insert_one({"_id": turn})
        except DuplicateKeyError:
            pass
        users.find_one({"_id": turn, "name": "secret"})
        assert len(list(users.find({"age": {"$gt": 0}}, batch_size=3))) >= 4
        users.update_one({"_id": turn}, {"$set": {"name": "secret too"}})
        users.count_documents({"age": {"$gt": 2}})
        log.insert_one({"_id": f"{number}-{turn}", "text": "secret"})
        users.delete_many({"age": {"$gt": 0}})
        try:
            client.shop.command("drop", "absent")
        except OperationFailure:
            pass
        time.sleep(0.002)
    # At least one of the monitor's streams.
    time.sleep(1.2)
    client.close()


threads = [threading.Thread(target=work, args=(number,)) for number in range(THREADS)]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
print(json.dumps(SAID))
