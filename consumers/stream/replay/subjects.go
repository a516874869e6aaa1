package replay

import (
	"context"
	"hash/maphash"

	"github.com/freshet/freshet/consumers/stream/partition"
)

// Subjects is a Handler that knows whom or what a record is about. Its value says so, and a key need not say the same.
type Subjects interface {
	// Subject returns the id, or an error; IsPermanent tells of a record that is about nobody.
	Subject(ctx context.Context, r *partition.Record) (id string, err error)
}

var shardSeed = maphash.MakeSeed()

// sharded deals a batch out to n parts, all records of one subject to the same part. A key alone would not do where one names another
// id than the value:
//
//	part of key "u":       user u's event at offset 5 ............................ is below the watermark: skipped
//	part of no key at all: user u's event at offset 10: the watermark is 10
//
// While it cannot be told whom a record is about, since the registry is away, all are one part.
func sharded(ctx context.Context, h partition.Handler, batch []partition.Record, n int) [][]partition.Record {
	parts := make([][]partition.Record, n)
	subjects, told := h.(Subjects)
	for i := range batch {
		at := maphash.Bytes(shardSeed, batch[i].Key)
		if told {
			id, err := subjects.Subject(ctx, &batch[i])
			switch {
			case err == nil:
				at = maphash.String(shardSeed, id)
			case !partition.IsPermanent(err):
				return [][]partition.Record{batch}
			}
		}
		parts[at%uint64(n)] = append(parts[at%uint64(n)], batch[i])
	}
	return parts
}
