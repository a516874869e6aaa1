#!/usr/bin/env bash
# fastavro writes a string where an array of strings is due, as an array of its letters.
#
# Versions   fastavro 1.13.1.
# Guess      A writer checks its datum against the schema: a str for {"type": "array", "items": "string"} is a TypeError, as it is for a
#            map, and as an int is for a string.
# Behaviour  schemaless_writer, which confluent-kafka's AvroSerializer calls, iterates over whatever it gets: "Tea" becomes
#            ["T", "e", "a"]. strict=True looks at the names of fields only. fastavro.validation.validate finds it, but nothing calls it.
# Freshet    A category of one letter is legal, so such records are taken. `freshet inspect item` shows the letters.
# Needs      Python 3 with venv.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv py
py/bin/pip -q --disable-pip-version-check install fastavro==1.13.1

cat >write.py <<'PY'
import io
import fastavro
from fastavro.validation import validate

def through(schema, datum):
    out = io.BytesIO()
    try:
        fastavro.schemaless_writer(out, schema, datum, strict=True)
    except Exception as err:
        return type(err).__name__
    return fastavro.schemaless_reader(io.BytesIO(out.getvalue()), schema)

array, maps = {"type": "array", "items": "string"}, {"type": "map", "values": "string"}
item = {"type": "record", "name": "Item", "fields": [{"name": "categories", "type": array}]}
print("array <- 'Tea':", through(item, {"categories": "Tea"}))
print("map <- 'Tea':", through(maps, "Tea"))
print("string <- 5:", through("string", 5))
print("validate:", validate({"categories": "Tea"}, item, raise_errors=False))
PY
py/bin/python write.py | tee seen
cat >expected <<'SEEN'
array <- 'Tea': {'categories': ['T', 'e', 'a']}
map <- 'Tea': AttributeError
string <- 5: TypeError
validate: False
SEEN
diff expected seen
