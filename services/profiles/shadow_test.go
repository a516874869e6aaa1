package profiles

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/redisdb"
	"github.com/freshet/freshet/services/towers"
)

// meddler is a go-redis hook that has something happen before each step of a rebuild, or ends it there.
type meddler struct {
	before func()
	// crash says whether the process dies here; of a pipeline, reached commands are done by then.
	crash func() (dies bool, reached int)
	dead  bool
}

func (m *meddler) DialHook(next redis.DialHook) redis.DialHook { return next }

func (m *meddler) ProcessHook(next redis.ProcessHook) redis.ProcessHook {
	return func(ctx context.Context, cmd redis.Cmder) error {
		return m.step(ctx, []redis.Cmder{cmd}, func(ctx context.Context, cmds []redis.Cmder) error { return next(ctx, cmds[0]) })
	}
}

func (m *meddler) ProcessPipelineHook(next redis.ProcessPipelineHook) redis.ProcessPipelineHook {
	return func(ctx context.Context, cmds []redis.Cmder) error { return m.step(ctx, cmds, next) }
}

func (m *meddler) step(
	ctx context.Context, cmds []redis.Cmder, next func(context.Context, []redis.Cmder) error,
) error {
	if name := cmds[0].Name(); name == "hello" || name == "client" {
		return next(ctx, cmds)
	}
	reached := 0
	if !m.dead {
		m.before()
		m.dead, reached = m.crash()
	}
	if !m.dead {
		return next(ctx, cmds)
	}
	if reached = min(reached, len(cmds)); reached > 0 {
		_ = next(ctx, cmds[:reached])
	}
	for _, c := range cmds {
		c.SetErr(errCrash)
	}
	return errCrash
}

// rebuilding is a schedule whose profiles are lost, all or some, and made anew while a consumer goes on.
type rebuilding struct {
	*schedule
	folded  []int // by partition: what the rebuild has folded
	crashes int
}

func newRebuilding(t testing.TB, script []byte) *rebuilding {
	s := &schedule{
		rig: newRig(t, func(c *Config) { c.HistoryLength, c.EventIDs = scheduleHistory, oracleEventIDs }), t: t, script: script,
		topic: make([][]Event, 1), committed: make([]int, 1), clock: time.Now().Add(-time.Hour).Truncate(time.Millisecond).UTC(),
		users: []string{"ann", "b}o{b", "", "d%an", "eve"},
	}
	s.towers = [2]*towers.UserTower{testTower("m1", 1), testTower("m2", 2)}
	s.live = s.towers[:1]
	s.startWorkers(s.client)
	for i := range 8 {
		s.setVector(t, "m1", fmt.Sprint("i", i), uint64(i))
	}
	return &rebuilding{schedule: s}
}

// live does what producers and the consumer do meanwhile, or nothing.
func (r *rebuilding) meanwhile() {
	switch r.pick(6) {
	case 0:
		r.send(1 + r.pick(3))
	case 1:
		r.consume(r.pick(len(r.topic)), 1+r.pick(4), true)
	case 2: // and dies before it commits
		r.consume(r.pick(len(r.topic)), 1+r.pick(4), false)
	}
}

// send publishes events of different times. Those of one user are consumed in the order of their times, since a partition is
// added only where all is consumed.
func (r *rebuilding) send(n int) {
	for range n {
		r.clock = r.clock.Add(time.Millisecond)
		r.publish()
	}
}

func (r *rebuilding) drain() {
	for p := range r.topic {
		for r.committed[p] < len(r.topic[p]) {
			r.consume(p, 5, true)
		}
	}
}

func (r *rebuilding) grow() {
	r.drain()
	r.topic, r.committed = append(r.topic, nil), append(r.committed, 0)
}

// lose removes all that is known of some users, or of all.
func (r *rebuilding) lose() {
	all := r.pick(3) > 0
	for i, u := range r.users {
		if all || r.pick(2) == 0 || i == 0 {
			require.NoError(r.t, r.client.Del(r.t.Context(), r.profileKey(u), r.seenKey(u)).Err())
		}
	}
}

// inOrder lists events by their times.
func (r *rebuilding) inOrder(from []int) []Event {
	var events []Event
	for p, log := range r.topic {
		events = append(events, log[min(from[p], len(log)):]...)
	}
	slices.SortStableFunc(events, func(a, b Event) int { return a.Time.Compare(b.Time) })
	return events
}

// follow folds what the shadow has not seen yet.
func (r *rebuilding) follow(h *Shadow) error {
	for len(r.folded) < len(r.topic) {
		r.folded = append(r.folded, 0)
	}
	events, ends := r.inOrder(r.folded), make([]int, len(r.topic))
	for p := range r.topic {
		ends[p] = len(r.topic[p])
	}
	for batch := range slices.Chunk(events, 4) {
		report, err := h.Store().Apply(r.t.Context(), batch)
		require.NoError(r.t, err)
		for _, err := range report.Failed {
			return err
		}
	}
	copy(r.folded, ends)
	return nil
}

