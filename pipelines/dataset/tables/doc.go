// Package tables reads and writes interactions and items as tables: files interactions and items, each a CSV or a Parquet file, in
// a folder. It is the format `events` of the commands.
//
// The columns are named as the fields of the records are (schemas/avro), or as Columns says. It may import schemas,
// pipelines/dataset/columnar, and parquet-go to write with. What always holds in it:
//
//   - What Writer writes, Folder reads as the same records.
//   - A file is written whole or not at all.
//   - A cell that makes no sense is an error that names file, row, column, value and remedy. No row is left out in silence.
//   - Rows stream: no file is in memory as a whole.
package tables
