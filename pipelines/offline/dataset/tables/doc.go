// Package tables reads interactions and items from files of rows, and writes them. Mapping says which files of a folder hold what; without
// one they are called interactions and items, the format `events` of the commands.
//
// A folder is gone over twice: Survey looks at all rows and finds out how each column is written (columns.go finds the columns, times.go
// and lists.go the forms of their values), and then the records are made. It may import schemas, pipelines/offline/columnar and
// tablefile, and parquet-go and goavro to write with. What always holds in it:
//
//   - What Writer writes, Folder reads as the same records.
//   - A file is written whole or not at all.
//   - A column has one form. What is unclear is an error that names the option which settles it; what makes no sense is one that
//     names file, row, column, value and remedy. No row and no column is left out in silence.
//   - Files of a lake's table are never read as if all of them were data.
//   - Rows stream: no file is in memory as a whole, but for a pivot and where the newest of several rows is taken.
package tables
