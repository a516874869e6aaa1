package rebuild_test

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/online/rebuild"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/schemas"
)

// schedule interleaves events with the records of their items, which come late, while both rebuilds run and a second group writes
// to the same profiles. Some records are in transactions, of which some abort, some stay open for a while, and their producers'
// clocks are off by minutes or days.
type schedule struct {
	*world
	rng     *rand.Rand
	waiting []int // items that have no record yet
	foreign bool  // a second group runs
	open    []*transaction
	events  *schemas.Serde[schemas.Interaction]
	changes *schemas.Serde[schemas.ItemChange]
	ran     ran
}

// ran is what was tried.
type ran struct{ schedules, events, early, items, erased, rebuilds, foreign, committed, aborted int }

func (r *ran) add(o ran) {
	r.schedules, r.events, r.early, r.items = r.schedules+o.schedules, r.events+o.events, r.early+o.early, r.items+o.items
	r.erased, r.rebuilds, r.foreign = r.erased+o.erased, r.rebuilds+o.rebuilds, r.foreign+o.foreign
	r.committed, r.aborted = r.committed+o.committed, r.aborted+o.aborted
}

func (r ran) String() string {
	return fmt.Sprintf("%d schedules: %d events, %d of them before their item's record, %d items, %d erasures, %d rebuilds, "+
		"%d foreign groups, %d transactions committed and %d aborted",
		r.schedules, r.events, r.early, r.items, r.erased, r.rebuilds, r.foreign, r.committed, r.aborted)
}

func runSchedule(t *testing.T, seed uint64) ran {
	w := newWorld(t, func(stack *servertest.Stack, s *settings.Settings) {
		if seed%3 == 2 && stack.Kafka.Real() { // the embedded broker has no such topics
			of := s.Topics.Interactions
			require.NoError(t, stack.Kafka.CreateTopic(of.Name, int32(of.Partitions), map[string]string{"message.timestamp.type": "LogAppendTime"}))
		}
	})
	s := &schedule{world: w, rng: rand.New(rand.NewPCG(seed, 9)), ran: ran{schedules: 1}}
	s.waiting = s.rng.Perm(shop)
	var err error
	s.events, err = schemas.NewSerde[schemas.Interaction](t.Context(), schemas.EmbeddedRegistry(), w.s.Topics.Interactions.Name)
	require.NoError(t, err)
	s.changes, err = schemas.NewSerde[schemas.ItemChange](t.Context(), schemas.EmbeddedRegistry(), w.s.Topics.Items.Name)
	require.NoError(t, err)
	w.start()
	for range 5 + s.rng.IntN(15) {
		s.step()
	}
	for len(s.open) > 0 {
		s.endOne()
	}
	for len(s.waiting) > 0 {
		s.publishItem()
	}
	s.drain()
	if s.foreign {
		s.drainGroup(foreignGroup)
	}
	s.equal("after both topics are read")
	s.rebuild()
	s.equal("after a rebuild")
	return s.ran
}

const foreignGroup = "foreign"

func (s *schedule) step() {
	switch s.rng.IntN(16) {
	case 0, 1, 2:
		for range 1 + s.rng.IntN(4) {
			s.publishItem()
		}
	case 3:
		s.rebuild()
	case 4: // beside what comes meanwhile
		ended := make(chan struct{})
		go func() {
			defer close(ended)
			s.rebuild()
		}()
		s.publish(1 + s.rng.IntN(60))
		s.publishItem()
		s.publish(1 + s.rng.IntN(20))
		<-ended
	case 5:
		if !s.foreign {
			s.foreign = true
			s.ran.foreign++
			beside := s.s
			beside.Consumers.Group = foreignGroup
			s.startWith(beside, online.Interactions)
		}
	case 6:
		_, err := s.publisher.EraseUser(s.t.Context(), fmt.Sprint("user", s.rng.IntN(people)))
		require.NoError(s.t, err)
		s.published++
		s.ran.erased++
	case 7, 8, 9:
		s.transact()
	case 10:
		s.endOne()
	default:
		s.publish(1 + s.rng.IntN(80))
	}
}

