#!/usr/bin/env bash
# hamba/avro reads an Avro integer into a Go integer that is too small, or unsigned, without an error; the value wraps around.
#
# Versions   github.com/hamba/avro/v2 2.31.0, Go 1.26.
# Guess      What does not fit is an error, as in encoding/json; and since a long is refused for int32, uint64 and a double for float32,
#            the types that are taken are those that hold every value.
# Behaviour  A long goes into uint32 by its low 32 bits, an int into int8, int16, uint8, uint16 by its low bits. -1 becomes 4,294,967,295.
#            A default of a long goes by way of a float64 as well: 9,007,199,254,740,993 in the reader's schema is ...992 in the record.
# Freshet    Item versions are longs, often milliseconds: a consumer in Go that reads them into a uint32 orders them by their low bits.
#            schemas/ has a codec of its own, whose integers are exact.
# Needs      Go.
set -euo pipefail
work=$(mktemp -d)
trap 'chmod -R u+w "$work"; rm -rf "$work"' EXIT
cd "$work"
cat >main.go <<'GO'
package main

import (
	"fmt"

	"github.com/hamba/avro/v2"
)

func read[T any](schema string, written any) {
	s := avro.MustParse(schema)
	record, err := avro.Marshal(s, written)
	if err != nil {
		panic(err)
	}
	var got T
	if err := avro.Unmarshal(s, record, &got); err != nil {
		fmt.Printf("%s %v into %T: %v\n", schema, written, got, err)
		return
	}
	fmt.Printf("%s %v into %T is %v\n", schema, written, got, got)
}

func main() {
	read[uint32](`"long"`, int64(5_000_000_000))
	read[uint32](`"long"`, int64(-1))
	read[int32](`"long"`, int64(5_000_000_000))
	read[uint64](`"long"`, int64(5_000_000_000))
	read[int8](`"int"`, 300)
	read[uint16](`"int"`, -1)

	writer := avro.MustParse(`{"type": "record", "name": "item", "fields": [{"name": "a", "type": "int"}]}`)
	reader, err := avro.ParseWithCache(`{"type": "record", "name": "item", "fields": [{"name": "a", "type": "int"},
		{"name": "version", "type": "long", "default": 9007199254740993}]}`, "", new(avro.SchemaCache))
	if err != nil {
		panic(err)
	}
	both, err := avro.NewSchemaCompatibility().Resolve(reader, writer)
	if err != nil {
		panic(err)
	}
	record, err := avro.Marshal(writer, map[string]any{"a": 1})
	if err != nil {
		panic(err)
	}
	var got struct {
		Version int64 `avro:"version"`
	}
	if err := avro.Unmarshal(both, record, &got); err != nil {
		panic(err)
	}
	fmt.Println("the default 9007199254740993 is", got.Version)
}
GO
cat >go.mod <<'MOD'
module example

go 1.26

require github.com/hamba/avro/v2 v2.31.0
MOD
go mod tidy 2>/dev/null
go run . | tee seen
cat >expected <<'SEEN'
"long" 5000000000 into uint32 is 705032704
"long" -1 into uint32 is 4294967295
"long" 5000000000 into int32: avro: int32 is unsupported for Avro long
"long" 5000000000 into uint64: avro: uint64 is unsupported for Avro long
"int" 300 into int8 is 44
"int" -1 into uint16 is 65535
the default 9007199254740993 is 9007199254740992
SEEN
diff expected seen
