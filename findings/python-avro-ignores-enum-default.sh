#!/usr/bin/env bash
# Apache's own Python reader does not know the default of an Avro enum.
#
# Versions   avro 1.12.2 (Apache's package for Python), fastavro 1.13.1; avsc 5.7.9 for Node.
# Guess      Since Avro 1.9 an enum may have a "default": a reader with an older schema takes it for a symbol that it does not know.
#            So a topic whose enum has a default may get new symbols, and old readers go on.
# Behaviour  fastavro and avsc give the default. Apache's avro raises SchemaResolutionException for the whole record, although the
#            reader's schema has the default. A new symbol in such a topic breaks its readers; registries call the change compatible.
# Freshet    Its enums have the default `unknown`, and its own decoder takes it. Who reads Freshet's topics with `avro` must get the new
#            schema first.
# Needs      Python 3 with venv, Node with npm.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv py
py/bin/pip -q --disable-pip-version-check install avro==1.12.2 fastavro==1.13.1
npm install --silent --no-fund --no-audit avsc@5.7.9 >/dev/null

cat >read.py <<'PY'
import io, json
import avro.errors, avro.io, avro.schema, fastavro

def kind(*symbols):
    return {"type": "enum", "name": "Kind", "symbols": list(symbols), "default": "unknown"}

new, old = kind("unknown", "view", "gift"), kind("unknown", "view")
record = io.BytesIO()
fastavro.schemaless_writer(record, new, "gift")
raw = record.getvalue()
json.dump({"new": new, "old": old, "raw": raw.hex()}, open("case.json", "w"))

print("fastavro:", fastavro.schemaless_reader(io.BytesIO(raw), new, old))
reader = avro.io.DatumReader(avro.schema.parse(json.dumps(new)), avro.schema.parse(json.dumps(old)))
try:
    print("avro:", reader.read(avro.io.BinaryDecoder(io.BytesIO(raw))))
except avro.errors.SchemaResolutionException as err:
    print("avro: SchemaResolutionException:", str(err).splitlines()[0])
PY
cat >read.js <<'JS'
const avro = require('avsc'), { new: writer, old, raw } = require('./case.json');
const reader = avro.Type.forSchema(old);
console.log('avsc:', reader.fromBuffer(Buffer.from(raw, 'hex'), reader.createResolver(avro.Type.forSchema(writer))));
JS
py/bin/python read.py | tee seen
node read.js | tee -a seen

cat >expected <<'SEEN'
fastavro: unknown
avro: SchemaResolutionException: Symbol gift not present in Reader's Schema
avsc: unknown
SEEN
diff expected seen