func (r *rebuilding) passed(partition int32, offset int64) bool {
	return int(partition) < len(r.folded) && offset < int64(3*r.folded[partition])
}

// attempt is one run of a rebuild.
func (r *rebuilding) attempt(s *Store) error {
	r.folded = nil
	_, h, err := s.OpenShadow(r.t.Context())
	if err != nil {
		return err
	}
	defer func() { _ = h.claim.Release(r.t.Context()) }() // of a process that died, it does no more than end its goroutine
	if err := r.follow(h); err != nil {
		return err
	}
	h.Settle()
	for found := true; found; {
		found = false
		err := h.EachUser(r.t.Context(), func(users []ShadowUser) error {
			found = true
			for len(users) > 0 {
				replaced, err := h.Replace(r.t.Context(), users, r.passed)
				if err != nil {
					return err
				}
				users = replaced.Ahead
				if err := r.follow(h); err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	return h.Close(r.t.Context())
}

// run rebuilds until an attempt lives to its end.
func (r *rebuilding) run() {
	for attempt := 0; ; attempt++ {
		rdb := r.server.Connect(r.t, func(o *redis.UniversalOptions) { o.MaxRetries = -1 })
		die := -1
		if attempt < 3 && r.pick(3) > 0 {
			die = r.pick(40)
		}
		rdb.AddHook(&meddler{before: r.meanwhile, crash: func() (bool, int) {
			die--
			return die == -1, r.pick(4)
		}})
		err := r.attempt(New(rdb, r.items, r.models, r.cfg))
		require.NoError(r.t, rdb.Close())
		if err == nil {
			return
		}
		require.ErrorIs(r.t, err, errCrash)
		r.crashes++
		require.NoError(r.t, r.client.Del(r.t.Context(), r.cfg.KeyPrefix+claimKind).Err(), "its time is over")
	}
}

func (r *rebuilding) check() {
	r.t.Helper()
	oracles := map[string]*oracle{}
	for _, e := range r.inOrder(make([]int, len(r.topic))) {
		if oracles[e.UserID] == nil {
			oracles[e.UserID] = newOracle(scheduleHistory)
		}
		oracles[e.UserID].apply(r.rig, e)
	}
	for user, o := range oracles {
		o.check(r.t, r.rig, user)
	}
	for _, key := range r.server.Keys(r.t) {
		require.NotContains(r.t, key, "rebuild", "nothing of a shadow stays")
	}
}

func runRebuild(t testing.TB, script []byte) {
	r := newRebuilding(t, script)
	for range 10 {
		r.send(1 + r.pick(6))
		r.meanwhile()
		if r.pick(8) == 0 && len(r.topic) < 3 {
			r.grow()
		}
	}
	r.lose()
	for range r.pick(4) {
		r.meanwhile()
	}
	r.run()
	r.check0()
	r.drain()
	r.check()
	if r.pick(2) == 0 { // and once more where nothing was lost
		r.run()
		r.drain()
		r.check()
	}
}

// check0 looks at the users whose events are all consumed before the rest is: a rebuild alone makes them whole.
func (r *rebuilding) check0() {
	for p := range r.topic {
		if r.committed[p] < len(r.topic[p]) {
			return
		}
	}
	r.check()
}

func TestRebuilds(t *testing.T) {
	for seed := range uint64(120) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runRebuild(t, randomScript(seed, 3000)) })
	}
}

func FuzzRebuilds(f *testing.F) {
	for seed := range uint64(10) {
		f.Add(randomScript(2000+seed, 200*int(seed+1)))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 4000 {
			t.Skip("long enough")
		}
		runRebuild(t, script)
	})
}

// event is the nth event of a user on partition 0, some time ago.
func pastEvent(user string, n int64, age time.Duration) Event {
	e := Event{Offset: n, Time: time.Now().Add(-age)}
	e.UserID, e.EventID, e.ItemID, e.Type, e.OccurredAt = user, fmt.Sprint("e", n), fmt.Sprint("i", n), schemas.View, e.Time
	return e
}

func applyAll(t *testing.T, s *Store, events ...Event) {
	t.Helper()
	slices.SortFunc(events, func(a, b Event) int { return cmp.Compare(a.Offset, b.Offset) })
	report, err := s.Apply(t.Context(), events)
	require.NoError(t, err)
	require.Empty(t, report.Failed)
}

