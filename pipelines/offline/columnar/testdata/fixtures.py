"""Writes types-*.parquet, with the same rows in several sets of encodings, and empty.parquet, with row groups of no rows, and
beside them what pyarrow reads: python fixtures.py. Made with pyarrow 26.
"""

import decimal
import pathlib
import uuid

import pyarrow as pa
import pyarrow.parquet as pq

import corpus

N = 60
decimal.getcontext().prec = 100
D = decimal.Decimal


def some(f, every=7):
    """Values of f, with a null now and then."""
    return [None if i % every == 3 else f(i) for i in range(N)]


def table():
    signed = lambda i: (i - N // 2) * 1_000_003 ** (i % 3)
    fields = {
        "decimal32": pa.array(some(lambda i: D(i * 37 - 500).scaleb(-2)), pa.decimal128(9, 2)),
        "decimal64": pa.array(some(lambda i: D(signed(i)).scaleb(-3)), pa.decimal128(18, 3)),
        "decimal128": pa.array(some(lambda i: D(signed(i) * 10**20 + i)), pa.decimal128(38, 0)),
        "decimal256": pa.array(some(lambda i: D(signed(i) * 10**50 + i).scaleb(-70)), pa.decimal256(76, 70)),
        "uuid": pa.array(some(lambda i: uuid.UUID(int=(i % 40) * 2**121 + i % 40).bytes), pa.uuid()),
        "fixed": pa.array(some(lambda i: b"%05d" % (i % 50)), pa.binary(5)),
        "half": pa.array(some(lambda i: (i - 9) / 8), pa.float16()),
        "float": pa.array(some(lambda i: i / 3), pa.float32()),
        "double": pa.array(some(lambda i: float("nan") if i % 5 == 0 else i / 3), pa.float64()),
        "u64": pa.array(some(lambda i: 2**64 - 1 - i if i % 2 else i), pa.uint64()),
        "u32": pa.array(some(lambda i: 2**32 - 1 - i), pa.uint32()),
        "i32": pa.array(some(lambda i: (-1) ** i * i**3), pa.int32()),
        "i64": pa.array(some(lambda i: (-1) ** i * i**8), pa.int64()),
        "text": pa.array(some(lambda i: f"prefix-{i // 10}-ü-{i % 10}"), pa.string()),
        "one": pa.array([f"required {i}" for i in range(N)], pa.string()),
        "flag": pa.array(some(lambda i: i % 3 == 0), pa.bool_()),
        "ns": pa.array(some(lambda i: i * 10**15 - 1), pa.timestamp("ns", "Europe/Berlin")),
        "us": pa.array(some(lambda i: i * 10**12 - 1), pa.timestamp("us")),
        "json": pa.array(some(lambda i: '["a%d"]' % i), pa.json_()),
        "none": pa.nulls(N),
        "list": pa.array(some(lambda i: [None if j == 2 else f"{i}.{j}" for j in range(i % 5)]), pa.list_(pa.string())),
        "prices": pa.array(some(lambda i: [D(i * j) for j in range(i % 4)]), pa.list_(pa.decimal128(20, 0))),
        "map": pa.array(some(lambda i: [(f"k{j}", None if j == 1 else j / 2) for j in range(i % 4)]), pa.map_(pa.string(), pa.float64())),
        "struct": pa.array(
            some(lambda i: {"size": i, "colour": None if i % 2 else f"c{i}"}), pa.struct([("size", pa.int32()), ("colour", pa.string())])
        ),
    }
    schema = pa.schema([pa.field(name, a.type, nullable=name != "one") for name, a in fields.items()])
    return pa.table(list(fields.values()), schema=schema)


def encodings(t, numbers, texts, fixed):
    found = {}
    for f in t.schema:
        if pa.types.is_floating(f.type) and f.type != pa.float16() or pa.types.is_integer(f.type):
            found[f.name] = numbers if numbers != "DELTA_BINARY_PACKED" or pa.types.is_integer(f.type) else "PLAIN"
        elif pa.types.is_timestamp(f.type):
            found[f.name] = numbers
        elif f.type in (pa.string(), pa.json_()):
            found[f.name] = texts
        elif f.name in ("fixed", "uuid", "decimal128", "decimal256", "half"):
            found[f.name] = fixed
    found |= {
        "list.list.element": texts,
        "map.key_value.key": texts,
        "struct.size": numbers,
        "struct.colour": texts,
        "prices.list.element": fixed,
    }
    return found


t = table()
small = {"data_page_size": 128, "write_batch_size": 8, "row_group_size": 45, "write_statistics": False}
pq.write_table(t, "types-dictionary.parquet", compression="brotli", **small)
pq.write_table(t, "types-plain.parquet", use_dictionary=False, compression="none", store_decimal_as_integer=True, write_page_checksum=True, **small)
for name, version, codec, by in [
    ("delta", "2.0", "zstd", encodings(t, "DELTA_BINARY_PACKED", "DELTA_BYTE_ARRAY", "DELTA_BYTE_ARRAY")),
    ("split", "1.0", "snappy", encodings(t, "BYTE_STREAM_SPLIT", "DELTA_LENGTH_BYTE_ARRAY", "BYTE_STREAM_SPLIT")),
]:
    pq.write_table(
        t, f"types-{name}.parquet", use_dictionary=False, column_encoding=by, data_page_version=version, compression=codec,
        store_decimal_as_integer=name == "delta", **small
    )

t = t.select(["one", "u64", "list"])
with pq.ParquetWriter("empty.parquet", t.schema.remove_metadata(), write_statistics=False) as w:
    for piece in (t.slice(0, 0), t.slice(0, 3), t.slice(0, 0), t.slice(3, 2), t.slice(0, 0)):
        w.write_table(piece)

for path in sorted(pathlib.Path().glob("types-*.parquet")) + [pathlib.Path("empty.parquet")]:
    print(path, corpus.dump(path))
pathlib.Path("types-plain.parquet.json").rename("types.json")  # they are all the same
for path in pathlib.Path().glob("types-*.json"):
    path.unlink()
