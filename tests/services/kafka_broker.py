"""librdkafka's own broker for tests, which speaks Kafka's protocol on 127.0.0.1.

    kafka_broker.py     writes its address into the file ADDRESS, and runs until it is stopped
"""

import os
import signal

from confluent_kafka import Producer

handle = Producer({"test.mock.num.brokers": 1, "client.id": "broker"})
broker = next(iter(handle.list_topics(timeout=10).brokers.values()))
with open(os.environ["ADDRESS"] + ".new", "w") as out:
    out.write(f"{broker.host}:{broker.port}")
os.rename(os.environ["ADDRESS"] + ".new", os.environ["ADDRESS"])
signal.pause()
