package profiles

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/items"
)

// arrivalsServed serves what has arrived until nothing is left.
func (r *rig) arrivalsServed(t testing.TB) {
	t.Helper()
	for served := 1; served > 0; {
		var err error
		served, err = r.serveArrivals(t.Context())
		require.NoError(t, err)
	}
}

// folded is the profile of another user whose same events came after all items.
func (r *rig) folded(t testing.TB, events ...Event) *Profile {
	t.Helper()
	ordered := make([]Event, len(events))
	for i, e := range events {
		e.UserID, e.Partition = "ordered", 7
		ordered[i] = e
	}
	r.apply(t, ordered...)
	want := r.load(t, "ordered", "m1")
	require.NotNil(t, want.Embedding)
	return want
}

func (r *rig) sameAsFoldedInOrder(t testing.TB, events ...Event) {
	t.Helper()
	want, have := r.folded(t, events...), r.load(t, user, "m1")
	require.Equal(t, bits(want.Embedding), bits(have.Embedding))
	require.Equal(t, want.State, have.State)
}

// TestEventsBeforeTheirItemCountOnceItIsThere: before, between and after events of known items, twice, and of two items.
func TestEventsBeforeTheirItemCountOnceItIsThere(t *testing.T) {
	for name, order := range map[string][]string{
		"alone": {"x"}, "first": {"x", "a"}, "last": {"a", "x"}, "between": {"a", "x", "b"}, "twice": {"x", "a", "x"},
		"two": {"x", "a", "y", "b"}, "two alone": {"y", "x"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			r.setVector(t, "m1", "a", 1)
			r.setVector(t, "m1", "b", 2)
			var events []Event
			for i, item := range order {
				events = append(events, at(int64(i), int64(i), schemas.Like, item))
				r.apply(t, events[i])
			}
			r.arrivalsServed(t)
			r.setVector(t, "m1", "y", 4)
			r.arrivalsServed(t)
			r.setVector(t, "m1", "x", 3)
			r.arrivalsServed(t)
			r.sameAsFoldedInOrder(t, events...)
			for _, key := range r.server.Keys(t) {
				require.NotContains(t, key, "wait", "nobody waits any more")
				require.NotContains(t, key, "arrivals")
			}
		})
	}
}

// TestTheItemArrivesAtAnyStepOfTheFold: before and after each pipeline of Apply, served at once or not.
func TestTheItemArrivesAtAnyStepOfTheFold(t *testing.T) {
	for step := range 4 {
		for _, before := range []bool{true, false} {
			t.Run(fmt.Sprint(step, before), func(t *testing.T) {
				r := newRig(t)
				r.setVector(t, "m1", "a", 1)
				watched := r.server.Connect(t, func(o *redis.UniversalOptions) { o.MaxRetries = -1 })
				arrive := func() {
					r.setVector(t, "m1", "x", 3)
					_, err := r.serveArrivals(t.Context())
					require.NoError(t, err)
				}
				watched.AddHook(&steps{until: step, act: func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
					if before {
						arrive()
						return next(ctx, cmds)
					}
					err := next(ctx, cmds)
					arrive()
					return err
				}})
				role := New(watched, items.New(watched, items.Config{KeyPrefix: r.cfg.KeyPrefix}), r.models, r.cfg)
				events := []Event{at(1, 1, schemas.Like, "x"), at(2, 2, schemas.Like, "a")}
				report, err := role.Apply(t.Context(), events)
				require.NoError(t, err)
				require.Empty(t, report.Failed)
				if r.vectors["m1"]["x"] == nil { // Apply has fewer steps
					arrive()
				}
				// What was served before the profile said that it waits is taken again after a second.
				require.Eventually(t, func() bool {
					r.arrivalsServed(t)
					p := r.load(t, user, "m1")
					lacking, err := unpackLacking(r.client.HGet(t.Context(), r.profileKey(user), lackingField("m1")).Val())
					require.NoError(t, err)
					return p.Embedding != nil && len(lacking) == 0
				}, 10*time.Second, 10*time.Millisecond)
				r.sameAsFoldedInOrder(t, events...)
			})
		}
	}
}

// TestArrivalsSurviveCrashes: whoever serves them dies after each of its steps, some of its commands done or not.
func TestArrivalsSurviveCrashes(t *testing.T) {
	for step := range 6 {
		for _, done := range []int{0, 1} {
			t.Run(fmt.Sprint(step, done), func(t *testing.T) {
				t.Parallel()
				r := newRig(t)
				r.setVector(t, "m1", "a", 1)
				events := []Event{at(1, 1, schemas.Like, "x"), at(2, 2, schemas.Like, "a")}
				r.apply(t, events...)
				r.setVector(t, "m1", "x", 3)
				watched := r.server.Connect(t, func(o *redis.UniversalOptions) { o.MaxRetries = -1 })
				watched.AddHook(&steps{until: step, act: crashAfter(done)})
				dying := New(watched, items.New(watched, items.Config{KeyPrefix: r.cfg.KeyPrefix}), r.models, r.cfg)
				_, _ = dying.serveArrivals(t.Context())
				ctx, cancel := context.WithCancel(t.Context())
				var others sync.WaitGroup
				others.Go(func() { r.FollowArrivals(ctx, slog.New(slog.DiscardHandler)) })
				want := r.folded(t, events...)
				require.Eventually(t, func() bool {
					return slices.Equal(bits(want.Embedding), bits(r.load(t, user, "m1").Embedding))
				}, 10*time.Second, 10*time.Millisecond)
				cancel()
				others.Wait()
				r.sameAsFoldedInOrder(t, events...)
			})
		}
	}
}

