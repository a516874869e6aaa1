package profiles

import (
	"slices"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// Replica is one user's profile in memory, for one model: the same fold over the user's events as the Store's, by the same code,
// one event at a time and without Redis. It is for whoever asks what a profile was before an event. Its zero value is a user of
// whom nothing is known. It is for one goroutine.
type Replica struct {
	stored stored
	taste  *taste
	// lacking are items of the history that had no vector when their events came.
	lacking []string
}

// Effect is what an event did to a Replica.
type Effect struct {
	// New: it is of a type that enters the history, and neither a duplicate nor a replay.
	New bool
	// Late: it came after a newer event of its user.
	Late bool
}

// Apply folds an event that is no erasure, which begins with a new Replica. cfg says what a profile keeps. vector gives an item's
// vector as of now, nil where it has none; it is copied from, not kept.
func (r *Replica) Apply(e *Event, tower *towers.UserTower, cfg Config, vector func(itemID string) []float32) Effect {
	r.Arrive(tower, vector)
	if r.stored.counters == nil {
		r.stored.past = newPast()
	}
	p := foldUser(&r.stored, []*taste{r.taste}, []*Event{e}, []int{0}, cfg.limits(), replicaReader{tower, vector})
	mv := &p.moves[0]
	r.stored, r.taste = p.stored, mv.taste
	r.stored.past.left.closed, r.stored.past.shown.closed = nil, nil // their ids are known already
	r.lacking = append(r.lacking, mv.missed...)
	if mv.anew {
		r.lacking = slices.DeleteFunc(r.lacking, func(id string) bool { return vector(id) != nil })
	}
	r.lacking = slices.DeleteFunc(r.lacking, func(id string) bool { return !r.stored.history.hasItem(id) })
	r.follow(mv, tower, vector)
	return Effect{New: len(p.applied) > 0 && entersHistory(e.Type), Late: p.late > 0}
}

// Arrive encodes the history anew if an item has got its vector after its event, as FollowArrivals does.
func (r *Replica) Arrive(tower *towers.UserTower, vector func(itemID string) []float32) {
	if !slices.ContainsFunc(r.lacking, func(id string) bool { return vector(id) != nil }) {
		return
	}
	w := &work{stored: &r.stored, tastes: []*taste{r.taste}, lacking: [][]string{r.lacking}}
	mv := &planAgain(w, replicaReader{tower, vector}).moves[0]
	r.taste = mv.taste
	r.follow(mv, tower, vector)
	r.lacking = slices.DeleteFunc(r.lacking, func(id string) bool { return vector(id) != nil })
}

// follow moves the taste as a plan says.
func (r *Replica) follow(mv *move, tower *towers.UserTower, vector func(itemID string) []float32) {
	if mv.anew {
		r.taste.embedding = make([]float32, tower.Dim())
	}
	if len(mv.steps) > 0 {
		tower.Follow(&r.taste.state, r.taste.embedding, actsOf(mv.steps, vector))
	}
}

// replicaReader reads for the one model of a Replica.
type replicaReader struct {
	tower  *towers.UserTower
	vector func(itemID string) []float32
}

func (r replicaReader) reads(_ int, kind schemas.InteractionType) bool { return r.tower.Reads(kind) }

func (r replicaReader) has(_ int, itemID string) bool { return r.vector(itemID) != nil }

func (r replicaReader) reach(int) int { return r.tower.Reach() }

// Embedding is the user's, nil while no event has moved it. The next Apply may overwrite it.
func (r *Replica) Embedding() []float32 {
	if r.taste == nil {
		return nil
	}
	return r.taste.embedding
}

// Events is how many events the history has.
func (r *Replica) Events() int { return len(r.stored.history) }
