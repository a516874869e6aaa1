package recommender

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/redisdb"
	"github.com/freshet/freshet/services/towers"
)

// Where a candidate came from, as a reply names it.
const (
	sourceRetrieval = "retrieval"
	sourceSimilar   = "similar"
	sourcePopular   = "popular"
	sourceRecent    = "recent"
	sourcePinned    = "pinned"
)

// makeVectors gives each job the vector to search with: the seed item's, the profile's embedding, or, where the profile has
// none of the live version or the request carries newer events, one that is encoded on the fly.
func (b *batch) makeVectors(ctx context.Context) {
	if b.model == "" {
		return
	}
	var jobs []*job
	var needed [][]string
	for _, j := range b.jobs {
		ids := j.vectorsNeeded()
		if len(ids) == 0 {
			j.useEmbedding()
			continue
		}
		jobs, needed = append(jobs, j), append(needed, ids)
	}
	if len(jobs) > 0 {
		b.encode(ctx, jobs, needed)
	}
}

// encode makes the vectors of jobs from those of the items that each needs, read in one round trip.
func (b *batch) encode(ctx context.Context, jobs []*job, needed [][]string) {
	ids := unique(slices.Concat(needed...))
	read, err := b.service.Items.Vectors(ctx, b.model, ids)
	if unreadable(err) && len(jobs) > 1 {
		for i := range jobs { // a value that cannot be read is the trouble of those alone who need it
			b.encode(ctx, jobs[i:i+1], needed[i:i+1])
		}
		return
	}
	if err != nil {
		for _, j := range jobs {
			j.trouble("item vectors: %v", err)
			if j.request.SeedItemID == "" {
				j.useEmbedding()
			}
		}
		return
	}
	vectors := make(map[string][]float32, len(ids))
	for i, id := range ids {
		vectors[id] = read[i]
	}
	tower := b.service.tower(b.model)
	for _, j := range jobs {
		j.encode(tower, b.model, vectors)
	}
}

// unreadable tells that an error is about one stored value, not about Redis.
func unreadable(err error) bool {
	var newer *redisdb.NewerFormatError
	return redisdb.IsCorrupt(err) || errors.As(err, &newer)
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
	j.recent = j.newTaste()
	var ids []string
	for _, e := range j.tasteToEncode() {
		ids = append(ids, e.itemID)
	}
	return ids
}

// choice is an event by which the user chose an item.
type choice struct {
	itemID string
	millis int64
}

// newTaste lists, oldest first and each once, the choices of the request's own events that the profile does not hold yet. A
// request may send its events in any order.
func (j *job) newTaste() []choice {
	var fresh []choice
	for i := range j.request.Recent {
		e := &j.request.Recent[i]
		c := choice{e.ItemID, e.OccurredAt.UnixMilli()}
		if towers.CountsForTaste(e.Type) && !inHistory(j.profile, c) && !slices.Contains(fresh, c) {
			fresh = append(fresh, c)
		}
	}
	slices.SortStableFunc(fresh, byTime)
	return fresh
}

func byTime(a, b choice) int { return cmp.Compare(a.millis, b.millis) }

func inHistory(p *profiles.Profile, c choice) bool {
	return p != nil && slices.ContainsFunc(p.History, func(e profiles.Entry) bool {
		return e.ItemID == c.itemID && e.OccurredAt.UnixMilli() == c.millis
	})
}

// movesOn tells that the profile's state is where the recent events go on from. It is not where the profile has none of the
// live version, nor where an event is older than the profile's newest: the profile itself would take it into its place.
func (j *job) movesOn() bool {
	p := j.profile
	if p == nil || p.Embedding == nil {
		return false
	}
	if len(p.State) == 0 { // a tower without a state
		return len(j.recent) == 0
	}
	return len(j.recent) == 0 || len(p.History) == 0 || j.recent[0].millis >= p.History[0].OccurredAt.UnixMilli()
}

// tasteToEncode lists the choices that the tower has still to read, oldest first: those of the request, and, where it has to
// begin anew, those of the history.
func (j *job) tasteToEncode() []choice {
	if j.profile == nil || j.movesOn() {
		return j.recent
	}
	var all []choice
	for _, e := range slices.Backward(j.profile.History) {
		if towers.CountsForTaste(e.Type) {
			all = append(all, choice{e.ItemID, e.OccurredAt.UnixMilli()})
		}
	}
	all = append(all, j.recent...)
	slices.SortStableFunc(all, byTime)
	return all
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
	j.useEmbedding()
	if tower == nil {
		j.trouble("user tower: version %s is live but not loaded here: load its bundle", model)
		return
	}
	var chosen [][]float32
	for _, c := range j.tasteToEncode() {
		if v := vectors[c.itemID]; v != nil {
			chosen = append(chosen, v)
		}
	}
	if len(chosen) == 0 {
		return
	}
	state, embedding := make([]float32, tower.StateSize()), make([]float32, tower.Dim())
	if j.movesOn() {
		copy(state, j.profile.State)
		for _, v := range chosen {
			tower.Advance(state, embedding, v)
		}
	} else {
		tower.Encode(state, embedding, chosen)
	}
	j.vector = embedding
}

// useEmbedding takes the profile's embedding of the live version, if there is one, as it is.
func (j *job) useEmbedding() {
	if j.profile != nil {
		j.vector = j.profile.Embedding
	}
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
