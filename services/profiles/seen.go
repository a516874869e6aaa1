package profiles

import (
	"context"
	_ "embed"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/freshet/freshet/services/redisdb"
)

// A user's seen items are 4-byte fingerprints, one appended to the other without a look at those before, but for the items of
// the history. What an item that came again has left twice goes when the set has grown by half since it was distinct last
// (compact): an event costs no more than its append, and the set no more than one and a half times its distinct items.

// seenBytes is the length of an item's fingerprint in the set of seen items.
const seenBytes = 4

// compactSeenAt is the length in fingerprints up to which a set is left as it is.
const compactSeenAt = 1024

// fingerprints is a set of them, by open addressing.
type fingerprints struct {
	slots []uint32
	zero  bool // 0 stands for an empty slot
	count int
}

func newFingerprints(n int) *fingerprints {
	size := 1
	for size <= 2*n {
		size *= 2
	}
	return &fingerprints{slots: make([]uint32, size)}
}

func (f *fingerprints) place(fp uint32) int {
	mask := len(f.slots) - 1
	at := int(fp) & mask
	for f.slots[at] != 0 && f.slots[at] != fp {
		at = (at + 1) & mask
	}
	return at
}

func (f *fingerprints) has(fp uint32) bool {
	if fp == 0 {
		return f.zero
	}
	return f.slots[f.place(fp)] == fp
}

// add tells whether the fingerprint was not there.
func (f *fingerprints) add(fp uint32) bool {
	if f.has(fp) {
		return false
	}
	f.count++
	if fp == 0 {
		f.zero = true
	} else {
		f.slots[f.place(fp)] = fp
	}
	return true
}

// distinctSeen leaves of each fingerprint the last one, and of those the last most.
func distinctSeen(seen string, most int) []byte {
	ids := unpackIDs(seen)
	have := newFingerprints(len(ids))
	kept := make([]uint32, 0, min(len(ids), most))
	for _, id := range slices.Backward(ids) {
		if len(kept) < most && have.add(id) {
			kept = append(kept, id)
		}
	}
	slices.Reverse(kept)
	return packIDs(make([]byte, 0, seenBytes*len(kept)), kept)
}

//go:embed compact.lua
var compactSource string

var compactScript = redisdb.NewScript(compactSource)

// overgrown tells that a set of this length is to be made distinct.
func (p *past) overgrown(seenLength int) bool {
	return int64(seenLength) > seenBytes*max(p.compactAt, compactSeenAt)
}

// compact makes the seen sets of users distinct who were just written. It changes no set and is no part of the fold: what
// fails here, or finds that another writer came first, is done at the user's next append.
func (b *batch) compact(ctx context.Context, grown []*work) {
	if len(grown) == 0 {
		return
	}
	s := b.store
	pipe := s.rdb.Pipeline()
	reads := make([]*redis.StringCmd, len(grown))
	for i, w := range grown {
		reads[i] = pipe.Get(ctx, s.seenKey(w.user))
	}
	// The error of Exec is the first of the reads' own errors.
	_, _ = pipe.Exec(ctx)
	var calls []redisdb.Call
	var called []*work
	var compactAt []int64
	for i, w := range grown {
		seen, err := reads[i].Result()
		if err != nil {
			continue
		}
		distinct := distinctSeen(seen, s.cfg.SeenItems)
		next := w.plan.past
		next.compactAt = max(compactSeenAt, int64(len(distinct)/seenBytes*3/2))
		calls = append(calls, redisdb.Call{
			Keys: []string{s.profileKey(w.user), s.seenKey(w.user)},
			Args: []any{w.revision, distinct, fieldPast, packPast(&next)},
		})
		called, compactAt = append(called, w), append(compactAt, next.compactAt)
	}
	for i, answer := range compactScript.Run(ctx, s.rdb, calls) {
		if done, err := answer.Int(); err == nil && done == 1 {
			called[i].plan.past.compactAt = compactAt[i]
		}
	}
}
