package profiles

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// TestReplicaEqualsThePlainFold applies random events, late ones, duplicates, replays and erasures, while items get new vectors.
func TestReplicaEqualsThePlainFold(t *testing.T) {
	const limit = 6
	for seed := range uint64(30) {
		rng := random(seed)
		tower := testTower("m1", seed)
		r := &rig{live: []*towers.UserTower{tower}, vectors: map[string]map[string][]float32{"m1": {}}}
		vector := func(id string) []float32 { return r.vectors["m1"][id] }
		cfg := DefaultConfig()
		cfg.HistoryLength, cfg.EventIDs = limit, oracleEventIDs
		o, replica := newOracle(limit), &Replica{}
		var last Event
		for offset := range int64(120) {
			if rng.IntN(4) == 0 {
				v := make([]float32, testDim)
				for i := range v {
					v[i] = float32(rng.NormFloat64())
				}
				r.vectors["m1"][fmt.Sprint("i", rng.IntN(8))] = v
			}
			replica.Arrive(tower, vector)
			o.arrive(r)
			e := Event{Offset: offset, Time: time.UnixMilli(offset + 1), Interaction: schemas.Interaction{
				EventID: fmt.Sprint("e", rng.IntN(200)), ItemID: fmt.Sprint("i", rng.IntN(9)), Type: schemas.InteractionType(1 + rng.IntN(10)),
				OccurredAt: time.UnixMilli(1000*offset - rng.Int64N(3000)),
			}}
			switch rng.IntN(40) {
			case 0:
				replica, last = &Replica{}, Event{}
				o.apply(r, Event{Erase: true, Offset: offset})
				continue
			case 1:
				if last.EventID == "" {
					continue
				}
				before := slices.Clone(replica.Embedding())
				require.Equal(t, Effect{}, replica.Apply(&last, tower, cfg, vector), "a replay does nothing")
				require.Equal(t, before, replica.Embedding())
				continue
			}
			last = e
			counted := o.total()
			late := slices.ContainsFunc(o.history, func(h Event) bool { return h.OccurredAt.After(e.OccurredAt) })
			o.apply(r, e)
			kept := e.Type != schemas.Impression && o.total() > counted
			require.Equal(t, Effect{New: kept, Late: kept && late}, replica.Apply(&e, tower, cfg, vector))
			require.Equal(t, len(o.history), replica.Events())
			if o.tastes["m1"] == nil {
				require.Nil(t, replica.Embedding())
			} else {
				require.Equal(t, bits(o.tastes["m1"].embedding), bits(replica.Embedding()))
			}
		}
	}
}
