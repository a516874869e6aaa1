package recommender

import (
	"context"

	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/towers"
)

// Where a candidate came from, as a reply names it.
const (
	sourceRetrieval = "retrieval"
	sourceSimilar   = "similar"
	sourcePopular   = "popular"
	sourceRecent    = "recent"
)

// makeVectors gives each job the vector to search with: the seed item's, the profile's embedding, or, where the profile has
// none of the live version or the request carries newer events, one that is encoded on the fly.
func (b *batch) makeVectors(ctx context.Context) {
	if b.model == "" {
		return
	}
	var encode []*job
	var needed []string
	for _, j := range b.jobs {
		ids := j.vectorsNeeded()
		if len(ids) == 0 {
			if j.profile != nil {
				j.vector = j.profile.Embedding
			}
			continue
		}
		encode = append(encode, j)
		needed = append(needed, ids...)
	}
	if len(encode) == 0 {
		return
	}
	needed = unique(needed)
	read, err := b.service.Items.Vectors(ctx, b.model, needed)
	if err != nil {
		for _, j := range encode {
			j.trouble("item vectors: %v", err)
		}
		return
	}
	vectors := make(map[string][]float32, len(needed))
	for i, id := range needed {
		vectors[id] = read[i]
	}
	tower := b.service.tower(b.model)
	for _, j := range encode {
		j.encode(tower, b.model, vectors)
	}
}

func (s *Service) tower(version string) *towers.UserTower {
	for _, t := range s.Towers() {
		if t.Version() == version {
			return t
		}
	}
	return nil
}

// vectorsNeeded names the items whose vectors the job's own vector is made from; none where the embedding is ready.
func (j *job) vectorsNeeded() []string {
	if j.request.SeedItemID != "" {
		return []string{j.request.SeedItemID}
	}
	ids := j.newTaste()
	if j.profile == nil {
		return ids
	}
	stale := j.profile.Embedding == nil || len(ids) > 0 && j.profile.State == nil
	if stale {
		for _, e := range j.profile.History {
			if towers.CountsForTaste(e.Type) {
				ids = append(ids, e.ItemID)
			}
		}
	}
	return ids
}

// newTaste lists, in the order of the request, the items of its own events that the profile does not hold yet.
func (j *job) newTaste() []string {
	var ids []string
	for i := range j.request.Recent {
		e := &j.request.Recent[i]
		if towers.CountsForTaste(e.Type) && !inHistory(j.profile, e.ItemID, e.OccurredAt.UnixMilli()) {
			ids = append(ids, e.ItemID)
		}
	}
	return ids
}

func inHistory(p *profiles.Profile, itemID string, millis int64) bool {
	if p == nil {
		return false
	}
	for _, e := range p.History {
		if e.ItemID == itemID && e.OccurredAt.UnixMilli() == millis {
			return true
		}
	}
	return false
}

// encode makes the job's vector from item vectors. Items without one (unknown to the catalogue, or not encoded yet) do not
// move the tower, as in the profile itself.
func (j *job) encode(tower *towers.UserTower, model string, vectors map[string][]float32) {
	if seed := j.request.SeedItemID; seed != "" {
		j.vector, j.source = vectors[seed], sourceSimilar
		if j.vector == nil {
			j.trouble("seed_item_id: item %q is not in the catalogue of model %s: send an item that is", seed, model)
		}
		return
	}
	if tower == nil {
		j.trouble("user tower: version %s is live but not loaded here: load its bundle", model)
		if j.profile != nil {
			j.vector = j.profile.Embedding
		}
		return
	}
	state, embedding := make([]float32, tower.StateSize()), make([]float32, tower.Dim())
	moved := false
	switch {
	case j.profile == nil:
	case j.profile.State != nil && j.profile.Embedding != nil:
		copy(state, j.profile.State)
		copy(embedding, j.profile.Embedding)
		moved = true
	default:
		past := historyVectors(j.profile, vectors)
		moved = len(past) > 0
		tower.Encode(state, embedding, past)
	}
	for _, id := range j.newTaste() {
		if v := vectors[id]; v != nil {
			tower.Advance(state, embedding, v)
			moved = true
		}
	}
	if moved {
		j.vector = embedding
	}
}

// historyVectors returns the vectors of the history, oldest first.
func historyVectors(p *profiles.Profile, vectors map[string][]float32) [][]float32 {
	past := make([][]float32, 0, len(p.History))
	for i := len(p.History) - 1; i >= 0; i-- {
		e := &p.History[i]
		if v := vectors[e.ItemID]; v != nil && towers.CountsForTaste(e.Type) {
			past = append(past, v)
		}
	}
	return past
}

func unique(ids []string) []string {
	seen := make(map[string]struct{}, len(ids))
	out := ids[:0]
	for _, id := range ids {
		if _, again := seen[id]; !again {
			seen[id] = struct{}{}
			out = append(out, id)
		}
	}
	return out
}
