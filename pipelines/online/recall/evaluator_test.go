package recall

import (
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/schemas"
)

// schedule publishes random records, four a second.
type schedule struct {
	*world
	*rand.Rand
	now      time.Time
	events   []schemas.Interaction
	requests map[string][]string // by user
	versions [catalogueSize]int64
}

func newSchedule(t testing.TB, seed uint64) *schedule {
	s := &schedule{world: newWorld(t, seed), Rand: rand.New(rand.NewPCG(seed, 1)), requests: map[string][]string{}}
	s.fill(s.base)
	for i := range s.versions {
		s.versions[i] = 1
	}
	s.now = s.base.Add(time.Second)
	return s
}

func (s *schedule) publish(n int) {
	for range n {
		s.now = s.now.Add(time.Duration(s.IntN(500)) * time.Millisecond)
		at := s.now
		if s.IntN(8) == 0 { // another producer's clock
			at = at.Add(-time.Duration(s.IntN(3000)) * time.Millisecond)
		}
		s.one(fmt.Sprint("user", s.IntN(9)), at)
	}
}

func (s *schedule) one(user string, at time.Time) {
	switch kind := s.IntN(100); {
	case kind < 12:
		s.item(s.IntN(catalogueSize), at)
	case kind < 32:
		request := fmt.Sprint("request", s.Uint32())
		s.requests[user] = append(s.requests[user], request)
		s.reply(user, request, at, s.Perm(catalogueSize + 2)[:s.IntN(14)]...)
	case kind < 34:
		s.send(interactionsTopic, user, nil, at, published{}) // erased
	case kind < 36:
		s.send(s.IntN(3), user, []byte("no record"), at, published{})
	case kind < 44 && len(s.events) > 0:
		s.event(s.events[s.IntN(len(s.events))], at) // a producer's duplicate
	default:
		e := schemas.Interaction{
			EventID: fmt.Sprint("event", len(s.events)), UserID: user, ItemID: itemID(s.IntN(catalogueSize + 2)),
			Type: schemas.InteractionType(1 + s.IntN(10)), OccurredAt: at,
		}
		if s.IntN(6) == 0 {
			e.OccurredAt = at.Add(-time.Duration(s.IntN(20)) * time.Second) // it comes late
		}
		if known := s.requests[user]; len(known) > 0 && s.IntN(2) == 0 {
			e.RequestID = known[max(0, len(known)-1-s.IntN(8))]
		}
		s.events = append(s.events, e)
		s.event(e, at)
	}
}

func (s *schedule) item(i int, at time.Time) {
	version := s.versions[i] + s.Int64N(3) - 1 // an older one, a replay, or a newer one
	s.versions[i] = max(s.versions[i], version)
	c := itemChange(i, s.IntN(8), max(version, 1), at)
	switch s.IntN(6) {
	case 0:
		c.Available = false
	case 1:
		c.Op = schemas.DeleteItem
	case 2:
		s.send(itemsTopic, c.ItemID, nil, at, published{})
		return
	}
	s.change(c, at)
}

// TestWindowsEqualThePlainFold holds all rows against the oracle, bit for bit.
func TestWindowsEqualThePlainFold(t *testing.T) {
	for seed := range uint64(6) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := newSchedule(t, seed)
			switch seed {
			case 1:
				s.config.SampleShare = .6
			case 2:
				s.config.MaxUsers = 4
			case 3:
				s.config.Backlog = 40 * time.Second
			}
			s.publish(400)
			end := s.now.Truncate(s.config.Period)
			from := s.base
			if seed == 3 {
				from = end.Add(-40 * time.Second)
			}
			want := s.expect(from, end)
			require.Greater(t, len(want), 30)
			require.Equal(t, want, s.evaluate(end))
			var hits, pages, unlisted int64
			for _, r := range want {
				hits, pages, unlisted = hits+r.EmbeddingHits, pages+r.PageHits, unlisted+r.Unlisted
			}
			require.Positive(t, hits*pages*unlisted, "the schedule asks for something of each kind")
		})
	}
}

// TestWhatComesLaterChangesNothing: the windows before a moment are the same with and without what was published from then on.
func TestWhatComesLaterChangesNothing(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := newSchedule(t, 100+seed)
			s.publish(150)
			cut := s.now.Truncate(s.config.Period)
			before := s.evaluate(cut)
			require.NotEmpty(t, before)

			s.now = s.now.Add(4 * time.Second) // beyond any clock that goes back
			for i := range catalogueSize {
				s.change(itemChange(i, (i+3)%8, 100, s.now), s.now)
			}
			s.change(itemChange(catalogueSize, 0, 1, s.now), s.now) // an item that users had acted on before it was there
			s.publish(100)
			s.parts.Topics.Recall.Name += ".again"
			_, err := topics.Ensure(t.Context(), s.parts.Kafka, s.parts.Topics)
			require.NoError(t, err)
			after := s.evaluate(s.now.Truncate(s.config.Period))
			require.Greater(t, len(after), len(before))
			require.Equal(t, before, after[:len(before)])
		})
	}
}

// TestAChangeAfterTheEvent is the same by hand: the item that the user takes becomes the best one only afterwards.
func TestAChangeAfterTheEvent(t *testing.T) {
	w := newWorld(t, 1)
	w.fill(w.base)
	at := func(seconds int) time.Time { return w.base.Add(time.Duration(seconds) * time.Second) }
	w.like("ann", 1, at(1))
	w.reply("ann", "r1", at(2), 4, 5)
	w.like("ann", 2, at(6))                      // not on the page
	w.reply("ann", "r2", at(6), 2)               // in the event's millisecond: after it
	w.change(itemChange(2, 1, 2, at(7)), at(7))  // now it is of item 1's kind
	w.change(itemChange(23, 1, 3, at(7)), at(7)) // and so is another
	w.like("bob", 1, at(11))
	rows := w.evaluate(at(15))
	require.Equal(t, w.expect(w.base, at(15)), rows)
	require.Equal(t, 5*time.Second, rows[3*3].WindowStart.Sub(w.base))
	all := rows[3*3]
	require.Equal(t, "all", all.Segment)
	require.EqualValues(t, 1, all.Events)
	require.EqualValues(t, 1, all.Paged)
	require.EqualValues(t, 0, all.PageHits)
}

// TestAStartGoesOnAfterTheLastWindow: no window is reported twice, none is left out, and what was reported stays.
func TestAStartGoesOnAfterTheLastWindow(t *testing.T) {
	for seed := range uint64(4) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			s := newSchedule(t, 200+seed)
			s.publish(150)
			first := s.now.Truncate(s.config.Period)
			before := s.evaluate(first)
			require.Equal(t, s.expect(s.base, first), before)
			resumed := before[len(before)-1].WindowEnd

			s.publish(150)
			second := s.now.Truncate(s.config.Period)
			after := s.evaluate(second)
			require.Equal(t, before, after[:len(before)])
			require.Equal(t, s.expect(resumed, second), after[len(before):])
			at := s.kafka.End(s.parts.Topics.Recall.Name, 0)
			require.EqualValues(t, len(after), at, "each row was written once")
			require.Equal(t, after, s.evaluate(second), "nothing is new")
			require.Equal(t, at, s.kafka.End(s.parts.Topics.Recall.Name, 0))
		})
	}
}
