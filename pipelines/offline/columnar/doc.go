// Package columnar reads Parquet files that nobody vouches for, row by row: columns of plain values, lists, maps and structs of
// them.
//
// The pages are decoded here. Of github.com/parquet-go/parquet-go only the footer and the page headers' format is used: it
// believes what pages say about themselves, and allocates by it. Apache's own
// github.com/apache/arrow-go/v18 (18.8) bounds what headers declare, and not what a page unpacks to. It panicked on one file of
// Apache's corpus, reads neither the empty page in it nor Hadoop's LZ4, and took
// 1.6 (its column readers) to 2.8 times (its records) as long for a file of interactions: so it was not taken.
//
// It may import the format package of parquet-go, for the names of encodings and codecs, and decompressors. What always holds in it:
//
//   - No bytes make it panic, or allocate more than Bounds and a small multiple of the footer: each size that a file declares is
//     compared with a bound, or with what is there, before it is believed.
//   - One page of each column that is asked for is in memory, and its dictionary; never a whole column. All of them together are
//     bounded, too.
//   - Values are decoded in batches, into memory that is used again and again: nothing is allocated for a value or a page.
//   - A value is exact: decimals and whole numbers beyond an int64 are digits, and only moments are cut, to ms.
//   - What it cannot read (encryption, deeper nesting, rare types) is an error that names the column and a remedy that the writer
//     has.
//
// testdata/fixtures.py writes the fixtures. testdata/corpus.py writes beside the Parquet files of a folder what pyarrow reads in
// them; TestCorpus compares, with FRESHET_PARQUET_TESTING naming the folder, say a copy of Apache's parquet-testing.
package columnar
