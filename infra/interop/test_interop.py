"""Holds the Python client, and so any client that is not Freshet's, against a running Freshet."""

import io
import json
import struct
import subprocess
import sys
import threading
import time
import uuid
from collections import Counter
from pathlib import Path

import fastavro
import pytest
from confluent_kafka import Consumer, TopicPartition

from conftest import eventually
from freshet_client import AVRO, CONTRACTS, EARLIER, Codec, Recommender, ReplyError, now

PATIENCE = 30  # seconds


def records(freshet, topic):
    """All that a topic holds, by a consumer that knows nothing of Freshet, in a group of its own."""
    consumer = Consumer({
        "bootstrap.servers": freshet.brokers, "group.id": f"{freshet.unique}-{uuid.uuid4().hex}",
        "auto.offset.reset": "earliest", "enable.auto.commit": False,
    })
    try:
        partitions = consumer.list_topics(topic, timeout=10).topics[topic].partitions
        ends = {p: consumer.get_watermark_offsets(TopicPartition(topic, p), timeout=10)[1] for p in partitions}
        consumer.subscribe([topic])
        found, reached = [], dict.fromkeys(partitions, 0)
        deadline = time.monotonic() + PATIENCE
        while any(reached[p] < ends[p] for p in partitions):
            assert time.monotonic() < deadline, f"{topic}: read up to {reached} of {ends}"
            message = consumer.poll(0.2)
            if message is not None:
                assert message.error() is None
                reached[message.partition()] = message.offset() + 1
                found.append(message)
        return found
    finally:
        consumer.close()


def headers_of(message):
    return dict(message.headers() or ())


def event(user, item, kind="like", **more):
    return {"event_id": uuid.uuid4().hex, "user_id": user, "item_id": item, "type": kind, "occurred_at": now(), **more}


def user():
    return f"user-{uuid.uuid4().hex[:8]}"


# Keys of every length modulo four, and of bytes above 127, of which hashes go wrong.
USERS = ["u" * n for n in range(1, 18)] + [f"user-{n}" for n in range(60)] + ["Ærøskøbing", "東京", "\U0001f375", "naïve café", " "]


def test_partitions_and_bytes_equal_the_go_publishers(freshet, publisher):
    same = [
        event(u, "tea-1", "rating", value=4.5, surface="home", context={"from": "both"}, occurred_at="2026-01-31T12:00:00.123Z")
        for u in USERS
    ]
    python = {}
    for e in same:
        millis = {**e, "occurred_at": 1769860800123}
        python[e["user_id"]] = publisher.interaction(**millis).result(PATIENCE)["partition"]
    freshet.call("publish", "interactions", stdin="\n".join(map(json.dumps, same)))
    written = {}
    for message in records(freshet, freshet.topics["interactions"]):
        if message.key().decode() in python and message.value():
            written.setdefault(message.key().decode(), []).append(message)
    for u in USERS:
        ours, theirs = written[u]
        assert ours.partition() == theirs.partition() == python[u], u
        assert ours.value() == theirs.value(), u
    assert len(set(python.values())) == 4, "the keys spread over all partitions"


def test_schema_ids_head_every_record(freshet, shelf, publisher):
    publisher.interaction(**event(user(), "tea-0")).result(PATIENCE)
    for name, topic in freshet.topics.items():
        expected = Codec(topic, name, freshet.registry).id
        if not freshet.registry:
            assert expected == CONTRACTS[name][1]
        framed = [m.value() for m in records(freshet, topic) if m.value() is not None and len(m.value()) > 20]
        assert framed, topic
        assert {v[:5] for v in framed} == {struct.pack(">bI", 0, expected)}, topic


def test_items_and_events_from_python_make_recommendations(shelf, publisher, recommender):
    ann = user()
    for n in range(3):
        position = publisher.interaction(**event(ann, f"tea-{n}")).result(PATIENCE)
    page = recommender.recommend(ann, timeout=10, count=5, seen_through=position, explain=True)
    assert page["status"] == "ok", page["error"]
    assert page["user_id"] == ann
    assert page["freshness"]["seen_through_satisfied"] is True
    assert page["freshness"]["profile"] == position
    assert len(page["items"]) == 5
    assert not {"tea-0", "tea-1", "tea-2"} & {i["item_id"] for i in page["items"]}, "seen items stay away"
    assert page["waterfall"] and page["timings"]

    cheap = recommender.recommend(ann, timeout=10, count=10, filter='item.price < 8 && "Cocoa" in item.categories')
    assert sorted(i["item_id"] for i in cheap["items"]) == ["cocoa-0", "cocoa-1", "cocoa-2", "cocoa-3"]
    recent = [{"item_id": "tea-5", "type": "like", "occurred_at": now()}]
    assert recommender.recommend(user(), timeout=10, count=3, recent=recent)["items"][0]["source"] == "retrieval"
    similar = recommender.recommend(user(), timeout=10, count=3, seed_item_id="coffee-1")
    assert {i["source"] for i in similar["items"]} == {"similar"}
    # The model was trained on another shop: it is asked in that shop's words, which none of these items has.
    found = recommender.recommend(user(), timeout=10, count=3, query="espresso mahcine")
    assert {i["source"] for i in found["items"]} == {"search"}


