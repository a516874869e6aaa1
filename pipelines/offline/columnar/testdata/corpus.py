"""Writes beside each Parquet file of a folder what pyarrow reads in it, for TestCorpus: python corpus.py FOLDER

NAME.parquet.json has a list of cells for each column: null, a text for a plain value, a list of these, or a list of pairs of
them for a map or a struct. Numbers are decimal digits, floats their 64 bits as an integer (or NaN), texts hexadecimal, moments
ms since 1970. A column that cannot be said so is left out. Made with pyarrow 26.
"""

import json
import pathlib
import struct
import sys
import uuid

import pyarrow as pa
import pyarrow.parquet as pq


def plain(t):
    """How a value of a type is said, or None for a type that is not plain."""
    if pa.types.is_boolean(t):
        return lambda v: str(int(v))
    if pa.types.is_integer(t):
        return str
    if pa.types.is_floating(t):
        return lambda v: "NaN" if v != v else str(struct.unpack("<q", struct.pack("<d", float(v)))[0])
    if pa.types.is_decimal(t):
        return lambda v: format(v, "f")
    if isinstance(t, pa.UuidType):
        return lambda v: str(v if isinstance(v, uuid.UUID) else uuid.UUID(bytes=v)).encode().hex()
    if any(is_it(t) for is_it in (pa.types.is_string, pa.types.is_large_string, pa.types.is_string_view)):
        return lambda v: v.encode("utf-8", "surrogateescape").hex()
    if any(is_it(t) for is_it in (pa.types.is_binary, pa.types.is_large_binary, pa.types.is_fixed_size_binary, pa.types.is_binary_view)):
        return lambda v: v.hex()
    if pa.types.is_null(t):
        return str
    if isinstance(t, pa.BaseExtensionType):
        return plain(t.storage_type)
    return None


MS = {"s": lambda v: v * 1000, "ms": lambda v: v, "us": lambda v: v // 1000, "ns": lambda v: v // 1_000_000}


def cells(column):
    """The cells of a column, or None where its type is beyond what is compared."""
    t = column.type
    if pa.types.is_dictionary(t):
        return cells(column.cast(t.value_type))
    if pa.types.is_timestamp(t):
        return [None if v is None else str(MS[t.unit](v)) for v in column.cast(pa.int64()).to_pylist()]
    if pa.types.is_date32(t):
        return [None if v is None else str(v * 86_400_000) for v in column.cast(pa.int32()).to_pylist()]
    say = lambda f: lambda v: None if v is None else f(v)
    if plain(t):
        return [say(plain(t))(v) for v in column.to_pylist()]
    if (pa.types.is_list(t) or pa.types.is_large_list(t)) and plain(t.value_type):
        return [[say(plain(t.value_type))(e) for e in v or []] for v in column.to_pylist()]
    if pa.types.is_map(t) and plain(t.key_type) and plain(t.item_type):
        return [[[say(plain(t.key_type))(k), say(plain(t.item_type))(e)] for k, e in v or []] for v in column.to_pylist()]
    if pa.types.is_struct(t) and all(plain(f.type) for f in t):
        return [[[f.name.encode().hex(), say(plain(f.type))(v[f.name])] for f in t] if v else [] for v in column.to_pylist()]
    return None


def dump(path):
    """Writes what pyarrow reads in a file beside it, and returns what could not be read, or said."""
    out = path.with_name(path.name + ".json")
    out.unlink(missing_ok=True)
    try:
        # INT96 reaches further in ms than in pyarrow's nanoseconds.
        table = pq.ParquetFile(path, coerce_int96_timestamp_unit="ms", page_checksum_verification=True).read()
        columns = {name: cells(table[i]) for i, name in enumerate(table.column_names)}
    except (OSError, pa.ArrowException, ValueError) as error:
        return str(error)
    out.write_text(json.dumps({name: c for name, c in columns.items() if c is not None}))
    return " ".join(f"no {name}" for name, c in columns.items() if c is None)


if __name__ == "__main__":
    for path in sorted(pathlib.Path(sys.argv[1]).rglob("*.parquet")):
        print(path.name, dump(path))
