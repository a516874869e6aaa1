package profiles

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

func random(seed uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, 7)) }

// schedule is a world of a topic, its consumers, crashes and a zombie, run by the bytes of a script.
type schedule struct {
	*rig
	t      testing.TB
	script []byte
	hook   *steps
	// workers differ in how much they remember.
	workers []*Store

	topic     [][]Event // by partition
	committed []int
	clock     time.Time
	published int
	users     []string
	oracles   map[string]*oracle
	marks     map[string]map[int32]int64
	towers    [2]*towers.UserTower
}

// pick takes a choice below n from the script; 0 when it has ended.
func (s *schedule) pick(n int) int {
	if len(s.script) == 0 {
		return 0
	}
	b := int(s.script[0])
	s.script = s.script[1:]
	return b % n
}

const scheduleHistory = 6

func runSchedule(t testing.TB, script []byte) {
	s := &schedule{
		rig: newRig(t, func(c *Config) { c.HistoryLength, c.EventIDs = scheduleHistory, oracleEventIDs }), t: t, script: script,
		topic: make([][]Event, 1), committed: make([]int, 1), clock: time.UnixMilli(1_700_000_000_000).UTC(),
		users:   []string{"ann", "b}o{b", ""},
		oracles: map[string]*oracle{}, marks: map[string]map[int32]int64{},
	}
	s.towers = [2]*towers.UserTower{testTower("m1", 1), testTower("m2", 2)}
	s.live = s.towers[:1]
	for i := range 8 {
		s.setVector(t, "m1", fmt.Sprint("i", i), uint64(i))
	}
	for _, u := range s.users {
		s.oracles[u], s.marks[u] = newOracle(scheduleHistory), map[int32]int64{}
	}
	s.hook = &steps{until: -1, after: s.observe}
	// Clients of their own, so that looking on does not count as a step.
	watched := s.server.Connect(s.t, func(o *redis.UniversalOptions) { o.MaxRetries = -1 })
	watched.AddHook(s.hook)
	s.startWorkers(watched)
	for len(s.script) > 0 {
		s.step()
	}
	for p := range s.topic {
		for s.committed[p] < len(s.topic[p]) {
			s.consume(p, 5, true)
		}
	}
	for _, u := range s.users {
		if len(s.oracles[u].marks) > 0 {
			s.oracles[u].check(t, s.rig, u)
		}
		for _, log := range s.topic {
			for _, e := range slices.Backward(log) {
				if e.UserID == u {
					require.Equal(t, e.Offset, s.oracles[u].marks[e.Partition], "an event of %q was lost", u)
					break
				}
			}
		}
	}
}

func (s *schedule) startWorkers(rdb redis.UniversalClient) {
	for _, users := range []int{0, 1, 1000} {
		cfg := s.cfg
		cfg.RememberedUsers = users
		s.workers = append(s.workers, New(rdb, s.items, s.models, cfg))
	}
}

func (s *schedule) step() {
	p := s.pick(len(s.topic))
	switch s.pick(12) {
	case 0, 1, 2, 3:
		for range 1 + s.pick(4) {
			s.publish()
		}
	case 4, 5:
		s.consume(p, 1+s.pick(6), true)
	case 6: // stops dead between write and commit
		s.consume(p, 1+s.pick(6), false)
	case 7: // stops dead at some step, some of its commands done or not
		s.hook.until, s.hook.act = s.pick(4), crashAfter(s.pick(5))
		s.consume(p, 1+s.pick(6), true)
	case 8: // a zombie holds a batch at some step while the new owner goes on
		s.zombie(p)
	case 9: // replay
		s.committed[p] = max(0, s.committed[p]-s.pick(8))
	case 10:
		s.live = [][]*towers.UserTower{s.towers[:1], s.towers[:], s.towers[1:]}[s.pick(3)]
	case 11:
		s.event()
	}
	s.hook.until = -1
}

// event is something rare.
func (s *schedule) event() {
	switch s.pick(4) {
	case 0:
		if len(s.topic) < 3 {
			s.topic, s.committed = append(s.topic, nil), append(s.committed, 0)
		}
	case 1:
		require.NoError(s.t, s.client.ScriptFlush(s.t.Context()).Err())
	default:
		s.setVector(s.t, []string{"m1", "m2"}[s.pick(2)], fmt.Sprint("i", s.pick(10)), uint64(s.pick(256)))
		s.arrive()
	}
}

// strides are what lies between two events: often nothing, seldom long.
var strides = []time.Duration{0, time.Millisecond, 2 * time.Millisecond, 0, 3 * time.Second, 7 * time.Minute, 30 * time.Hour}

