#!/usr/bin/env bash
# Milvus's answer to a delete or an upsert counts the keys that were asked for, not the rows that were there.
#
# Versions   Milvus 2.3.5 standalone (PyPI milvus), pymilvus 2.3.7.
# Guess      delete_count is the number of rows removed, as SQL's; 0 for a key that is nowhere. An upsert tells inserts from updates.
# Behaviour  A delete by keys counts the keys of its list, each as often as it stands there, in an empty collection too. A delete by any other expression counts the rows that
#            match. An upsert of new keys reports delete_count = insert_count. So none of these figures proves an erasure or a takedown,
#            and none tells a new item from a known one.
# Freshet    Never reads them; whether an item is known is asked of Redis.
# Needs      Python 3 with venv, 2 GB of memory.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv py
py/bin/pip -q --disable-pip-version-check install pymilvus==2.3.7 'marshmallow<4' 'setuptools<80'
py/bin/pip -q --disable-pip-version-check install --no-deps milvus==2.3.5
cat >ask.py <<'PY'
import logging
logging.disable(logging.CRITICAL)
from milvus import MilvusServer
from pymilvus import Collection, CollectionSchema, DataType, FieldSchema, connections

server = MilvusServer()
server.set_base_dir("data")
with server:
    connections.connect(host="127.0.0.1", port=server.listen_port)
    rows = Collection("rows", CollectionSchema([
        FieldSchema("id", DataType.VARCHAR, is_primary=True, max_length=16), FieldSchema("price", DataType.FLOAT),
        FieldSchema("vector", DataType.FLOAT_VECTOR, dim=2)]))
    rows.create_index("vector", {"index_type": "FLAT", "metric_type": "IP", "params": {}})
    rows.load()
    print("delete of keys in an empty collection:", rows.delete('id in ["a", "b", "b"]').delete_count)
    new = rows.upsert([["a", "b"], [1.0, 2.0], [[1, 0], [0, 1]]])
    print("upsert of two new keys:", new.insert_count, "inserted,", new.delete_count, "deleted")
    print("delete of one known, one unknown key:", rows.delete('id in ["a", "nobody"]').delete_count)
    print("delete by another expression:", rows.delete("price > 1 and price < 100").delete_count)
    print("and again:", rows.delete("price > 1 and price < 100").delete_count)
    print("rows left:", rows.query("", output_fields=["count(*)"], consistency_level="Strong")[0]["count(*)"])
PY
py/bin/python ask.py 2>log | tee seen
cat >expected <<'SEEN'
delete of keys in an empty collection: 3
upsert of two new keys: 2 inserted, 2 deleted
delete of one known, one unknown key: 2
delete by another expression: 1
and again: 0
rows left: 0
SEEN
diff expected seen
