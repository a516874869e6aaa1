"""Holds the clients in Java (java/Client.java) and Node (node/client.js) against a running Freshet."""

import os
import shutil
import subprocess
import uuid
from pathlib import Path

import pytest

from conftest import ROOT, eventually
from test_interop import event, page_of

HERE = Path(__file__).parent
CACHE = ROOT / ".cache"


def run(freshet, command, user, folder):
    env = {
        **os.environ, "FRESHET_KAFKA_BROKERS": freshet.brokers, "FRESHET_AVRO": str(ROOT / "schemas" / "avro"),
        **{f"TOPIC_{name.upper()}": topic for name, topic in freshet.topics.items()},
    }
    if freshet.registry:
        env["FRESHET_REGISTRY_URL"] = freshet.registry
    done = subprocess.run([*command, user], cwd=folder, env=env, capture_output=True, text=True, timeout=180)
    assert done.returncode == 0, done.stdout + done.stderr
    lines = [line.split(" ", 1) for line in done.stdout.splitlines()]
    return [rest[0] if rest else "" for word, *rest in lines if word == "item"], {word: rest[0] if rest else "" for word, *rest in lines}


def partition_of(freshet, publisher, user):
    """Where the Go and Python publishers put a user."""
    return publisher.interaction(**event(user, "cocoa-1")).result(30)["partition"]


def assert_applied(freshet, publisher, recommender, user, items, said, language):
    assert said["reply"] == f"{language}-{user} ok", said
    assert int(said["partition"]) == partition_of(freshet, publisher, user), "the same user, the same partition"
    assert items, "a page came back"
    seen = {"tea-1", "tea-2", "tea-3"}
    eventually(lambda: not seen & set(page_of(recommender, user)))  # what was liked is not shown again
    assert "watermark" in freshet.call("inspect", "user", user).stdout
    kettle = f"from-{language}-{user}"
    eventually(lambda: freshet.call("inspect", "item", kettle, check=False).returncode == 0)
    assert "kettle" in freshet.call("inspect", "item", kettle).stdout


def test_node(freshet, shelf, publisher, recommender):
    if not (CACHE / "interop-node" / "node_modules").exists():
        pytest.skip("run.sh found no node and npm")
    user = f"node-{uuid.uuid4().hex[:8]}"
    script = CACHE / "interop-node" / "client.js"  # beside its node_modules
    shutil.copy(HERE / "node" / "client.js", script)
    items, said = run(freshet, ["node", str(script)], user, script.parent)
    assert_applied(freshet, publisher, recommender, user, items, said, "node")


def test_java(freshet, shelf, publisher, recommender):
    if not freshet.registry:
        pytest.skip("Apicurio's serializer needs a schema registry: FRESHET_REGISTRY_URL names none")
    if not (CACHE / "interop-java" / "lib").exists():
        pytest.skip("run.sh found no java and mvn")
    user = f"java-{uuid.uuid4().hex[:8]}"
    items, said = run(freshet, ["java", "-cp", f"{CACHE}/interop-java/lib/*", str(HERE / "java" / "Client.java")], user, HERE)
    assert_applied(freshet, publisher, recommender, user, items, said, "java")
    assert "aborted" in said
    assert "coffee-9" in page_of(recommender, user), "what was aborted was not seen"