func (s *schedule) publish() {
	u := s.pick(len(s.users))
	p := u % len(s.topic)
	s.published++
	s.clock = s.clock.Add(strides[s.pick(len(strides))])
	e := Event{Partition: int32(p), Offset: int64(3 * len(s.topic[p])), Time: s.clock}
	e.UserID, e.EventID = s.users[u], fmt.Sprint("e", s.published)
	e.ItemID, e.Type, e.OccurredAt = fmt.Sprint("i", s.pick(10)), schemas.InteractionType(1+s.pick(10)), s.clock
	switch s.pick(8) {
	case 0:
		e.OccurredAt = s.clock.Add(-time.Duration(s.pick(20)) * strides[1+s.pick(len(strides)-1)])
	case 1:
		e.EventID = fmt.Sprint("e", max(1, s.published-s.pick(12)))
	case 2:
		if s.pick(3) == 0 {
			tombstone := Event{Erase: true, Partition: e.Partition, Offset: e.Offset, Time: e.Time}
			tombstone.UserID = e.UserID
			e = tombstone
		}
	case 3:
		value := float64(s.pick(6))
		e.Value = &value
	}
	s.topic[p] = append(s.topic[p], e)
}

// arrive has one of the workers serve the items that have got their first vector.
func (s *schedule) arrive() {
	after := s.hook.after
	s.hook.after = nil
	defer func() { s.hook.after = after }()
	worker := s.workers[s.pick(len(s.workers))]
	for served := 1; served > 0; {
		var err error
		served, err = worker.serveArrivals(s.t.Context())
		require.NoError(s.t, err)
	}
	for _, u := range s.users {
		s.oracles[u].arrive(s.rig)
	}
}

func (s *schedule) batch(p, n int) []Event {
	log := s.topic[p]
	from := s.committed[p]
	batch := append([]Event(nil), log[from:min(from+n, len(log))]...)
	for i := range batch {
		batch[i].EndOffset = int64(3 * len(log))
	}
	return batch
}

// consume is what one of the consumers does: apply, apply again what failed, commit.
func (s *schedule) consume(p, n int, commit bool) {
	from, batch := s.committed[p], s.batch(p, n)
	if !s.apply(batch) {
		return // it died
	}
	if commit {
		s.committed[p] = from + len(batch)
	}
}

func (s *schedule) apply(batch []Event) bool {
	report, err := s.workers[s.pick(len(s.workers))].Apply(s.t.Context(), batch)
	require.NoError(s.t, err)
	require.Equal(s.t, len(batch), report.Applied+report.Duplicates+report.Untold+report.Replayed+report.Erased+len(report.Failed))
	require.Len(s.t, report.NewlyApplied, report.Applied)
	for _, failure := range report.Failed {
		require.ErrorIs(s.t, failure, errCrash)
	}
	return len(report.Failed) == 0
}

func (s *schedule) zombie(p int) {
	held, ahead := s.batch(p, 1+s.pick(6)), 1+s.pick(3)
	s.hook.until = s.pick(3)
	s.hook.act = func(ctx context.Context, cmds []redis.Cmder, next redis.ProcessPipelineHook) error {
		for range ahead {
			s.consume(p, 1+s.pick(4), true)
		}
		return next(ctx, cmds)
	}
	s.apply(held)
}

// observe runs after every pipeline and tells the oracle which events are in, in the order of the writes. A write that skips
// an event would be told of it nevertheless, and differ.
func (s *schedule) observe() {
	for _, u := range s.users {
		p := s.load(s.t, u, "")
		if p == nil {
			continue
		}
		require.NoError(s.t, p.Err)
		for partition, mark := range p.Watermarks {
			before, known := s.marks[u][partition]
			if !known {
				before = -1
			}
			require.GreaterOrEqual(s.t, mark, before, "a watermark went back")
			for _, e := range s.topic[partition] {
				if e.UserID == u && e.Offset > before && e.Offset <= mark {
					s.oracles[u].apply(s.rig, e)
				}
			}
			s.marks[u][partition] = mark
		}
		s.oracles[u].check(s.t, s.rig, u)
	}
}

func randomScript(seed uint64, length int) []byte {
	rng := random(seed)
	script := make([]byte, length)
	for i := range script {
		script[i] = byte(rng.Uint32())
	}
	return script
}

func TestSchedules(t *testing.T) {
	for seed := range uint64(80) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { runSchedule(t, randomScript(seed, 600)) })
	}
}

func FuzzSchedules(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(randomScript(1000+seed, 50*int(seed+1)))
	}
	f.Fuzz(func(t *testing.T, script []byte) {
		if len(script) > 4000 {
			t.Skip("long enough")
		}
		runSchedule(t, script)
	})
}