func TestTheBoundOfWhoWaits(t *testing.T) {
	r := newRig(t, func(c *Config) { c.WaitingUsers = 2 })
	r.setVector(t, "m1", "a", 1)
	for i := range 3 {
		e := at(int64(i), 1, schemas.Like, "x")
		e.UserID = fmt.Sprint("u", i)
		report, err := r.Apply(t.Context(), []Event{e})
		require.NoError(t, err)
		require.Equal(t, 1, report.Applied)
		require.Equal(t, i/2, report.Unheard, "the third is one too many")
	}
	r.setVector(t, "m1", "x", 3)
	r.arrivalsServed(t)
	for i := range 3 {
		require.Equal(t, i < 2, r.load(t, fmt.Sprint("u", i), "m1").Embedding != nil)
	}
}

// TestNothingOfAnErasedUserWaits: the user's id stands nowhere in Redis but in the keys of the profile.
func TestNothingOfAnErasedUserWaits(t *testing.T) {
	r := newRig(t)
	r.apply(t, at(1, 1, schemas.Like, "x"), at(2, 2, schemas.Like, "y"))
	waiting := func() (n int) {
		for _, id := range []string{"x", "y"} {
			a, err := r.client.ZCard(t.Context(), r.cfg.KeyPrefix+":{"+id+"}:waiting:m1:"+r.cfg.KeyPrefix).Result()
			require.NoError(t, err)
			n += int(a)
		}
		return n
	}
	require.Equal(t, 2, waiting())
	r.apply(t, Event{Interaction: schemas.Interaction{UserID: user}, Erase: true, Offset: 3})
	require.Zero(t, waiting())
	r.setVector(t, "m1", "x", 1)
	r.arrivalsServed(t)
	require.Nil(t, r.load(t, user, "m1").Embedding)
}

// TestAnErasedUserWaitsNoMoreAfterACrash:
//
//	member: has the user wait for x; dies before the profile says so
//	next:   gets the event again, with the tombstone behind it, in one batch: the profile never says that it lacks x
func TestAnErasedUserWaitsNoMoreAfterACrash(t *testing.T) {
	r := newRig(t)
	answers, err := r.waiters().Await(t.Context(), []items.Wait{{Model: "m1", ItemID: "x", User: user}})
	require.NoError(t, err)
	require.Equal(t, []items.Waiting{items.Waits}, answers)
	waiting := func() int64 {
		n, err := r.client.ZCard(t.Context(), r.cfg.KeyPrefix+":{x}:waiting:m1:"+r.cfg.KeyPrefix).Result()
		require.NoError(t, err)
		return n
	}
	require.EqualValues(t, 1, waiting())
	erasure := Event{Interaction: schemas.Interaction{UserID: user}, Erase: true, Offset: 2}
	r.apply(t, at(1, 1, schemas.Like, "x"), erasure)
	require.Zero(t, waiting())
}

// TestAShadowWaitsAsALiveProfile: the item comes before the fold, between fold and swap, or after the swap.
func TestAShadowWaitsAsALiveProfile(t *testing.T) {
	for when := range 3 {
		t.Run(fmt.Sprint(when), func(t *testing.T) {
			r := newRig(t)
			r.setVector(t, "m1", "a", 1)
			arrive := func(at int) {
				if at == when {
					r.setVector(t, "m1", "x", 3)
					r.arrivalsServed(t)
				}
			}
			events := []Event{at(1, 1, schemas.Like, "x"), at(2, 2, schemas.Like, "a")}
			for i := range events {
				events[i].Time = time.Now()
			}
			ctx, shadow, err := r.OpenShadow(t.Context())
			require.NoError(t, err)
			defer func() { require.NoError(t, shadow.Close(t.Context())) }()
			arrive(0)
			_, err = shadow.Store().Apply(ctx, events)
			require.NoError(t, err)
			shadow.Settle()
			arrive(1)
			left := 1
			for round := 0; left > 0; round++ {
				require.Less(t, round, 3)
				left = 0
				require.NoError(t, shadow.EachUser(ctx, func(users []ShadowUser) error {
					did, err := shadow.Replace(ctx, users, func(int32, int64) bool { return true })
					left += len(did.Ahead)
					return err
				}))
			}
			arrive(2)
			r.sameAsFoldedInOrder(t, events...)
		})
	}
}

func FuzzLacking(f *testing.F) {
	f.Add(string(packLacking([]string{"a", "", "item 7"})))
	f.Add("")
	f.Fuzz(func(t *testing.T, value string) {
		ids, err := unpackLacking(value)
		if err != nil || value == "" {
			return
		}
		again, err := unpackLacking(string(packLacking(ids)))
		require.NoError(t, err)
		require.Equal(t, ids, again)
	})
}

// TestAnArrivalIsServedFromWhatIsStored: the process that serves it remembers the user from before another one wrote.
//
//	b: applies an event, and remembers the profile ............................ takes the arrival of x
//	a: ................................. applies an event with x, which is not there
func TestAnArrivalIsServedFromWhatIsStored(t *testing.T) {
	a := newRig(t)
	a.setVector(t, "m1", "a", 1)
	events := []Event{at(1, 1, schemas.Like, "a"), at(2, 2, schemas.Like, "x")}
	client := a.server.Connect(t)
	b := New(client, items.New(client, items.Config{KeyPrefix: a.cfg.KeyPrefix}), a.models, a.cfg)
	report, err := b.Apply(t.Context(), events[:1])
	require.NoError(t, err)
	require.Equal(t, 1, report.Applied)
	a.apply(t, events[1])
	a.setVector(t, "m1", "x", 3)
	for served := 1; served > 0; {
		served, err = b.serveArrivals(t.Context())
		require.NoError(t, err)
	}
	a.sameAsFoldedInOrder(t, events...)
}
