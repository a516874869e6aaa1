package profiles

import (
	"cmp"
	"slices"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// Extension is a user's profile as it will be after events that it does not hold yet, as far as a user tower goes: the tower reads what it
// would read if they were applied.
type Extension struct {
	tower *towers.UserTower
	// from is where the tower goes on, nil where it reads all steps from the first on.
	from *towers.State
	// embedding is the profile's own.
	embedding []float32
	steps     []step
}

// Extend follows a user beyond the profile by recent events, which may come in any order, more than once, and be held by the profile
// already. A nil profile is that of a user of whom nothing is known. The tower is that of the model which the profile was loaded for;
// nil where it is not loaded here.
func (p *Profile) Extend(tower *towers.UserTower, recent []schemas.RecentEvent) Extension {
	reads := towers.CountsForTaste
	if tower != nil {
		reads = tower.Reads
	}
	x := Extension{tower: tower, steps: p.unheld(recent, reads)}
	if p == nil {
		return x
	}
	x.embedding = p.Embedding
	if p.Embedding != nil && (len(x.steps) == 0 || p.goesOn(tower, x.steps[0].at)) {
		x.from = p.State
		return x
	}
	x.steps = append(stepsOf(p.History, reads), x.steps...)
	slices.SortStableFunc(x.steps, byTime)
	return x
}

// goesOn reports whether the state is where the tower goes on from. It is not for an event that is older than the profile's newest: that
// would be taken into its place.
func (p *Profile) goesOn(tower *towers.UserTower, at int64) bool {
	return tower != nil && tower.Reach() == 0 && tower.Fits(p.State) &&
		(len(p.History) == 0 || at >= p.History[0].OccurredAt.UnixMilli())
}

// unheld lists, oldest first and each once, the events that the tower reads and the profile does not hold.
func (p *Profile) unheld(recent []schemas.RecentEvent, reads func(schemas.InteractionType) bool) (steps []step) {
	for i := range recent {
		e := &recent[i]
		s := step{e.ItemID, e.Type, e.OccurredAt.UnixMilli()}
		if reads(e.Type) && !p.holds(s) && !slices.Contains(steps, s) {
			steps = append(steps, s)
		}
	}
	slices.SortStableFunc(steps, byTime)
	return steps
}

func (p *Profile) holds(s step) bool {
	return p != nil && slices.ContainsFunc(p.History, func(e Entry) bool { return step{e.ItemID, e.Type, e.OccurredAt.UnixMilli()} == s })
}

func byTime(a, b step) int { return cmp.Compare(a.at, b.at) }

// Items are those whose vectors Embedding needs; none where the profile's own embedding is the answer.
func (x *Extension) Items() []string {
	var ids []string
	for _, s := range x.steps {
		ids = append(ids, s.item)
	}
	return ids
}

// Embedding is the user's after the events; nil where nothing is known of the user's taste. Items without a vector do not move the tower,
// as in the profile itself.
func (x *Extension) Embedding(vector func(itemID string) []float32) []float32 {
	acts := actsOf(x.steps, vector)
	if x.tower == nil || len(acts) == 0 {
		return x.embedding
	}
	var state towers.State
	if x.from != nil {
		state = x.from.Clone()
	}
	embedding := make([]float32, x.tower.Dim())
	x.tower.Follow(&state, embedding, acts)
	return embedding
}
