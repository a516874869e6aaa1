package items

import (
	"context"
	_ "embed"
	"fmt"

	"github.com/freshet/freshet/services/redisdb"
)

// Mark names what the candidate index was made to hold of one item.
type Mark struct {
	ItemID  string
	Version int64
	// Deleted: the row was deleted.
	Deleted      bool
	FilterDigest uint64
}

//go:embed mark.lua
var markSource string

var markScript = redisdb.NewScript(markSource)

// MarkIndexed notes that the index holds the items as they are stored. It returns the items whose record has moved on since:
// the row that was upserted may have overwritten a newer one, so the caller indexes what is stored now and marks again.
//
//	old owner: writes version 1 to Redis ............................ upserts version 1, marks: moved -> indexes version 2
//	new owner: ............................ writes 2, upserts 2, marks
func (s *Store) MarkIndexed(ctx context.Context, model string, marks []Mark) (moved []string, err error) {
	calls := make([]redisdb.Call, len(marks))
	for i, m := range marks {
		st := makeStamp(m.Version, m.Deleted)
		calls[i] = redisdb.Call{
			Keys: []string{s.recordKey(m.ItemID), s.vectorsKey(m.ItemID)},
			Args: []any{st[:], model, digestBytes(m)},
		}
	}
	for i, answer := range markScript.Run(ctx, s.rdb, calls) {
		marked, err := answer.Int()
		if err != nil {
			return nil, fmt.Errorf("marking item %q as indexed: %w", marks[i].ItemID, err)
		}
		if marked == 0 {
			moved = append(moved, marks[i].ItemID)
		}
	}
	return moved, nil
}
