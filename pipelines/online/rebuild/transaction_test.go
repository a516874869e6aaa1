package rebuild_test

import (
	"fmt"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kgo"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

// transaction holds records of both topics, of which none may count unless it commits.
type transaction struct {
	*servertest.Transactions
	commits bool
	records int // of the interactions topic
}

// mostOpen is how many transactions stay open at a time.
const mostOpen = 2

// transact writes a transaction, which may stay open.
func (s *schedule) transact() {
	tx := &transaction{Transactions: s.stack.Kafka.Transactions(), commits: s.rng.IntN(2) == 0}
	for range 1 + s.rng.IntN(20) {
		s.published++ // for the ids; counted back where it aborts
		tx.records++
		id := fmt.Sprint("e", s.published)
		if !tx.commits {
			id = "aborted" + id
		}
		e := s.event(id)
		tx.Write(s.record(s.s.Topics.Interactions, e.UserID, s.events.Append(nil, &e)))
	}
	if !tx.commits {
		s.writeWhatWouldBeSeen(tx)
	}
	s.open = append(s.open, tx)
	if len(s.open) > mostOpen || s.rng.IntN(2) == 0 {
		s.endOne()
	}
}

// writeWhatWouldBeSeen erases a user, takes an item down and alters another, all to be aborted.
func (s *schedule) writeWhatWouldBeSeen(tx *transaction) {
	item := func() string { return fmt.Sprint("item", s.rng.IntN(shop)) }
	tx.Write(s.record(s.s.Topics.Interactions, fmt.Sprint("user", s.rng.IntN(people)), nil))
	s.published++
	tx.records++
	tx.Write(s.record(s.s.Topics.Items, item(), nil))
	c := schemas.ItemChange{
		ItemID: item(), Op: schemas.UpsertItem, Version: 9, OccurredAt: time.Now(), Available: true,
		Title: abortedTitle, Categories: []string{"aborted"},
	}
	tx.Write(s.record(s.s.Topics.Items, c.ItemID, s.changes.Append(nil, &c)))
}

const abortedTitle = "aborted"

// record is one of a producer whose clock may be off. The zero time is now.
func (s *schedule) record(topic topics.Topic, key string, value []byte) *kgo.Record {
	stamps := []time.Time{
		{}, {}, time.Now().Add(-48 * time.Hour), time.Now().Add(-5 * time.Minute), time.Now().Add(-time.Second), time.Now().Add(40 * time.Minute),
	}
	return &kgo.Record{
		Topic: topic.Name, Partition: kafkaio.JavaPartition([]byte(key), topic.Partitions), Key: []byte(key), Value: value,
		Timestamp: stamps[s.rng.IntN(len(stamps))],
	}
}

// endOne ends the transaction that is open for longest.
func (s *schedule) endOne() {
	if len(s.open) == 0 {
		return
	}
	tx := s.open[0]
	s.open = s.open[1:]
	if tx.commits {
		tx.End(kgo.TryCommit)
		s.ran.committed++
		s.ran.events += tx.records
		return
	}
	tx.End(kgo.TryAbort)
	s.ran.aborted++
	s.aborted += tx.records
}

// noneAborted: no item has a record that was never committed.
func (s *schedule) noneAborted() {
	s.t.Helper()
	var ids []string
	for i := range shop {
		ids = append(ids, fmt.Sprint("item", i))
	}
	loaded, err := s.stores.Items.Load(s.t.Context(), ids)
	require.NoError(s.t, err)
	for i, item := range loaded {
		require.NotNil(s.t, item, ids[i])
		require.NotEqual(s.t, abortedTitle, item.Title, ids[i])
	}
}
