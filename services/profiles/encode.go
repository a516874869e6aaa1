package profiles

import (
	"context"
	"fmt"
	"slices"

	"github.com/redis/go-redis/v9"

	"github.com/freshet/freshet/schemas"
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

func (v *vectorSet) reads(model int, kind schemas.InteractionType) bool {
	return v.towers[model].Reads(kind)
}

// readsAny tells whether events of a kind move any of the models.
func (v *vectorSet) readsAny(kind schemas.InteractionType) bool {
	return slices.ContainsFunc(v.towers, func(t *towers.UserTower) bool { return t.Reads(kind) })
}

func (v *vectorSet) has(model int, itemID string) bool { return v.vectors[model][itemID] != nil }

// forget has an item's vectors read again.
func (v *vectorSet) forget(itemID string) {
	for m := range v.vectors {
		delete(v.vectors[m], itemID)
	}
	delete(v.errs, itemID)
}

func (v *vectorSet) reach(model int) int { return v.towers[model].Reach() }

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

// encode moves the tastes of all users as their plans say, those of a model together.
func (b *batch) encode(pending []*work) {
	for m, tower := range b.vectors.towers {
		vector := func(id string) []float32 { return b.vectors.vectors[m][id] }
		var states []*towers.State
		var embeddings [][]float32
		var acts [][]towers.Act
		for _, w := range pending {
			if w.err != nil || len(w.plan.moves[m].steps) == 0 {
				continue
			}
			w.undoAgain(m, func(id string) bool { return b.vectors.has(m, id) })
			mv := &w.plan.moves[m]
			if len(mv.steps) == 0 {
				continue
			}
			if mv.anew {
				mv.taste.embedding = make([]float32, tower.Dim())
			}
			states, embeddings = append(states, &mv.taste.state), append(embeddings, mv.taste.embedding)
			acts = append(acts, actsOf(mv.steps, vector))
		}
		tower.FollowBatch(states, embeddings, acts)
	}
}
