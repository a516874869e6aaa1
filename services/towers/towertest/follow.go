package towertest

import (
	"encoding/binary"
	"math"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// Event is an act with its gap instead of its time: so models of elsewhere, and what is expected of them, have it.
type Event struct {
	Item []float32
	Kind schemas.InteractionType
	Gap  towers.Gap
}

// Acts gives events times that have their gaps, where the act before the first was at the time 0.
func Acts(events ...Event) []towers.Act {
	acts := make([]towers.Act, len(events))
	before := int64(0)
	for i, e := range events {
		acts[i] = towers.Act{Item: e.Item, Kind: e.Kind, At: e.Gap.After(before)}
		if e.Gap > 0 {
			before = acts[i].At
		}
	}
	return acts
}

// StateOf is a state with these hidden values that an act at the time 0 has moved last.
func StateOf(values []float32) *towers.State {
	packed := binary.LittleEndian.AppendUint64(nil, 0)
	for _, v := range values {
		packed = binary.LittleEndian.AppendUint32(packed, math.Float32bits(v))
	}
	s, _ := towers.ParseState(string(packed)) // cannot be of another length
	return &s
}

// Advance moves a state, laid out as its values, by one event.
func Advance(tower *towers.UserTower, state, embedding []float32, e Event) {
	s := StateOf(state)
	tower.Follow(s, embedding, Acts(e))
	copy(state, s.Values())
}

// Encode makes state and embedding of a history.
func Encode(tower *towers.UserTower, state, embedding []float32, history []Event) {
	clear(embedding)
	s := StateOf(make([]float32, tower.StateSize()))
	tower.Follow(s, embedding, Acts(history...))
	copy(state, s.Values())
}

// AdvanceBatch moves each of several states by an event.
func AdvanceBatch(tower *towers.UserTower, states, embeddings [][]float32, events []Event) {
	follow, acts := make([]*towers.State, len(states)), make([][]towers.Act, len(states))
	for i := range states {
		follow[i], acts[i] = StateOf(states[i]), Acts(events[i])
	}
	tower.FollowBatch(follow, embeddings, acts)
	for i, s := range follow {
		copy(states[i], s.Values())
	}
}
