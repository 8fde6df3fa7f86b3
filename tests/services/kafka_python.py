"""kafka-python: one message at a time, then a consumer takes them.

    kafka_python.py ADDRESS COUNT
        prints a list in JSON: nothing, deliveries with begin and end in ns, and how many messages were consumed
"""

import json
import sys
import time

from kafka import KafkaConsumer, KafkaProducer, TopicPartition

ADDRESS, COUNT = sys.argv[1], int(sys.argv[2])
DELIVERIES = []

producer = KafkaProducer(bootstrap_servers=ADDRESS, client_id="writer", api_version=(2, 3))
producer.send("orders", b"first", partition=0).get(timeout=10)
time.sleep(0.5)
for turn in range(COUNT):
    begin = time.time_ns()
    value = b"secret" * (1, 100, 400, 3000)[turn % 4]
    told = producer.send("orders", value, partition=0).get(timeout=10)
    DELIVERIES.append([told.offset, begin, time.time_ns()])
producer.close()

consumer = KafkaConsumer(
    bootstrap_servers=ADDRESS, client_id="reader", auto_offset_reset="earliest", enable_auto_commit=False,
    fetch_max_wait_ms=200, api_version=(2, 3),
)
consumer.assign([TopicPartition("orders", 0)])
taken, end = 0, time.time() + 5
while taken < COUNT + 1 and time.time() < end:
    for messages in consumer.poll(timeout_ms=100).values():
        taken += len(messages)
time.sleep(0.3)
consumer.close()
print(json.dumps([{}, DELIVERIES, taken]))
