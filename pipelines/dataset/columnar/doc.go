// Package columnar reads Parquet files, row by row, that nobody vouches for: columns of plain values, lists of them, and maps.
//
// The library github.com/parquet-go/parquet-go decodes the footer and the page headers here, and writes Parquet elsewhere. It
// does not decode the pages: it believes what they say about themselves. Six bytes of a run in a page of levels, or a page that
// unpacks to more than its header says, make it allocate gigabytes. Here a page is read value by value, and nothing is
// allocated that a bound does not cover.
//
// It may import the format and thrift packages of parquet-go, and decompressors. What always holds in it:
//
//   - No bytes make it panic, or allocate more than Bounds and a small multiple of the footer: each size that a file declares is
//     compared with a bound, or with what is there, before it is believed.
//   - One page of each column that is asked for is in memory, and its dictionary; never a whole column.
//   - What it cannot read (encryption, deeper nesting, rare encodings) is an error that names the column and the remedy.
package columnar
