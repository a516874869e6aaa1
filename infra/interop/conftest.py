"""Starts `freshet run` for the tests: embedded, or on the servers that FRESHET_KAFKA_BROKERS and its like name."""

import json
import os
import socket
import subprocess
import time
import uuid
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient

from freshet_client import Publisher, Recommender, now

ROOT = Path(__file__).resolve().parents[2]
KINDS = ("Tea", "Coffee", "Cocoa")
READY = 90  # seconds


def free_port():
    with socket.socket() as s:
        s.bind(("127.0.0.1", 0))
        return s.getsockname()[1]


class Freshet:
    """A running Freshet with topics, keys and collections of its own."""

    def __init__(self, folder):
        self.unique = f"interop-{uuid.uuid4().hex[:8]}"
        self.folder = folder
        self.embedded = not os.environ.get("FRESHET_KAFKA_BROKERS")
        self.topics = {name: f"{self.unique}.{name}" for name in ("interactions", "items", "requests", "replies")}
        self.config = folder / "freshet.yaml"
        self.config.write_text(json.dumps(self._settings()))  # JSON is YAML
        (folder / "rules.yaml").write_text("rules: [{kind: exclude_seen}]")  # no caps: a page may hold the whole shelf
        self.brokers = os.environ.get("FRESHET_KAFKA_BROKERS") or self.broker
        self.registry = os.environ.get("FRESHET_REGISTRY_URL") or None
        self.log = open(folder / "freshet.log", "w+")
        self.process = None

    def _settings(self):
        settings = {
            "topics": {name: {"name": topic, "partitions": 4} for name, topic in self.topics.items()},
            "profiles": {"key_prefix": self.unique},
            "items": {"key_prefix": self.unique},
            "milvus": {"collection": self.unique.replace("-", "_"), "alias": self.unique.replace("-", "_") + "_live"},
            "consumers": {"group": self.unique, "replies": {"reply_topic_prefixes": [self.topics["replies"]]}},
            "bundle": str(self.folder / "bundle"),
            "rules_file": str(self.folder / "rules.yaml"),
            "training": {"dim": 16, "layers": 1, "epochs": 1, "max_window": 20},
        }
        if self.embedded:
            self.broker = f"127.0.0.1:{free_port()}"
            settings["kafka"] = {"brokers": [self.broker]}
            settings["redis"] = {"addresses": [f"127.0.0.1:{free_port()}"]}
            settings["milvus"]["address"] = f"127.0.0.1:{free_port()}"
        return settings

    def command(self, *args):
        return [os.environ.get("FRESHET", str(ROOT / ".cache" / "freshet")), *args, "--config", str(self.config)]

    def call(self, *args, stdin="", check=True):
        return subprocess.run(self.command(*args), input=stdin, capture_output=True, text=True, timeout=60, check=check)

    def start(self):
        self.call("train")
        if not self.embedded:
            self.call("topics", "create")
        flags = ["--embedded"] if self.embedded else []
        self.process = subprocess.Popen(self.command("run", *flags), stdout=self.log, stderr=subprocess.STDOUT)
        deadline = time.monotonic() + READY
        while "msg=ready" not in self.logged():
            assert self.process.poll() is None, f"freshet run has ended:\n{self.logged()}"
            assert time.monotonic() < deadline, f"freshet run is not ready:\n{self.logged()}"
            time.sleep(0.1)

    def logged(self):
        return Path(self.log.name).read_text()

    def stop(self):
        self.process.terminate()
        code = self.process.wait(30)
        if not self.embedded:
            admin = AdminClient({"bootstrap.servers": self.brokers})
            ours = [t for t in admin.list_topics(timeout=10).topics if t.startswith(self.unique)]
            for deleted in admin.delete_topics(ours).values():
                deleted.result(30)
        assert code == 0, f"freshet run ended with code {code}:\n{self.logged()}"


@pytest.fixture(scope="session")
def freshet(tmp_path_factory):
    freshet = Freshet(tmp_path_factory.mktemp("freshet"))
    freshet.start()
    yield freshet
    freshet.stop()


@pytest.fixture(scope="session")
def publisher(freshet):
    with Publisher(freshet.brokers, freshet.registry, freshet.topics) as publisher:
        yield publisher


@pytest.fixture(scope="session")
def recommender(freshet):
    with Recommender(freshet.brokers, freshet.registry, freshet.topics) as recommender:
        yield recommender


@pytest.fixture(scope="session")
def shelf(publisher, recommender):
    """Thirty items, published from Python and recommendable."""
    items = [
        {
            "item_id": f"{kind.lower()}-{n}", "op": "upsert", "version": 1, "occurred_at": now(), "title": f"{kind} number {n}",
            "categories": [kind], "price": 4.0 + n, "currency": "EUR",
        }
        for kind in KINDS for n in range(10)
    ]
    for written in [publisher.item(**item) for item in items]:
        written.result(30)
    eventually(lambda: len(recommender.recommend("anybody", timeout=10, count=30)["items"]) == 30)
    return items


def eventually(true, seconds=60):
    deadline = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < deadline, "it did not come true in time"
        time.sleep(0.05)