def test_item_tombstone_takes_an_item_down(shelf, publisher, recommender):
    publisher.item(**{**shelf[0], "item_id": "gone"}).result(PATIENCE)
    only = {"timeout": 10, "count": 5, "filter": 'item.id == "gone"'}
    eventually(lambda: [i["item_id"] for i in recommender.recommend(user(), **only)["items"]] == ["gone"])
    publisher.remove_item("gone").result(PATIENCE)

    def taken_down():
        try:
            return recommender.recommend(user(), **only)["items"] == []
        except ReplyError as refused:
            return refused.status == "unavailable"
    eventually(taken_down)


def test_user_tombstone_erases(shelf, publisher, recommender):
    ben = user()
    at = publisher.interaction(**event(ben, "coffee-1")).result(PATIENCE)
    assert recommender.recommend(ben, timeout=10, seen_through=at)["freshness"]["profile"] == at
    assert "coffee-1" not in page_of(recommender, ben), "seen"
    at = publisher.erase_user(ben).result(PATIENCE)
    recommender.recommend(ben, timeout=10, seen_through=at)
    assert "coffee-1" in page_of(recommender, ben), "nobody remembers that it was seen"


def page_of(recommender, who):
    return [i["item_id"] for i in recommender.recommend(who, timeout=10, count=30)["items"]]


def test_replies_come_to_the_partition_that_was_asked_for(freshet, shelf, recommender):
    for partition in range(4):
        with Recommender(freshet.brokers, freshet.registry, freshet.topics, partition=partition) as client:
            who = user()
            request = client.requests.encode({"request_id": f"request of {who}", "user_id": who, "count": 3})
            message = client.send(who, request).result(PATIENCE)
            assert message.partition() == partition
            assert message.key().decode() == who
            reply = client.replies.decode(message.value())
            assert (reply["request_id"], reply["user_id"], reply["status"]) == (f"request of {who}", who, "ok")


def test_many_wait_at_once_and_each_gets_its_own(shelf, recommender):
    answers = {}

    def ask(who):
        answers[who] = recommender.recommend(who, timeout=PATIENCE, request_id=f"request of {who}", count=3)
    people = [user() for _ in range(64)]
    threads = [threading.Thread(target=ask, args=[who]) for who in people]
    for t in threads:
        t.start()
    for t in threads:
        t.join()
    assert [answers[who]["request_id"] for who in people] == [f"request of {who}" for who in people]
    assert not recommender.waiting


def test_a_reply_stays_in_the_trace_of_its_request(shelf, recommender):
    who, trace = user(), uuid.uuid4().hex
    request = recommender.requests.encode({"request_id": "traced", "user_id": who, "count": 3})
    message = recommender.send(who, request, [("traceparent", f"00-{trace}-00f067aa0ba902b7-01".encode())]).result(PATIENCE)
    assert headers_of(message)["traceparent"].decode().split("-")[1] == trace


@pytest.mark.parametrize("request_, status, says", [
    ({"filter": "item.price <"}, "invalid_request", "filter"),
    ({"filter": "item.colour == 'red'"}, "invalid_request", "colour"),
    ({"filter": "all(1..1000000000, true)"}, "invalid_request", "filter"),
    ({"count": 0}, "invalid_request", "count"),
    ({"count": -1}, "invalid_request", "count"),
    ({"request_id": ""}, "invalid_request", "request_id"),
    ({"seed_item_id": "x" * 300}, "invalid_request", "seed_item_id"),
    ({"query": "?!"}, "invalid_request", "query"),
    ({"query": "tea", "seed_item_id": "coffee-1"}, "invalid_request", "seed_item_id"),
    ({"deadline": 1}, "invalid_request", "deadline"),
    ({"deadline": lambda: int(time.time() * 1000) - 1000}, "deadline_exceeded", "deadline"),
])
def test_error_replies(shelf, recommender, request_, status, says):
    request_ = {name: value() if callable(value) else value for name, value in request_.items()}  # of now
    with pytest.raises(ReplyError) as refused:
        recommender.recommend(user(), timeout=10, **request_)
    assert refused.value.status == status
    assert says in refused.value.reply["error"]
    assert refused.value.reply["items"] == []


def test_degraded_replies_say_what_they_lack(shelf, publisher, recommender):
    who = user()
    at = publisher.interaction(**event(who, "tea-1")).result(PATIENCE)
    page = recommender.recommend(who, timeout=1, seen_through={**at, "offset": at["offset"] + 1_000_000})
    assert page["status"] == "degraded"
    assert page["degraded"] == ["seen_through"]
    assert "seen_through" in page["error"]
    assert page["freshness"]["seen_through_satisfied"] is False
    assert page["items"]


def test_replies_of_the_version_before_are_read():
    file, schema_id = EARLIER["replies"][0]
    out = io.BytesIO(struct.pack(">bI", 0, schema_id))
    out.seek(0, io.SEEK_END)
    reply = {"request_id": "r", "user_id": "u", "status": "degraded", "error": "deadline: x", "freshness": {}}
    fastavro.schemaless_writer(out, fastavro.parse_schema(json.loads((AVRO / file).read_text())), reply, strict_allow_default=True)
    read = Codec("topic", "replies").decode(out.getvalue())
    assert (read["status"], read["error"], read["degraded"]) == ("degraded", "deadline: x", [])


