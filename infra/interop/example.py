"""A product in thirty lines: it stocks a shelf, watches a user, and asks what to show her.

    python infra/interop/example.py [host:port of a broker]
"""

import os
import sys
import time
import uuid

from freshet_client import Publisher, Recommender, now

brokers = sys.argv[1] if len(sys.argv) > 1 else "localhost:9092"
registry = os.environ.get("FRESHET_REGISTRY_URL")  # of a schema registry, where Freshet uses one
ann = f"ann-{uuid.uuid4().hex[:8]}"

with Publisher(brokers, registry) as publisher, Recommender(brokers, registry) as recommender:
    stocked = [
        publisher.item(
            item_id=f"{kind.lower()}-{n}", op="upsert", version=time.time_ns() // 1000, occurred_at=now(),
            title=f"{kind} number {n}", categories=[kind], price=4.0 + n, currency="EUR",
        )
        for kind in ("Tea", "Coffee") for n in range(10)
    ]
    for item in stocked:
        item.result()
    for n in range(3):
        position = publisher.interaction(
            event_id=uuid.uuid4().hex, user_id=ann, item_id=f"tea-{n}", type="like", occurred_at=now(),
        ).result()

    # seen_through: the page is made from everything up to this event.
    page = recommender.recommend(ann, timeout=5, count=5, filter="item.price < 12", seen_through=position)
    print(f"{page['status']}, model {page['freshness']['model_version']}")
    for item in page["items"]:
        print(f"  {item['score']:8.3f}  {item['item_id']:12}  {item['source']}")
