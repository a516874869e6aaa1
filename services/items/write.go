package items

import (
	"context"
	_ "embed"
	"encoding/binary"
	"fmt"
	"math"

	"github.com/redis/go-redis/v9"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/redisdb"
)

// Change is one record of the items topic, with what the item tower of one model made of it.
type Change struct {
	// Record is the item's new state. Of a tombstone it has the ItemID alone.
	Record    schemas.ItemChange
	Tombstone bool
	// Model is the version of the item tower; without one neither vector nor index is looked at.
	Model string
	// Vector is the tower's output; not needed for a deletion and for a change that is not among the Winners.
	Vector []float32
	// FilterDigest tells apart what the index's other columns hold; not looked at for a deletion.
	FilterDigest uint64
}

// OfNobody says that the change was a tombstone of an item of which nothing was known.
func (o *Outcome) OfNobody() bool {
	return o.Status == Applied && o.Mark.Deleted && o.Mark.Version == math.MinInt64
}

// Status says what became of a change.
type Status uint8

const (
	// Unwritten says that the change is not written, and the Outcome's Err why.
	Unwritten Status = iota
	// Applied says that the catalogue has changed.
	Applied
	// Replayed says that the catalogue held this version already.
	Replayed
	// Stale says that the catalogue holds a newer version.
	Stale
	// Superseded says that another change of the same call won over it.
	Superseded
)

// Outcome is the answer to one Change.
type Outcome struct {
	Status Status
	// NeedsIndex asks to upsert the item's row in the candidate index (or to delete it, if Mark.Deleted), then to call
	// MarkIndexed with Mark.
	NeedsIndex bool
	Mark       Mark
	// Last says that the change is its item's last one in the call. Held is then what the catalogue holds instead of it, nil where the
	// change is what it holds: a topic that is compacted keeps its last record of an item, not the one that won.
	Last bool
	Held *Item
	Err  error
}

//go:embed write.lua
var writeSource string

var writeScript = redisdb.NewScript(writeSource)

// Write brings changes into the catalogue, each item in one atomic step, in three pipelined round trips for all of them (two,
// if no change has a vector; one more, if profiles wait for a vector). The outcomes are aligned with changes. The changes of one item
// have the effect of being written one after the other. An Outcome with Err can be written again; the error of Write itself is about
// the shelf of recent items, and all changes can be written again.
func (s *Store) Write(ctx context.Context, changes []Change) ([]Outcome, error) {
	outcomes := make([]Outcome, len(changes))
	for i := range outcomes {
		outcomes[i].Status = Superseded
	}
	folds := foldByItem(changes)
	same := s.nearlyStored(ctx, changes, folds)
	calls := make([]redisdb.Call, len(folds))
	for i, f := range folds {
		calls[i] = s.writeCall(changes, f, same[i])
	}
	var waited []arrived
	for i, answer := range writeScript.Run(ctx, s.rdb, calls) {
		s.readOutcome(ctx, outcomes, changes, folds[i], answer)
		waited = append(waited, waitedFor(changes, folds[i].last(), answer)...)
	}
	s.queueArrivals(ctx, waited, outcomes)
	return outcomes, s.shelveRecent(ctx, changes, outcomes)
}

func (s *Store) writeCall(changes []Change, f fold, same string) redisdb.Call {
	id := changes[f.last()].Record.ItemID
	tombstone, before := "0", ""
	if f.tombstone >= 0 {
		tombstone = "1"
		if f.before >= 0 {
			st := stampOf(&changes[f.before])
			before = string(st[:])
		}
	}
	c := &changes[f.last()]
	var record, vector []byte
	if f.winner >= 0 {
		record, vector = encodeRecord(&c.Record), appendFloats(nil, c.Vector)
	}
	return redisdb.Call{
		Keys: []string{s.recordKey(id), s.vectorsKey(id), s.waitersKey(c.Model, id)},
		Args: []any{
			tombstone, before, record, c.Model, vector, digestBytes(f.mark(changes)), same,
			s.cfg.DeletedRetention.Milliseconds(),
		},
	}
}

