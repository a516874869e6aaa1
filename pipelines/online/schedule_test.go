package online

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

const (
	people     = 30
	maxMembers = 3
)

// schedule publishes events of many users while members of the interactions role come, go and die, Redis fails now and then
// and, in some schedules, a partition is added.
type schedule struct {
	*world
	rng     *rand.Rand
	growing bool // a partition will be added
	grown   bool
	members []*member
	client  *kafka.Client

	// base is the time of the first event; each later one is a second on.
	base      time.Time
	published int
	sent      []kafkaio.Message
	settled   map[string]bool // users that stay on their partition if one is added

	joins, leaves, kills, faults int
}

func newSchedule(t testing.TB, seed uint64) *schedule {
	rng := rand.New(rand.NewPCG(seed, 3))
	s := &schedule{rng: rng, growing: seed%2 == 1, base: time.Now().Add(-3 * time.Hour), settled: map[string]bool{}}
	s.world = newWorld(t, shortSessions, func(c *settings.Settings) {
		c.Profiles.HistoryLength = 8 // histories are full soon
		if s.growing {
			c.Profiles.HistoryLength = 512 // or never
		}
	})
	s.client = s.settings.Kafka.Client()
	t.Cleanup(func() { kafkaio.CloseIdle(s.client) })
	for u := range people {
		key := []byte(userID(u))
		n := s.settings.Topics.Interactions.Partitions
		s.settled[userID(u)] = !s.growing || kafkaio.JavaPartition(key, n) == kafkaio.JavaPartition(key, n+1)
	}
	return s
}

func userID(u int) string { return fmt.Sprint("user", u) }

func runSchedule(t testing.TB, seed uint64, steps int) {
	s := newSchedule(t, seed)
	s.fillCatalogue()
	s.join()
	for step := range steps {
		if s.growing && !s.grown && step >= steps/2 {
			s.addPartition()
		}
		s.step()
		// No order depends on this pause: it has the steps meet the members in ever other states.
		time.Sleep(time.Duration(s.rng.IntN(40)) * time.Millisecond)
	}
	s.stack.Redis.ClearFaults()
	s.shakeOffTheDead()
	s.awaitDone(Interactions, s.settings.Topics.Interactions)
	s.checkAll()
}

// shakeOffTheDead leaves none but live members in the group. The embedded Kafka, unlike a real one, keeps a member for ever
// whose connection broke while it waited to join: once the leader has assigned it a partition, no timer runs for it. The next
// rebalance removes it, so one more member is had to join.
func (s *schedule) shakeOffTheDead() {
	s.t.Helper()
	s.join()
	group := s.settings.Consumers.Group + "." + string(Interactions)
	for {
		var found int
		require.Eventually(s.t, func() bool {
			for _, m := range s.members {
				if len(m.Missing(s.t.Context())) > 0 {
					return false
				}
			}
			info := s.stack.Kafka.Group(group)
			found = info.Members
			return info.State == "Stable" && found >= len(s.members)
		}, patience, poll)
		if found == len(s.members) {
			return
		}
		s.join()
	}
}

func (s *schedule) join() {
	s.joins++
	s.members = append(s.members, s.world.join(Interactions))
}

func (s *schedule) step() {
	switch s.rng.IntN(14) {
	case 0, 1, 2, 3:
		if len(s.members) < maxMembers {
			s.join()
		}
	case 4, 5:
		if m := s.take(); m != nil {
			s.leaves++
			m.leave()
		}
	case 6, 7:
		if m := s.take(); m != nil {
			s.kills++
			m.kill()
		}
	case 8:
		s.faults++
		redis, nth := s.stack.Redis, 1+s.rng.IntN(4)
		switch s.rng.IntN(4) {
		case 0:
			redis.Fail("EVALSHA", nth, "OOM command not allowed")
		case 1:
			redis.Sever("EVALSHA", nth) // the client cannot know whether it ran
		case 2:
			redis.Delay("EVALSHA", nth, time.Duration(s.rng.IntN(900))*time.Millisecond) // a zombie's write, if it is lost meanwhile
		case 3:
			redis.Fail("HMGET", nth, "LOADING Redis is loading the dataset in memory")
		}
	default:
		s.publish(5 + s.rng.IntN(60))
	}
}

// take removes a random member.
func (s *schedule) take() *member {
	if len(s.members) == 0 {
		return nil
	}
	i := s.rng.IntN(len(s.members))
	m := s.members[i]
	s.members = append(s.members[:i], s.members[i+1:]...)
	return m
}

