#!/usr/bin/env bash
# parquet-go writes the zeros of an optional field as nulls, except where a run of values happens to lie so that it writes them as zeros.
#
# Versions   github.com/parquet-go/parquet-go v0.32.0, Go 1.26.
# Guess      A zero in a field with the tag `optional` that is no pointer is either always null, as its source says, or always 0.
# Behaviour  It depends on the neighbours. Rows are taken in blocks of 64 of one call of Write. Where a block starts with n nulls, goes on
#            with n values and has nothing but zeros after that, those zeros are stored as 0 (as "" and false, too) and not as null: one
#            value in row 1 makes 62 zeros of what would be 63 nulls. In two calls of Write the same rows give another file. So COUNT,
#            AVG and IS NULL over such a column change with the batch size. A pointer field (*int32) is exact.
# Freshet    Reads a null as absent and a 0 as 0; make such fields pointers.
# Needs      Go.
set -euo pipefail
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
cat >main.go <<'GO'
package main

import (
	"bytes"
	"fmt"

	"github.com/parquet-go/parquet-go"
)

type row struct {
	Rating  int32   `parquet:"rating,optional"`
	Comment string  `parquet:"comment,optional"`
	Pointer *string `parquet:"pointer,optional"`
}

// stored writes n rows of which those from..to-1 are set, batch rows a call, and prints how many nulls each column has.
func stored(n, from, to, batch int) {
	yes := "yes"
	rows := make([]row, n)
	for i := from; i < to; i++ {
		rows[i] = row{5, yes, &yes}
	}
	var file bytes.Buffer
	w := parquet.NewGenericWriter[row](&file)
	for len(rows) > 0 {
		now := min(batch, len(rows))
		if _, err := w.Write(rows[:now]); err != nil {
			panic(err)
		}
		rows = rows[now:]
	}
	if err := w.Close(); err != nil {
		panic(err)
	}
	read, err := parquet.OpenFile(bytes.NewReader(file.Bytes()), int64(file.Len()))
	if err != nil {
		panic(err)
	}
	back := make([]parquet.Row, n)
	if _, err := read.RowGroups()[0].Rows().ReadRows(back); err != nil && err.Error() != "EOF" {
		panic(err)
	}
	var nulls [3]int
	for _, r := range back {
		for column, value := range r {
			if value.IsNull() {
				nulls[column]++
			}
		}
	}
	fmt.Printf("%d rows, %d to %d set, %d a call: %d unset; nulls: rating %d, comment %d, pointer %d\n",
		n, from, to-1, batch, n-(to-from), nulls[0], nulls[1], nulls[2])
}

func main() {
	stored(64, 0, 1, 64)
	stored(64, 1, 2, 64)
	stored(64, 1, 3, 64)
	stored(64, 2, 4, 64)
	stored(64, 1, 2, 16)
	stored(64, 1, 2, 1)
	stored(128, 74, 84, 128)
}
GO
cat >go.mod <<'MOD'
module example

go 1.26

require github.com/parquet-go/parquet-go v0.32.0
MOD
go mod tidy 2>/dev/null
go run . | tee seen
cat >expected <<'SEEN'
64 rows, 0 to 0 set, 64 a call: 63 unset; nulls: rating 63, comment 63, pointer 63
64 rows, 1 to 1 set, 64 a call: 63 unset; nulls: rating 1, comment 1, pointer 63
64 rows, 1 to 2 set, 64 a call: 62 unset; nulls: rating 62, comment 62, pointer 62
64 rows, 2 to 3 set, 64 a call: 62 unset; nulls: rating 2, comment 2, pointer 62
64 rows, 1 to 1 set, 16 a call: 63 unset; nulls: rating 49, comment 49, pointer 63
64 rows, 1 to 1 set, 1 a call: 63 unset; nulls: rating 63, comment 63, pointer 63
128 rows, 74 to 83 set, 128 a call: 118 unset; nulls: rating 74, comment 74, pointer 118
SEEN
diff expected seen
