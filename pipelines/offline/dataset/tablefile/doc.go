// Package tablefile reads one file of rows, whatever its form: delimited text (CSV, TSV, and by other separators), JSON lines,
// Parquet, and Avro container files; all but Parquet may be compressed with gzip, zstd or bzip2. The form is told by the bytes,
// never by the name.
//
// It may import pipelines/offline/columnar, whose cells are what every form gives, and schemas/generic, which decodes Avro. It knows
// rows and columns, and nothing of Freshet's records. What always holds in it:
//
//   - Rows stream: memory is bounded by a row, or by a block of 64 MiB, whatever the file says of itself.
//   - A form that it does not read is refused by name, with the way to write another.
//   - Place names file and row as people count them: lines of text, rows of Parquet and Avro.
package tablefile
