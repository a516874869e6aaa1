"""Writes the Avro container files of this folder: pip install fastavro polars cramjam backports.zstd; python make.py

fastavro 1.13.1 and polars 2.1.0 wrote those that are here.
"""

import datetime as dt
import decimal
import os
import uuid

import fastavro
import polars as pl

os.chdir(os.path.dirname(os.path.abspath(__file__)))
UTC = dt.timezone.utc
SYNC = b"0123456789abcdef"  # so that the files are the same each time


def logical(kind, name, **more):
    return {"type": kind, "logicalType": name, **more}


def write(name, fields, rows, codec="null", interval=16000):
    schema = fastavro.parse_schema({"type": "record", "name": "Row", "namespace": "org.example", "fields": fields})
    with open(name + ".avro", "wb") as f:
        fastavro.writer(f, schema, rows, codec=codec, sync_interval=interval, sync_marker=SYNC)


def field(name, kind, **more):
    return {"name": name, "type": kind, **more}


# One file for each way of packing, of several blocks.
for codec in ["null", "deflate", "snappy", "zstandard", "bzip2", "xz"]:
    write("codec-" + codec, [field("user_id", "string"), field("n", "long")],
          [{"user_id": f"user-{i}", "n": i * i} for i in range(100)], codec, 500)

# Each type that a column may have, beside a null where there can be one.
moment = dt.datetime(2026, 1, 31, 12, 0, 0, 123456, UTC)
local = dt.datetime(2026, 1, 31, 12, 0, 0, 123456)
columns = [
    ("boolean", "boolean", True), ("int", "int", -7), ("long", "long", -(2**63)), ("float", "float", 1.5), ("double", "double", 0.1),
    ("string", "string", "é"), ("bytes", "bytes", "text".encode()), ("fixed", {"type": "fixed", "name": "F", "size": 3}, b"abc"),
    ("enum", {"type": "enum", "name": "E", "symbols": ["VIEW", "BUY"]}, "BUY"),
    ("date", logical("int", "date"), dt.date(1969, 12, 31)),
    ("timestamp_millis", logical("long", "timestamp-millis"), moment),
    ("timestamp_micros", logical("long", "timestamp-micros"), moment),
    ("timestamp_nanos", logical("long", "timestamp-nanos"), 1769860800123456789),
    ("local_millis", logical("long", "local-timestamp-millis"), local),
    ("local_micros", logical("long", "local-timestamp-micros"), local),
    ("local_nanos", logical("long", "local-timestamp-nanos"), 1769860800123456789),
    ("uuid", logical("string", "uuid"), uuid.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")),
    ("decimal", logical("bytes", "decimal", precision=10, scale=2), decimal.Decimal("-0.05")),
    ("decimal_fixed", {"type": "fixed", "name": "D", "size": 16, "logicalType": "decimal", "precision": 38, "scale": 9},
     decimal.Decimal("12345678901234567890.123456789")),
    ("decimal_zero", logical("bytes", "decimal", precision=5, scale=0), decimal.Decimal(0)),
    ("list", {"type": "array", "items": ["null", "string"]}, ["a", None, ""]),
    ("map", {"type": "map", "values": ["null", "double"]}, {"a": 1.5, "b": None}),
    ("record", {"type": "record", "name": "Inner", "fields": [field("x", "int"), field("y", ["null", "string"])]}, {"x": 1, "y": None}),
    ("pairs", {"type": "array", "items": {"type": "record", "name": "Pair", "fields": [field("key", "int"), field("value", "string")]}},
     [{"key": 7, "value": "seven"}]),
    ("several", ["long", "string"], "s"),
    ("time_millis", logical("int", "time-millis"), dt.time(1, 2, 3)),
    ("time_micros", logical("long", "time-micros"), dt.time(1, 2, 3)),
    ("deep", {"type": "array", "items": {"type": "array", "items": "int"}}, [[1], []]),
    ("odd_decimal", logical("bytes", "decimal", precision=2, scale=1), decimal.Decimal("1.5")),
]


def optional(kind):
    return ["null", *kind] if isinstance(kind, list) else ["null", kind]


write("kinds", [field(name, optional(kind)) for name, kind, _ in columns],
      [{name: value for name, _, value in columns}, {name: None for name, _, _ in columns}], "deflate")

# A default that is not of the union's first type, one that is no value of the type, and one of the enum: a reader needs none.
write("defaults", [field("user_id", ["null", "string"], default="nobody"), field("n", "int", default=3),
                   field("e", {"type": "enum", "name": "E", "symbols": ["a", "b"], "default": "a"})],
      [{"user_id": "u", "n": 1, "e": "b"}])

pl.DataFrame({
    "user id": ["u1", "u2"],
    "item": [1, None],
    "ms": pl.Series([dt.datetime(2026, 1, 31, 12), None], dtype=pl.Datetime("ms")),
    "us": pl.Series([local, None], dtype=pl.Datetime("us")),
    "tags": [["a", None], None],
    "struct": [{"x": 1, "y": "q"}, None],
    "price": pl.Series([decimal.Decimal("9.50"), None], dtype=pl.Decimal(10, 2)),
}).write_avro("polars.avro", "snappy")
empty = pl.DataFrame({"user_id": ["u1"], "n": [1]})
empty.clear().write_avro("polars-empty.avro", name="rec")

# A block without records, and one with records behind it: what is left when such files are appended to.
with open("polars-empty.avro", "rb") as f:
    head = f.read()
empty.write_avro("polars-appended.avro", name="rec")
with open("polars-appended.avro", "rb") as f:
    whole = f.read()
header = len(head) - 18  # an empty block is two zero bytes and the marker
assert head[header:header + 2] == b"\0\0"
marker, new = head[-16:], whole[header - 16:header]
with open("polars-appended.avro", "wb") as f:
    f.write(head + whole[header:].replace(new, marker))
