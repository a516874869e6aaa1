package profiles

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

// TestExtendIsWhatApplyingWouldGive: events that come along with a request, in any order and more than once, give the embedding that the
// profile has once they are applied, also late ones, and whatever way the tower has to follow a user.
func TestExtendIsWhatApplyingWouldGive(t *testing.T) {
	for name, tower := range map[string]func(*testing.T) *towers.UserTower{
		"a recurrence": func(*testing.T) *towers.UserTower { return testTower("m1", 3) },
		"an encoder":   func(t *testing.T) *towers.UserTower { return towertest.Encoder(t, "m1", testDim) },
	} {
		t.Run(name, func(t *testing.T) {
			r, rng := newRig(t), random(11)
			r.live = []*towers.UserTower{tower(t)}
			for i := range 8 { // of items 8 and 9 there is no vector
				r.setVector(t, "m1", fmt.Sprint("i", i), uint64(i))
			}
			vector := func(id string) []float32 { return r.vectors["m1"][id] }
			for u := range 40 {
				events := make([]Event, 1+rng.IntN(12))
				for i, second := range rng.Perm(len(events)) {
					kind := schemas.InteractionType(1 + rng.IntN(int(schemas.Hide)))
					events[i] = at(int64(100*u+i), int64(second), kind, fmt.Sprint("i", rng.IntN(10)))
					events[i].UserID = fmt.Sprint("user-", u)
				}
				known := rng.IntN(len(events) + 1)
				var recent []schemas.RecentEvent
				for i, e := range events {
					if i >= known || rng.IntN(3) == 0 { // a request may carry what the profile holds
						recent = append(recent, schemas.RecentEvent{ItemID: e.ItemID, Type: e.Type, OccurredAt: e.OccurredAt})
					}
				}
				recent = append(recent, recent...)
				rng.Shuffle(len(recent), func(i, j int) { recent[i], recent[j] = recent[j], recent[i] })
				if known > 0 {
					r.apply(t, events[:known]...)
				}
				before := r.load(t, events[0].UserID, "m1")
				x := before.Extend(r.live[0], recent)
				got := slices.Clone(x.Embedding(vector))
				if len(x.Items()) == 0 {
					require.Equal(t, before != nil && before.Embedding != nil, got != nil)
				}
				if known < len(events) {
					r.apply(t, events[known:]...)
				}
				want := r.load(t, events[0].UserID, "m1")
				require.Equal(t, bits(want.Embedding), bits(got), "user %d, %d of %d events known", u, known, len(events))
			}
		})
	}
}

// TestExtendWithoutATower tells which items it would read, and gives what the profile has.
func TestExtendWithoutATower(t *testing.T) {
	r := newRig(t)
	r.setVector(t, "m1", "i1", 1)
	r.apply(t, at(1, 1, schemas.Click, "i1"))
	p := r.load(t, user, "m1")
	x := p.Extend(nil, []schemas.RecentEvent{{ItemID: "i2", Type: schemas.Click, OccurredAt: time.Unix(1_700_000_002, 0)}})
	require.Contains(t, x.Items(), "i2")
	require.Equal(t, p.Embedding, x.Embedding(func(string) []float32 { return r.vectors["m1"]["i1"] }))
	x = p.Extend(nil, nil)
	require.Empty(t, x.Items())
	nobody := (*Profile)(nil).Extend(r.live[0], nil)
	require.Nil(t, nobody.Embedding(func(string) []float32 { return nil }))
}
