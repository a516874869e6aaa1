"""Freshet from Python: publish what users do and how the catalogue changes, and ask for recommendations.

Copy this file and Freshet's four schema files (schemas/avro/*.avsc) into your product; schemas/asyncapi.yaml is the contract behind
it. All classes may be used by many threads at once, and one of each is enough for a process.

    with Publisher("localhost:9092") as publisher, Recommender("localhost:9092") as recommender:
        at = publisher.interaction(event_id="e1", user_id="ann", item_id="tea", type="like", occurred_at=now()).result()
        page = recommender.recommend("ann", count=10, seen_through=at)
"""

import io
import json
import os
import random
import struct
import threading
import time
import urllib.request
import uuid
from concurrent.futures import Future
from datetime import datetime, timezone
from pathlib import Path

import fastavro
from confluent_kafka import Consumer, Producer, TopicPartition

AVRO = Path(os.environ.get("FRESHET_AVRO", Path(__file__).resolve().parents[2] / "schemas" / "avro"))

# What a reply that was sent before its deadline may take to arrive, in seconds.
TRANSIT = 1.0

TOPICS = {
    "interactions": "freshet.interactions",
    "items": "freshet.items",
    "requests": "freshet.requests",
    "replies": "freshet.replies",
}

# Of each topic: the schema of its records, and the id under which it travels where there is no schema registry.
CONTRACTS = {
    "interactions": ("interaction.v1.avsc", 0x46520001),
    "items": ("item_change.v1.avsc", 0x46520002),
    "requests": ("recommendation_request.v2.avsc", 0x46520005),
    "replies": ("recommendation_reply.v2.avsc", 0x46520007),
}

# Of versions before, which a role that is not upgraded yet still writes.
EARLIER = {"replies": [("recommendation_reply.v1.avsc", 0x46520004)]}


def now():
    return datetime.now(timezone.utc)


class Codec:
    """Writes and reads the records of one topic: a zero byte, the schema id as four bytes, most significant first, Avro."""

    def __init__(self, topic, name, registry=None):
        self.registry = registry
        file, self.id = CONTRACTS[name]
        text = (AVRO / file).read_text()
        self.schema = fastavro.parse_schema(json.loads(text))
        self.writers = {self.id: self.schema}  # by schema id
        for earlier, schema_id in EARLIER.get(name, ()):
            self.writers[schema_id] = fastavro.parse_schema(json.loads((AVRO / earlier).read_text()))
        if registry:
            self.id = self._ask(f"/subjects/{topic}-value/versions", {"schema": text})["id"]
            self.writers[self.id] = self.schema

    def encode(self, record):
        """The bytes of a record; fields that are left out get the schema's defaults."""
        out = io.BytesIO(struct.pack(">bI", 0, self.id))
        out.seek(0, io.SEEK_END)
        fastavro.schemaless_writer(out, self.schema, record, strict_allow_default=True)
        return out.getvalue()

    def decode(self, framed):
        """The record that the bytes hold, whichever version of the schema wrote it."""
        magic, schema_id = struct.unpack_from(">bI", framed)
        if magic != 0:
            raise ValueError(f"a record begins with a zero byte and a schema id, this one with {framed[:5].hex()}")
        if schema_id not in self.writers:
            if not self.registry:
                raise ValueError(f"schema id {schema_id} is unknown without a schema registry")
            text = self._ask(f"/schemas/ids/{schema_id}")["schema"]
            self.writers[schema_id] = fastavro.parse_schema(json.loads(text))
        body = io.BytesIO(framed[5:])
        return fastavro.schemaless_reader(body, self.writers[schema_id], self.schema)

    def _ask(self, path, body=None):
        request = urllib.request.Request(
            self.registry.rstrip("/") + path,
            data=json.dumps(body).encode() if body else None,
            headers={"Content-Type": "application/vnd.schemaregistry.v1+json"},
        )
        with urllib.request.urlopen(request, timeout=5) as response:
            return json.load(response)


class _Writer:
    """A producer that keeps users and items on the partitions on which Freshet's other producers put them."""

    def __init__(self, brokers, settings):
        self.producer = Producer({
            "bootstrap.servers": brokers,
            "partitioner": "murmur2_random",  # Java's and Freshet's; librdkafka's own default is another
            "enable.idempotence": True,
            "linger.ms": 1,
            **settings,
        })
        self.closing = threading.Event()
        self.poller = threading.Thread(target=self._poll, daemon=True)
        self.poller.start()

    def _poll(self):
        while not self.closing.is_set():
            self.producer.poll(0.1)

    def write(self, topic, key, value, headers=()):
        """A future of the position at which the record lies once all in-sync replicas have it."""
        written = Future()

        def done(error, message):
            if error:
                written.set_exception(RuntimeError(f"writing to {topic}: {error}"))
            else:
                written.set_result({"partition": message.partition(), "offset": message.offset()})

        while True:
            try:
                self.producer.produce(topic, key=key.encode(), value=value, headers=list(headers), on_delivery=done)
                return written
            except BufferError:  # the queue is full: the poller makes room
                time.sleep(0.01)

    def close(self):
        self.producer.flush(30)
        self.closing.set()
        self.poller.join()


