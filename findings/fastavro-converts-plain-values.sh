#!/usr/bin/env bash
# fastavro writes "false" as true, 4.7 as 4 and 3,000,000,000 as an int; the same values in a nullable field are refused.
#
# Versions   fastavro 1.13.1, avro 1.12.1 (the Apache library for Python).
# Guess      A writer refuses a str for a boolean, a float for an int and an int beyond 32 bits, as the Apache library does; making the
#            field nullable changes nothing for values that are not null.
# Behaviour  schemaless_writer, which confluent-kafka's AvroSerializer calls, takes a boolean's truth value, cuts a float down to its whole
#            part for int and long, writes any 64 bits for an int and infinity for a float that is too large; strict=True is about names
#            of fields only. A rating of 4.7 becomes 4, "false" out of a CSV becomes true, None a false, time.time() whole seconds. In a
#            union fastavro validates the value to find its branch, so ["null", "boolean"] refuses what "boolean" takes (not the infinity).
# Freshet    Sees the record after that: what is a legal value is taken.
# Needs      Python 3 with venv.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv py
py/bin/pip -q --disable-pip-version-check install fastavro==1.13.1 avro==1.12.1

cat >write.py <<'PY'
import io, json
import avro.io, avro.schema
import fastavro

def fast(schema, value):
    out = io.BytesIO()
    fastavro.schemaless_writer(out, schema, value, strict=True)
    return fastavro.schemaless_reader(io.BytesIO(out.getvalue()), schema)

def apache(schema, value):
    out, parsed = io.BytesIO(), avro.schema.parse(json.dumps(schema))
    avro.io.DatumWriter(parsed).write(value, avro.io.BinaryEncoder(out))
    return avro.io.DatumReader(parsed).read(avro.io.BinaryDecoder(io.BytesIO(out.getvalue())))

def seen(write, schema, value):
    try:
        return write(schema, value)
    except Exception as err:
        return type(err).__name__

for kind, value in ("boolean", "false"), ("boolean", None), ("int", 4.7), ("long", 1796032800.9), ("int", 3_000_000_000), ("float", 1e300):
    nullable = "-" if value is None else seen(fast, ["null", kind], value)
    print(f"{kind} <- {value!r}: fastavro {seen(fast, kind, value)}, nullable {nullable}; avro {seen(apache, kind, value)}")
PY
py/bin/python write.py | tee seen
cat >expected <<'SEEN'
boolean <- 'false': fastavro True, nullable ValueError; avro AvroTypeException
boolean <- None: fastavro False, nullable -; avro AvroTypeException
int <- 4.7: fastavro 4, nullable ValueError; avro AvroTypeException
long <- 1796032800.9: fastavro 1796032800, nullable ValueError; avro AvroTypeException
int <- 3000000000: fastavro 3000000000, nullable ValueError; avro AvroTypeException
float <- 1e+300: fastavro inf, nullable inf; avro OverflowError
SEEN
diff expected seen