def letter_of(freshet, topic, key):
    """The dead letter of a key, which must be the only one."""
    letters = []

    def written():
        letters[:] = [m for m in records(freshet, topic + ".dlt") if m.key() == key.encode()]
        return letters
    eventually(written)
    assert len(letters) == 1
    return letters[0]


def assert_letter(letter, topic, at, value, group, says):
    h = headers_of(letter)
    assert letter.value() == value
    assert h["kafka_dlt-original-topic"].decode() == topic
    assert struct.unpack(">i", h["kafka_dlt-original-partition"])[0] == at["partition"]
    assert struct.unpack(">q", h["kafka_dlt-original-offset"])[0] == at["offset"]
    assert abs(struct.unpack(">q", h["kafka_dlt-original-timestamp"])[0] / 1000 - time.time()) < 600
    assert h["kafka_dlt-original-timestamp-type"] in (b"CreateTime", b"LogAppendTime")
    assert h["kafka_dlt-original-consumer-group"].decode() == group
    assert h["kafka_dlt-exception-fqcn"]
    assert says in h["kafka_dlt-exception-message"].decode()


@pytest.mark.parametrize("name, role", [("interactions", "interactions"), ("items", "catalogue")])
def test_malformed_records_become_dead_letters(freshet, shelf, publisher, recommender, name, role):
    topic, key = freshet.topics[name], f"bad-{uuid.uuid4().hex}"
    value = b'{"no": "avro"}'
    at = publisher.writer.write(topic, key, value, [("origin", b"\x00\xff")]).result(PATIENCE)
    letter = letter_of(freshet, topic, key)
    assert_letter(letter, topic, at, value, f"{freshet.unique}.{role}", "JSON text: send Avro")
    assert headers_of(letter)["origin"] == b"\x00\xff", "the record's own headers stay"


def test_an_event_that_makes_no_sense_becomes_a_dead_letter(freshet, publisher):
    who = user()
    bad = event(who, "", occurred_at=1769860800123)
    at = publisher.interaction(**bad).result(PATIENCE)
    letter = letter_of(freshet, freshet.topics["interactions"], who)
    value = publisher.interactions.encode(bad)
    assert_letter(letter, freshet.topics["interactions"], at, value, f"{freshet.unique}.interactions", "item_id")


def test_a_malformed_request_gets_an_error_reply_and_becomes_a_dead_letter(freshet, shelf, recommender):
    who = user()
    message = recommender.send(who, b"no request").result(PATIENCE)
    reply = recommender.replies.decode(message.value())
    assert message.key().decode() == who
    assert reply["status"] == "invalid_request"
    assert reply["error"].startswith("request: ")
    letter = letter_of(freshet, freshet.topics["requests"], who)
    assert letter.value() == b"no request"
    assert "kafka_correlationId" in headers_of(letter)


@pytest.mark.parametrize("header, value, says", [
    ("kafka_replyTopic", b"freshet.interactions", "reply_topic_prefixes"),
    ("kafka_replyPartition", struct.pack(">i", 99), "partition 99"),
    ("kafka_correlationId", b"", "kafka_correlationId"),
])
def test_a_request_that_cannot_be_answered_becomes_a_dead_letter(freshet, shelf, recommender, header, value, says):
    who = user()
    request = recommender.requests.encode({"request_id": "r", "user_id": who})
    answer = recommender.send(who, request, [(header, value)])  # the last header of a name counts
    letter = letter_of(freshet, freshet.topics["requests"], who)
    assert says in headers_of(letter)["kafka_dlt-exception-message"].decode()
    assert letter.value() == request
    assert not answer.done()
    answer.cancel()


def test_plain_consumers_read_each_topic(freshet, shelf, publisher, recommender):
    publisher.interaction(**event(user(), "tea-3")).result(PATIENCE)
    publisher.writer.write(freshet.topics["items"], f"bad-{uuid.uuid4().hex}", b"no item").result(PATIENCE)
    recommender.send(user(), b"no request").result(PATIENCE)
    topics = [*freshet.topics.values(), *(freshet.topics[n] + ".dlt" for n in ("interactions", "items", "requests"))]
    counts = Counter()
    for topic in topics:
        for message in records(freshet, topic):
            counts[topic] += 1
            assert message.key() is not None
    eventually(lambda: all(counts[t] or len(records(freshet, t)) for t in topics))


def test_the_example_runs(freshet, shelf):
    code = f"import freshet_client, runpy; freshet_client.TOPICS.update({freshet.topics!r}); runpy.run_path('example.py')"
    printed = subprocess.run(
        [sys.executable, "-c", code, freshet.brokers], cwd=Path(__file__).parent, capture_output=True, text=True, timeout=60, check=True,
    ).stdout
    assert printed.startswith(("ok, model", "degraded, model")), printed
    assert len(printed.splitlines()) == 6, printed