func (s *schedule) addPartition() {
	s.grown = true
	topic := s.settings.Topics.Interactions
	resp, err := s.client.CreatePartitions(s.t.Context(), &kafka.CreatePartitionsRequest{
		Topics: []kafka.TopicPartitionsConfig{{Name: topic.Name, Count: int32(topic.Partitions + 1)}},
	})
	require.NoError(s.t, err)
	require.NoError(s.t, resp.Errors[topic.Name])
	require.Eventually(s.t, func() bool {
		n, err := s.writer.PartitionCount(s.t.Context(), topic.Name)
		return err == nil && n == topic.Partitions+1
	}, patience, poll, "from now on events of some users go to another partition")
}

// publish writes n records, many at a time, and waits for the brokers to have them.
func (s *schedule) publish(n int) {
	var acks sync.WaitGroup
	for range n {
		acks.Add(1)
		require.NoError(s.t, s.writer.Enqueue(s.t.Context(), s.next(), func(_ kafkaio.Position, err error) {
			defer acks.Done()
			if err != nil {
				s.t.Error(err)
			}
		}))
	}
	acks.Wait()
}

// next is a new event, a copy of one that was sent before, a tombstone, or bytes that are no event.
func (s *schedule) next() kafkaio.Message {
	topic := s.settings.Topics.Interactions
	user := userID(s.rng.IntN(people))
	switch kind := s.rng.IntN(100); {
	case kind < 8 && len(s.sent) > 0:
		return s.sent[s.rng.IntN(len(s.sent))]
	case kind < 10 && len(s.sent) > 0:
		return s.sent[len(s.sent)-1]
	case kind < 11 && s.settled[user]:
		return s.keyed(topic, user, nil)
	case kind < 12:
		return s.keyed(topic, user, []byte("no event"))
	}
	s.published++
	e := schemas.Interaction{
		EventID: fmt.Sprint("event", s.published), UserID: user, ItemID: itemID(s.rng.IntN(knownItems + unknownItems)),
		Type: schemas.InteractionType(1 + s.rng.IntN(10)), OccurredAt: s.base.Add(time.Duration(s.published) * time.Second),
	}
	if s.rng.IntN(6) == 0 { // it comes late
		e.OccurredAt = e.OccurredAt.Add(-time.Duration(s.rng.IntN(120)) * time.Second)
	}
	if s.growing { // no two events have one time
		e.OccurredAt = e.OccurredAt.Add(time.Duration(s.published%1000) * time.Millisecond)
	}
	m := s.keyed(topic, user, s.events.Append(nil, &e))
	s.sent = append(s.sent, m)
	return m
}

func (s *schedule) checkAll() {
	s.t.Helper()
	stores := s.inspect()
	var ids []string
	for i := range knownItems + unknownItems {
		ids = append(ids, itemID(i))
	}
	loaded, err := stores.Items.Vectors(s.t.Context(), modelID, ids)
	require.NoError(s.t, err)
	vectors := map[string][]float32{}
	for i, id := range ids {
		vectors[id] = loaded[i]
	}
	topic := s.foldTopic(vectors)
	spread := 0
	for user, f := range topic.Users {
		if len(f.Marks) > 1 {
			spread++
			require.False(s.t, f.Full(), "the schedule is too long for an oracle that knows no order between partitions")
		}
		profiles, err := stores.Profiles.Load(s.t.Context(), []string{user}, modelID)
		require.NoError(s.t, err)
		require.NoError(s.t, f.Compare(profiles[0]), user)
	}
	letters := s.letters(s.settings.Topics.Interactions)
	require.Len(s.t, letters, topic.Poison, "each record that is no event is a dead letter, and nothing else is")
	s.t.Logf("%d events (%d new, %d poison besides) of %d users, %d of them on several partitions; "+
		"%d joins, %d leaves, %d kills, %d faults",
		topic.Events, s.published, topic.Poison, len(topic.Users), spread, s.joins, s.leaves, s.kills, s.faults)
}

// schedules is how many schedules a plain run tries; FRESHET_TEST_SCHEDULES sets another number, for a long one.
func schedules(t *testing.T) uint64 {
	text := os.Getenv("FRESHET_TEST_SCHEDULES")
	if text == "" {
		return 6
	}
	n, err := strconv.ParseUint(text, 10, 64)
	require.NoError(t, err)
	return n
}

func TestProfilesEqualTheFoldOverTheTopic(t *testing.T) {
	for seed := range schedules(t) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			t.Parallel()
			runSchedule(t, seed, 60)
		})
	}
}

// FuzzProfilesEqualTheFoldOverTheTopic runs short schedules: the fuzzer takes an input of more than ten seconds for a hanging one.
func FuzzProfilesEqualTheFoldOverTheTopic(f *testing.F) {
	f.Add(uint64(100), uint8(10))
	f.Fuzz(func(t *testing.T, seed uint64, steps uint8) {
		runSchedule(t, seed, 5+int(steps)%20)
	})
}
