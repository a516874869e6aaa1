package profiles

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// What is remembered is gone on from, and read when it may have been overtaken.
func TestWhenAProfileIsRemembered(t *testing.T) {
	for name, c := range map[string]struct {
		between func(t *testing.T, r *rig, other *Store)
		next    Event
		want    Report
	}{
		"nothing came in between": {
			next: at(2, 2, schemas.Click, "b"),
			want: Report{Applied: 1, Recalled: 1}},
		"another process wrote": {
			between: func(t *testing.T, _ *rig, other *Store) {
				report, err := other.Apply(t.Context(), []Event{at(2, 2, schemas.Click, "b")})
				require.NoError(t, err)
				require.Equal(t, 1, report.Applied)
			},
			next: at(3, 3, schemas.Click, "c"),
			want: Report{Applied: 1, Read: 1}},
		"another process erased the user": {
			between: func(t *testing.T, _ *rig, other *Store) {
				erase := Event{Interaction: schemas.Interaction{UserID: user}, Erase: true, Offset: 2}
				_, err := other.Apply(t.Context(), []Event{erase})
				require.NoError(t, err)
			},
			next: at(3, 3, schemas.Click, "c"),
			want: Report{Applied: 1, Read: 1}},
		"the user's keys were deleted": {
			between: func(t *testing.T, r *rig, _ *Store) {
				require.NoError(t, r.client.Del(t.Context(), r.profileKey(user)).Err())
			},
			next: at(2, 2, schemas.Click, "b"),
			want: Report{Applied: 1, Read: 1}},
		"another model went live": {
			between: func(_ *testing.T, r *rig, _ *Store) { r.live = []*towers.UserTower{testTower("m2", 2)} },
			next:    at(2, 2, schemas.Click, "b"),
			want:    Report{Applied: 1, Read: 1}},
		"a replay": {
			next: at(1, 1, schemas.Click, "a"),
			want: Report{Replayed: 1, Read: 1}},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			for i, item := range []string{"a", "b", "c"} {
				r.setVector(t, "m1", item, uint64(i))
			}
			r.apply(t, at(1, 1, schemas.Click, "a"))
			if c.between != nil {
				c.between(t, r, New(r.client, r.items, r.models, r.cfg))
			}
			report := r.apply(t, c.next)
			report.NewlyApplied = nil
			require.Equal(t, c.want, report)
		})
	}
}

func TestAnErasedUserIsNotRemembered(t *testing.T) {
	r := newRig(t)
	r.apply(t, at(1, 1, schemas.Click, "a"))
	require.Equal(t, 1, r.memory.users.Len())
	r.apply(t, Event{Interaction: schemas.Interaction{UserID: user}, Erase: true, Offset: 2})
	require.Zero(t, r.memory.users.Len())
}

func TestMemoryKeepsTheLastAndTheFresh(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		m := newMemory(3)
		put := func(user string) { m.put(user, &remembered{at: time.Now()}) }
		for i := range 4 {
			put(fmt.Sprint(i))
			time.Sleep(time.Minute)
		}
		require.Equal(t, []string{"1", "2", "3"}, m.users.Keys())
		require.Nil(t, m.take("0"))
		require.NotNil(t, m.take("1"))
		require.Nil(t, m.take("1"), "handed over")
		put("1")
		time.Sleep(RememberedFor)
		put("4")
		require.Equal(t, []string{"1", "4"}, m.users.Keys(), "2 and 3 had no events for longer")
	})
	m := newMemory(0)
	m.put("a", &remembered{})
	require.Nil(t, m.take("a"))
}
