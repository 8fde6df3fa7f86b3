"""confluent-kafka (librdkafka): one message at a time, a batch, some that nobody answers; then a consumer takes all.

    kafka_confluent.py ADDRESS COUNT
        prints a list in JSON: requests by name as librdkafka counted them (those of the producers), deliveries with begin and end in ns,
        and how many messages were consumed
"""

import collections
import json
import sys
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, Producer, TopicPartition

ADDRESS, COUNT = sys.argv[1], int(sys.argv[2])
REQUESTS, DELIVERIES = collections.Counter(), []
LATEST = {}


def count(client):
    """Keeps librdkafka's newest numbers of a client."""

    def keep(text):
        LATEST[client] = json.loads(text)["brokers"]

    return keep


def producer(name, **settings):
    return Producer(
        {"bootstrap.servers": ADDRESS, "client.id": name, "statistics.interval.ms": 100, "stats_cb": count(name), **settings}
    )


single = producer("single", **{"linger.ms": 0})
single.produce("orders", b"first", partition=0)
single.flush()
# The probes are told to look at every call once the first has been recognised.
time.sleep(0.5)
for turn in range(COUNT):
    begin = time.time_ns()
    told = []
    value = b"secret" * (1, 100, 400, 3000)[turn % 4]
    single.produce("orders", value, partition=0, callback=lambda error, message: told.append(message.offset()))
    while not told:
        single.poll(0.1)
    DELIVERIES.append([told[0], begin, time.time_ns()])
batch = producer("batch", **{"linger.ms": 100})
batch.list_topics(timeout=10)
time.sleep(0.5)
for turn in range(COUNT):
    batch.produce("orders", b"secret", partition=1)
batch.flush()
careless = producer("careless", **{"linger.ms": 0, "acks": 0})
careless.list_topics(timeout=10)
time.sleep(0.5)
for turn in range(COUNT):
    careless.produce("log", b"secret", partition=0)
    careless.flush()

consumer = Consumer(
    {"bootstrap.servers": ADDRESS, "client.id": "consumer", "group.id": "workers", "enable.auto.commit": False,
     "fetch.wait.max.ms": 200}
)
consumer.assign([TopicPartition("orders", partition, OFFSET_BEGINNING) for partition in (0, 1)])
taken, end = 0, time.time() + 5
while taken < 2 * COUNT + 1 and time.time() < end:
    message = consumer.poll(0.1)
    if message is not None and not message.error():
        taken += 1
time.sleep(0.5)
consumer.close()

# The numbers are written every 100 ms.
for client in (single, batch, careless):
    until = time.time() + 0.4
    while time.time() < until:
        client.poll(0.05)
for brokers in LATEST.values():
    for broker in brokers.values():
        for name, number in broker["req"].items():
            if number:
                REQUESTS[name] += number
print(json.dumps([REQUESTS, DELIVERIES, taken]))