class Publisher:
    """Publishes interactions and item changes. Each method returns a future of the record's position."""

    def __init__(self, brokers, registry=None, topics=TOPICS, **settings):
        self.topics = topics
        self.interactions = Codec(topics["interactions"], "interactions", registry)
        self.items = Codec(topics["items"], "items", registry)
        self.writer = _Writer(brokers, settings)

    def interaction(self, headers=(), **event):
        """What a user did: the fields of freshet.v1.Interaction. headers may carry a W3C traceparent."""
        return self.writer.write(self.topics["interactions"], event["user_id"], self.interactions.encode(event), headers)

    def item(self, headers=(), **change):
        """The whole new state of an item, with a version above its last: the fields of freshet.v1.ItemChange."""
        return self.writer.write(self.topics["items"], change["item_id"], self.items.encode(change), headers)

    def erase_user(self, user_id):
        """Makes Freshet forget a user."""
        return self.writer.write(self.topics["interactions"], user_id, None)

    def remove_item(self, item_id):
        """Takes an item out of the catalogue for good."""
        return self.writer.write(self.topics["items"], item_id, None)

    def close(self):
        self.writer.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


class ReplyError(Exception):
    """A reply that is no page: invalid_request, deadline_exceeded, unavailable or internal."""

    def __init__(self, reply):
        super().__init__(f"{reply['status']}: {reply['error']}")
        self.status, self.reply = reply["status"], reply


class Recommender:
    """Asks for recommendations. Replies come over one partition of the replies topic, read from its end as of now; other
    clients' replies on it are passed over."""

    def __init__(self, brokers, registry=None, topics=TOPICS, partition=None, **settings):
        self.topics = topics
        self.requests = Codec(topics["requests"], "requests", registry)
        self.replies = Codec(topics["replies"], "replies", registry)
        self.waiting = {}  # futures by correlation id
        self.consumer = Consumer({
            "bootstrap.servers": brokers,
            "group.id": "unused",  # librdkafka wants one; nothing is committed, and nobody joins a group
            "enable.auto.commit": False,
            "fetch.wait.max.ms": 100,
            **settings,
        })
        self.partition = self._choose(partition)
        place = TopicPartition(topics["replies"], self.partition)
        _, place.offset = self.consumer.get_watermark_offsets(place, timeout=10)  # before the first request, lest its reply be missed
        self.consumer.assign([place])
        self.writer = _Writer(brokers, settings)
        self.closing = threading.Event()
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _choose(self, partition):
        count = len(self.consumer.list_topics(self.topics["replies"], timeout=10).topics[self.topics["replies"]].partitions)
        if count == 0:
            raise RuntimeError(f"there is no topic {self.topics['replies']}: run `freshet topics create`")
        return random.randrange(count) if partition is None else partition

    def _read(self):
        while not self.closing.is_set():
            message = self.consumer.poll(0.1)
            if message is None or message.error():
                continue  # librdkafka tries again by itself
            reply = self._take(dict(message.headers() or ()).get("kafka_correlationId"))
            if reply:
                reply.set_result(message)

    def _take(self, correlation):
        """The future that waits for a reply, to whoever asks first; None where nobody waits any more."""
        reply = self.waiting.pop(correlation, None)
        return reply if reply and reply.set_running_or_notify_cancel() else None

    def send(self, key, value, headers=()):
        """Sends a request that is encoded already, and returns a future of the Kafka message that answers it."""
        correlation, reply = uuid.uuid4().bytes, Future()
        self.waiting[correlation] = reply
        reply.add_done_callback(lambda _: self.waiting.pop(correlation, None))
        headers = [
            ("kafka_correlationId", correlation),
            ("kafka_replyTopic", self.topics["replies"].encode()),
            ("kafka_replyPartition", struct.pack(">i", self.partition)),
            *headers,
        ]

        def written(position):
            if position.exception() and self._take(correlation):
                reply.set_exception(position.exception())

        self.writer.write(self.topics["requests"], key, value, headers).add_done_callback(written)
        return reply

    def recommend(self, user_id, timeout=2.0, headers=(), **request):
        """A freshet.v1.RecommendationReply of status ok or degraded, due within timeout seconds; degraded lists in codes what it
        had to do without. ReplyError says that there is no page, TimeoutError that no reply came. The arguments are the fields of freshet.v1.RecommendationRequest:
        query="espresso machine" searches."""
        request = {
            "request_id": uuid.uuid4().hex,
            "deadline": int((time.time() + timeout) * 1000),
            **request,
            "user_id": user_id,
        }
        answer = self.send(user_id, self.requests.encode(request), headers)
        try:
            reply = self.replies.decode(answer.result(timeout + TRANSIT).value())
        finally:
            answer.cancel()  # whoever does not wait any more is not answered
        if reply["status"] not in ("ok", "degraded"):
            raise ReplyError(reply)
        return reply

    def close(self):
        self.closing.set()
        self.reader.join()
        self.consumer.close()
        self.writer.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()
