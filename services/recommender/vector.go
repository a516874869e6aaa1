package recommender

import (
	"cmp"
	"context"
	"errors"
	"slices"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/ranking"
	"github.com/freshet/freshet/services/redisdb"
	"github.com/freshet/freshet/services/towers"
)

// makeVectors gives each job the vector to search with: the seed item's, the profile's embedding, or, where the profile has
// none of the live version or the request carries newer events, one that is encoded on the fly. A query's vector comes last, since
// the user's own is a part of it.
func (b *batch) makeVectors(ctx context.Context) {
	if b.model == "" {
		return
	}
	reads := towers.CountsForTaste // where the tower is not loaded, which encode reports
	if tower := b.service.tower(b.model); tower != nil {
		reads = tower.Reads
	}
	var jobs []*job
	var needed [][]string
	for _, j := range b.jobs {
		if j.request.Query != "" && b.service.config.QueryTaste == 0 {
			continue
		}
		ids := j.vectorsNeeded(reads)
		if len(ids) == 0 {
			j.useEmbedding()
			continue
		}
		jobs, needed = append(jobs, j), append(needed, ids)
	}
	if len(jobs) > 0 {
		b.encode(ctx, jobs, needed)
	}
	b.encodeQueries()
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
func (j *job) vectorsNeeded(reads func(schemas.InteractionType) bool) []string {
	if j.request.SeedItemID != "" {
		return []string{j.request.SeedItemID}
	}
	j.recent = j.newActs(reads)
	j.unread = j.actsToRead(reads)
	var ids []string
	for _, a := range j.unread {
		ids = append(ids, a.itemID)
	}
	return ids
}

// act is an event that moves the user tower.
type act struct {
	itemID string
	kind   schemas.InteractionType
	millis int64
}

// newActs lists, oldest first and each once, those of the request's own events that the tower reads and the profile does not
// hold yet. A request may send its events in any order.
func (j *job) newActs(reads func(schemas.InteractionType) bool) []act {
	var fresh []act
	for i := range j.request.Recent {
		e := &j.request.Recent[i]
		a := act{e.ItemID, e.Type, e.OccurredAt.UnixMilli()}
		if reads(e.Type) && !inHistory(j.profile, a) && !slices.Contains(fresh, a) {
			fresh = append(fresh, a)
		}
	}
	slices.SortStableFunc(fresh, byTime)
	return fresh
}

func byTime(a, b act) int { return cmp.Compare(a.millis, b.millis) }

func inHistory(p *profiles.Profile, a act) bool {
	return p != nil && slices.ContainsFunc(p.History, func(e profiles.Entry) bool {
		return act{e.ItemID, e.Type, e.OccurredAt.UnixMilli()} == a
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

// actsToRead lists the events that the tower has still to read, oldest first: those of the request, and, where it has to begin
// anew, those of the history.
func (j *job) actsToRead(reads func(schemas.InteractionType) bool) []act {
	if j.profile == nil || j.movesOn() {
		return j.recent
	}
	var all []act
	for _, e := range slices.Backward(j.profile.History) {
		if reads(e.Kind) {
			all = append(all, act{e.ItemID, e.Kind, e.OccurredAt.UnixMilli()})
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
		j.vector, j.source = vectors[seed], ranking.SourceSimilar
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
	moved := int64(towers.Never)
	if j.movesOn() {
		moved = j.profile.Moved
	}
	var events []towers.Event
	for _, a := range j.unread {
		if v := vectors[a.itemID]; v != nil {
			events = append(events, towers.Event{Item: v, Kind: a.kind, Gap: towers.GapBetween(moved, a.millis)})
			moved = a.millis
		}
	}
	if len(events) == 0 {
		return
	}
	state, embedding := make([]float32, tower.StateSize()), make([]float32, tower.Dim())
	if j.movesOn() {
		copy(state, j.profile.State)
		for _, e := range events {
			tower.Advance(state, embedding, e)
		}
	} else {
		tower.Encode(state, embedding, events)
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