// readOutcome takes the script's answer apart for the tombstone and for the winner of one item.
func (s *Store) readOutcome(ctx context.Context, outcomes []Outcome, changes []Change, f fold, answer *redis.Cmd) {
	id := changes[f.last()].Record.ItemID
	parts, err := answer.Slice()
	if err != nil {
		err = s.writeError(ctx, id, err)
		for _, i := range []int{f.tombstone, f.winner} {
			if i >= 0 {
				outcomes[i] = Outcome{Err: err}
			}
		}
		return
	}
	stored, _ := readStamp(parts[2].(string))
	needsIndex := parts[3].(int64) == 1
	for i, part := range []int{f.tombstone, f.winner} {
		if part < 0 {
			continue
		}
		outcomes[part].Status = statusOf(parts[i].(string))
	}
	outcomes[f.final].Last = true
	if outcomes[f.final].Held, err = s.heldInstead(changes, f, stored, parts[5].(string)); err != nil {
		for _, i := range []int{f.tombstone, f.winner, f.final} {
			if i >= 0 {
				outcomes[i] = Outcome{Err: err}
			}
		}
		return
	}
	decisive := f.winner
	if decisive < 0 || outcomes[decisive].Status == Stale && f.tombstone >= 0 {
		decisive = f.tombstone
	} else if f.tombstone >= 0 {
		outcomes[f.tombstone].Status = Superseded
	}
	mark := Mark{ItemID: id, Version: stored.version(), Deleted: stored.deleted(), FilterDigest: changes[decisive].FilterDigest}
	outcomes[decisive].NeedsIndex, outcomes[decisive].Mark = needsIndex, mark
}

// waitedFor lists the prefixes of profiles that wait for the item.
func waitedFor(changes []Change, change int, answer *redis.Cmd) (waited []arrived) {
	parts, err := answer.Slice()
	if err != nil {
		return nil // the Outcome says so
	}
	for _, prefix := range parts[4].([]any) {
		waited = append(waited, arrived{change, prefix.(string), changes[change].Model, changes[change].Record.ItemID})
	}
	return waited
}

// writeError asks what is wrong with a record that the script could not read.
func (s *Store) writeError(ctx context.Context, id string, err error) error {
	if redis.HasErrorPrefix(err, "UNREADABLE") {
		stored, loadErr := s.Load(ctx, []string{id})
		if loadErr == nil && stored[0] != nil && stored[0].Err != nil {
			return stored[0].Err
		}
	}
	return fmt.Errorf("writing item %q: %w", id, err)
}

func statusOf(word string) Status {
	switch word {
	case "applied":
		return Applied
	case "replayed":
		return Replayed
	default:
		return Stale
	}
}

// nearlyStored reads what is stored for the winners that have a vector and returns, for each fold, the stamp of the stored
// and indexed vector that the new one equals nearly. The script looks again whether the stamp is still there, so what
// happens in between does no harm; nor does a read that failed or cannot be understood: the new vector is then written.
func (s *Store) nearlyStored(ctx context.Context, changes []Change, folds []fold) []string {
	same := make([]string, len(folds))
	reads := make([]*redis.SliceCmd, len(folds))
	pipe := s.rdb.Pipeline()
	for i, f := range folds {
		if f.winner < 0 || changes[f.winner].Model == "" || len(changes[f.winner].Vector) == 0 {
			continue
		}
		c := &changes[f.winner]
		reads[i] = pipe.HMGet(ctx, s.vectorsKey(c.Record.ItemID), vectorField(c.Model), markField(c.Model))
	}
	if pipe.Len() == 0 {
		return same
	}
	_, _ = pipe.Exec(ctx)
	for i, read := range reads {
		if read == nil || read.Err() != nil {
			continue
		}
		value, _ := read.Val()[0].(string)
		mark, _ := read.Val()[1].(string)
		made, vector, err := decodeVector(value)
		if err != nil || len(mark) != markBytes || mark[:stampBytes] != string(made[:]) {
			continue
		}
		if near(vector, changes[folds[i].winner].Vector, s.cfg.VectorTolerance) {
			same[i] = string(made[:])
		}
	}
	return same
}

// near compares with the stored vector, not with the one of the last change: many small steps do not add up unseen.
func near(stored, offered []float32, tolerance float64) bool {
	if len(stored) != len(offered) {
		return false
	}
	var distance, length float64
	for i, x := range stored {
		d := float64(x) - float64(offered[i])
		distance += d * d
		length += float64(x) * float64(x)
	}
	return math.Sqrt(distance) <= tolerance*math.Sqrt(length)
}

func digestBytes(m Mark) []byte {
	if m.Deleted {
		return make([]byte, 8)
	}
	return binary.BigEndian.AppendUint64(nil, m.FilterDigest)
}
