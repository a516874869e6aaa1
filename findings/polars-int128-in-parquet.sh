#!/usr/bin/env bash
# Polars writes an Int128 column into Parquet in a way that is its own: pyarrow then refuses the whole file, DuckDB sees bytes.
#
# Versions   polars 2.1.0, pyarrow 26.0.1, duckdb 2.0.1.
# Guess      Parquet has no integer beyond 64 bits, so write_parquet refuses Int128 or converts it, as DuckDB makes a double of its HUGEINT;
#            and a column that a reader does not know costs that column, not the others.
# Behaviour  It is written as 16 bytes of fixed length, lowest byte first, without a logical type; only the Arrow schema in the file's
#            metadata tells what it is, by a type that Arrow itself does not have. pyarrow (and so pandas) cannot read even the schema,
#            whichever columns are asked for. DuckDB gives a BLOB, which sorts by the lowest byte. Nobody has to ask for an Int128:
#            UInt64 + Int64 is one, and so is a column of read_csv with one number beyond 64 bits.
# Freshet    Item and user ids are strings there; cast such a column (to String, Int64 or Decimal) before the export.
# Needs      Python 3 with venv.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
python3 -m venv py
py/bin/pip -q --disable-pip-version-check install polars==2.1.0 pyarrow==26.0.1 duckdb==2.0.1

cat >write.py <<'PY'
import duckdb
import polars as pl
import pyarrow.parquet as pq

seen = pl.DataFrame({"user": ["ada", "bob"], "hash": pl.Series([255, 256], dtype=pl.UInt64), "shift": [1, 1]})
seen = seen.select("user", item=pl.col("hash") + pl.col("shift"))
print("UInt64 + Int64 is", seen.schema["item"])
print("read_csv gives", pl.read_csv(b"item\n7\n18446744073709551616\n").schema["item"])
seen.write_parquet("seen.parquet")

def tried(read):
    try:
        return read()
    except Exception as err:
        return f"{type(err).__name__}: {err}"

print("polars:", pl.read_parquet("seen.parquet")["item"].to_list())
print("pyarrow, column user:", tried(lambda: pq.read_table("seen.parquet", columns=["user"])))
print("pyarrow, the schema:", tried(lambda: pq.read_schema("seen.parquet")))
print("DuckDB:", duckdb.sql("select hex(item), typeof(item) from 'seen.parquet' order by item").fetchall())
kind = "select type, type_length, logical_type from parquet_schema('seen.parquet') where name = 'item'"
print("as stored:", duckdb.sql(kind).fetchall())
duckdb.sql("copy (select sum(x) as item from (values (1), (2)) t(x)) to 'sum.parquet'")
print("DuckDB's own HUGEINT:", pq.read_schema("sum.parquet").field("item").type)
PY
py/bin/python write.py | tee seen
cat >expected <<'SEEN'
UInt64 + Int64 is Int128
read_csv gives Int128
polars: [256, 257]
pyarrow, column user: ArrowNotImplementedError: Integers with more than 64 bits not implemented
pyarrow, the schema: ArrowNotImplementedError: Integers with more than 64 bits not implemented
DuckDB: [('00010000000000000000000000000000', 'BLOB'), ('01010000000000000000000000000000', 'BLOB')]
as stored: [('FIXED_LEN_BYTE_ARRAY', '16', None)]
DuckDB's own HUGEINT: double
SEEN
diff expected seen