func TestReplaceJudges(t *testing.T) {
	const day = 24 * time.Hour
	erase := Event{Offset: 5, Erase: true, Time: time.Now()}
	erase.UserID = "u"
	for name, c := range map[string]struct {
		live, shadow []Event
		passed       bool
		want         Replaced
		events       uint64        // that the live profile has in the end
		ttl          time.Duration // at the most, and at least a day less
	}{
		"lost": {
			shadow: []Event{pastEvent("u", 1, 10*day), pastEvent("u", 2, 9*day)},
			want:   Replaced{Done: 1}, events: 2, ttl: 171 * day,
		},
		"lost, with a later event": {
			live: []Event{pastEvent("u", 2, day)}, shadow: []Event{pastEvent("u", 1, 10*day), pastEvent("u", 2, day)},
			want: Replaced{Done: 1}, events: 2, ttl: 179 * day,
		},
		"ahead": {
			live: []Event{pastEvent("u", 3, day)}, shadow: []Event{pastEvent("u", 1, 10*day), pastEvent("u", 2, 9*day)},
			want: Replaced{Ahead: []ShadowUser{":{u}"}}, events: 1, ttl: 180 * day,
		},
		"what it knows is no longer in the topic": {
			live:   []Event{pastEvent("u", 1, 3*day), pastEvent("u", 2, 2*day), pastEvent("u", 3, day)},
			shadow: []Event{pastEvent("u", 3, day)},
			want:   Replaced{Done: 1, Kept: 1}, events: 3, ttl: 180 * day,
		},
		"nor is the last": {
			live: []Event{pastEvent("u", 2, 2*day), pastEvent("u", 3, day)}, shadow: []Event{pastEvent("u", 1, 3*day)}, passed: true,
			want: Replaced{Done: 1, Kept: 1}, events: 2, ttl: 180 * day,
		},
		"expired": {shadow: []Event{pastEvent("u", 1, 200*day)}, want: Replaced{Done: 1, Expired: 1}},
		"erased":  {shadow: []Event{pastEvent("u", 1, 10*day), erase}, want: Replaced{Done: 1}, ttl: 30 * day},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			applyAll(t, r.Store, c.live...)
			_, h, err := r.OpenShadow(t.Context())
			require.NoError(t, err)
			applyAll(t, h.Store(), c.shadow...)
			require.EqualValues(t, 1, h.Begun())
			h.Settle()
			got, err := h.Replace(t.Context(), []ShadowUser{":{u}"}, func(int32, int64) bool { return c.passed })
			require.NoError(t, err)
			require.Equal(t, c.want, got)
			var events uint64
			p := r.load(t, "u", "m1")
			if p != nil {
				events = p.Counters.total()
			}
			require.Equal(t, c.events, events)
			ttl := r.client.PTTL(t.Context(), r.profileKey("u")).Val()
			require.LessOrEqual(t, ttl, c.ttl)
			require.GreaterOrEqual(t, ttl, c.ttl-day)
			require.NoError(t, h.Close(t.Context()))
		})
	}
}

// TestASettledShadowBeginsNobody: a user who has been put in place would get a second shadow of the last events alone.
func TestASettledShadowBeginsNobody(t *testing.T) {
	r := newRig(t)
	_, h, err := r.OpenShadow(t.Context())
	require.NoError(t, err)
	applyAll(t, h.Store(), pastEvent("u", 1, time.Hour))
	h.Settle()
	report, err := h.Store().Apply(t.Context(), []Event{pastEvent("u", 2, time.Hour), pastEvent("new", 3, time.Hour)})
	require.NoError(t, err)
	require.Equal(t, []int{0, 1}, report.NewlyApplied, "both count for popularity")
	var users []ShadowUser
	require.NoError(t, h.EachUser(t.Context(), func(u []ShadowUser) error { users = append(users, u...); return nil }))
	require.Equal(t, []ShadowUser{":{u}"}, users)
	require.NoError(t, h.Close(t.Context()))
}

// TestAStandingProcessDoesNotReplace: its successor has removed its shadow, and it has begun it anew with later events.
func TestAStandingProcessDoesNotReplace(t *testing.T) {
	r := newRig(t)
	_, first, err := r.OpenShadow(t.Context())
	require.NoError(t, err)
	applyAll(t, first.Store(), pastEvent("u", 1, time.Hour))
	require.NoError(t, r.client.Del(t.Context(), r.cfg.KeyPrefix+claimKind).Err())
	_, second, err := r.OpenShadow(t.Context())
	require.NoError(t, err)
	applyAll(t, first.Store(), pastEvent("u", 2, time.Hour))
	_, err = first.Replace(t.Context(), []ShadowUser{":{u}"}, func(int32, int64) bool { return true })
	require.ErrorIs(t, err, redisdb.ErrClaimLost)
	require.Nil(t, r.load(t, "u", "m1"))
	require.NoError(t, first.Close(t.Context()))
	require.NoError(t, second.Check(t.Context()), "the first has given back nothing that is the second's")
	require.NoError(t, second.Close(t.Context()))
}