func (s *schedule) publishItem() {
	if len(s.waiting) == 0 {
		return
	}
	s.item(s.waiting[0], 1)
	s.waiting = s.waiting[1:]
	s.ran.items++
}

func (s *schedule) publish(n int) {
	for range n {
		s.published++
		s.ran.events++
		e := s.event(fmt.Sprint("e", s.published))
		_, err := s.publisher.PublishInteraction(s.t.Context(), &e)
		require.NoError(s.t, err)
	}
}

func (s *schedule) event(id string) schemas.Interaction {
	item := s.rng.IntN(shop)
	if slices.Contains(s.waiting, item) {
		s.ran.early++
	}
	return schemas.Interaction{
		EventID: id, UserID: fmt.Sprint("user", s.rng.IntN(people)), ItemID: fmt.Sprint("item", item),
		Type: schemas.InteractionType(1 + s.rng.IntN(10)), OccurredAt: time.Now().Add(-time.Duration(s.rng.IntN(3000)) * time.Millisecond),
	}
}

func (s *schedule) rebuild() {
	s.ran.rebuilds++
	if s.ran.rebuilds%3 == 0 {
		_, err := rebuild.Candidates(s.t.Context(), s.s, stages(map[rebuild.Stage]rebuild.Progress{}), quiet())
		if err != nil {
			s.t.Error(err)
		}
	}
	if _, err := rebuild.Profiles(s.t.Context(), s.s, stages(map[rebuild.Stage]rebuild.Progress{}), quiet()); err != nil {
		s.t.Error(err)
	}
}

func (s *schedule) drainGroup(group string) {
	s.t.Helper()
	require.Eventually(s.t, func() bool {
		lag, err := topics.Lag(s.t.Context(), s.s.Kafka, online.Interactions.Group(group), s.s.Topics.Interactions.Name)
		return err == nil && lag == 0
	}, patience, 5*time.Millisecond)
}

// equal waits until every profile is what the plain fold says.
func (s *schedule) equal(when string) {
	s.t.Helper()
	ctx, cancel := context.WithTimeout(s.t.Context(), patience)
	defer cancel()
	for {
		err := s.compare()
		if err == nil {
			s.noneAborted()
			return
		}
		select {
		case <-ctx.Done():
			require.NoError(s.t, err, when)
		case <-time.After(20 * time.Millisecond):
		}
	}
}

// schedules and oracleFor say how many schedules are run, or for how long (FRESHET_ORACLE_FOR=30m).
const schedules = 3

func oracleFor(t *testing.T) time.Duration {
	text := os.Getenv("FRESHET_ORACLE_FOR")
	if text == "" {
		return 0
	}
	d, err := time.ParseDuration(text)
	require.NoError(t, err, "FRESHET_ORACLE_FOR is a duration such as 30m")
	return d
}

// TestEverythingEqualsTheFoldOverBothTopics runs schedules; FRESHET_ORACLE_SEED is the first one's seed.
func TestEverythingEqualsTheFoldOverBothTopics(t *testing.T) {
	first, err := strconv.ParseUint("0"+os.Getenv("FRESHET_ORACLE_SEED"), 10, 64)
	require.NoError(t, err)
	last := time.Now().Add(oracleFor(t))
	var all ran
	for seed := first; seed < first+schedules || time.Now().Before(last); seed++ {
		t.Run(fmt.Sprint(seed), func(t *testing.T) { all.add(runSchedule(t, seed)) })
		if t.Failed() {
			break
		}
	}
	t.Log(all)
	require.Positive(t, all.early, errors.New("no event came before its item's record"))
	require.Positive(t, all.aborted, "no transaction was aborted")
}
