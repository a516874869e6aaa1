package profiles

import (
	"context"
	"fmt"

	"github.com/redis/go-redis/v9"

	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/towers"
)

// vectorSet holds the item vectors that a batch has read, for each live model. They are read once: all that a batch computes
// sees the same vector of an item.
type vectorSet struct {
	towers []*towers.UserTower
	// vectors maps, for each tower, the items that were asked for; to nil where an item has no vector.
	vectors []map[string][]float32
	// errs says why an item's vector could not be read.
	errs map[string]error
}

func newVectorSet(live []*towers.UserTower) *vectorSet {
	v := &vectorSet{towers: live, vectors: make([]map[string][]float32, len(live)), errs: map[string]error{}}
	for m := range v.vectors {
		v.vectors[m] = map[string][]float32{}
	}
	return v
}

func (v *vectorSet) has(model int, itemID string) bool { return v.vectors[model][itemID] != nil }

func (v *vectorSet) steps(model int) bool { return v.towers[model].Recurrent() }

func (v *vectorSet) knows(model int, itemID string) bool {
	_, known := v.vectors[model][itemID]
	return known || v.errs[itemID] != nil
}

// queuedVectors are reads that wait for their pipeline.
type queuedVectors struct {
	ids   []string
	reads []*items.VectorReads // by model
}

func (v *vectorSet) queue(ctx context.Context, store *items.Store, pipe redis.Pipeliner, ids []string) queuedVectors {
	q := queuedVectors{ids: ids}
	for _, tower := range v.towers {
		q.reads = append(q.reads, store.QueueVectors(ctx, pipe, tower.Version(), ids))
	}
	return q
}

func (v *vectorSet) take(q queuedVectors) {
	for m, reads := range q.reads {
		tower := v.towers[m]
		for i, id := range q.ids {
			vector, err := reads.Vector(i)
			if err == nil && vector != nil && len(vector) != tower.Dim() {
				err = reads.Refuse(i, fmt.Errorf("it has %d numbers where model %s has %d", len(vector), tower.Version(), tower.Dim()))
			}
			if err != nil {
				v.errs[id] = err
				continue
			}
			v.vectors[m][id] = vector
		}
	}
}

// encode moves the tastes of all users as their plans say. Tastes that move on go together, first each one's first event,
// then each one's second: the tower gives the same bits for a batch as for one.
func (b *batch) encode(pending []*work) {
	for m, tower := range b.vectors.towers {
		var tastes []*taste
		var rest [][][]float32
		for _, w := range pending {
			if w.err != nil || len(w.plan.moves[m].items) == 0 {
				continue
			}
			mv := &w.plan.moves[m]
			vectors := b.vectors.of(m, mv.items)
			if mv.anew {
				mv.taste.state, mv.taste.embedding = make([]float32, tower.StateSize()), make([]float32, tower.Dim())
				tower.Encode(mv.taste.state, mv.taste.embedding, vectors)
				continue
			}
			tastes, rest = append(tastes, mv.taste), append(rest, vectors)
		}
		advance(tower, tastes, rest)
	}
}

// of leaves out items without a vector: they do not move the tower.
func (v *vectorSet) of(model int, ids []string) [][]float32 {
	vectors := make([][]float32, 0, len(ids))
	for _, id := range ids {
		if vector := v.vectors[model][id]; vector != nil {
			vectors = append(vectors, vector)
		}
	}
	return vectors
}

func advance(tower *towers.UserTower, tastes []*taste, rest [][][]float32) {
	states, embeddings := make([][]float32, len(tastes)), make([][]float32, len(tastes))
	next := make([][]float32, len(tastes))
	for round := 0; ; round++ {
		n := 0
		for i, t := range tastes {
			if round < len(rest[i]) {
				states[n], embeddings[n], next[n] = t.state, t.embedding, rest[i][round]
				n++
			}
		}
		if n == 0 {
			return
		}
		tower.AdvanceBatch(states[:n], embeddings[:n], next[:n])
	}
}
