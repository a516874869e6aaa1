package online_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/segmentio/kafka-go"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/online/recall"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/schemas/secure"
)

// TestRecallNeedsItsRightsOnItsTopic: each right of role recall on freshet.recall is missed once there is a window to tell of,
// or was one; without it the role stops and names the topic. Who reads the topic needs Read, as the operator has it.
func TestRecallNeedsItsRightsOnItsTopic(t *testing.T) {
	for name, open := range map[string]func(*testing.T) *site{"embedded": embeddedSite, "real": realSite} {
		t.Run(name, func(t *testing.T) {
			w := open(t)
			w.cleanTopics(t)
			s := &w.settings
			s.Recall.Period, s.Recall.Delay, s.Recall.SampleShare = time.Second, 0, 1
			r := readRights(t, w.name)
			for user, parts := range map[string][]string{
				"recall": {"recall"}, "operator": {"operator"}, "app": {"publisher", "asker"}, "recommendations": {"recommendations"},
			} {
				w.allow(t, r.kafkaACLs(user, parts...)...)
			}
			_, err := topics.Ensure(t.Context(), w.as("operator").Kafka, s.Topics)
			require.NoError(t, err)

			rights := map[string]kafka.ACLEntry{}
			for _, entry := range r.acls("recall", "recall") {
				if entry.ResourceName == s.Topics.Recall.Name {
					rights[entry.Operation.String()] = entry
				}
			}
			require.Len(t, rights, 2, "Read and Write: with another right this test must grow")

			writes := func() error { return w.write(t, "recall", s.Topics.Recall.Name) } // what is no row is left out
			reads := func() error {
				_, err := w.readRecall(t, "recall")
				return err
			}
			require.NoError(t, writes())
			w.without(t, writes, func() {
				w.publishOne(t, "e1")
				w.stopsFor(t, w.evaluates(t, nil), "writing a row of recall")
				require.Empty(t, w.recallRows(t))
			}, rights["Write"])
			w.tells(t, 1)
			w.without(t, reads, func() {
				w.stopsFor(t, w.evaluates(t, nil), "reading the rows of")
			}, rights["Read"])
			w.publishOne(t, "e2")
			w.tells(t, 2)
			w.without(t, writes, func() {
				w.stopsFor(t, w.evaluates(t, nil), notSeen)
			}, rights["Read"], rights["Write"])
			w.readersOfRecall(t, r)
		})
	}
}

// kafkaACLs are the rights of parts.
func (r rights) kafkaACLs(user string, parts ...string) (all []kafka.ACLEntry) {
	for _, part := range parts {
		all = append(all, r.acls(part, user)...)
	}
	return all
}

// without does something while rights are taken away, from when brokers know of it on, and returns when they are back.
func (w *site) without(t *testing.T, try func() error, do func(), entries ...kafka.ACLEntry) {
	t.Helper()
	require.NoError(t, try())
	w.disallow(t, entries...)
	require.Eventually(t, func() bool { return try() != nil }, patience, 20*time.Millisecond)
	do()
	w.allow(t, entries...)
	require.Eventually(t, func() bool { return try() == nil }, patience, 20*time.Millisecond)
}

// publishOne has ann like an item, which makes the event's second a window to tell of.
func (w *site) publishOne(t *testing.T, id string) {
	t.Helper()
	publisher, err := producers.NewEventPublisher(t.Context(), w.as("app").Producer(new(recorder).logger()))
	require.NoError(t, err)
	defer func() { require.NoError(t, publisher.Close(context.WithoutCancel(t.Context()))) }()
	_, err = publisher.PublishInteraction(t.Context(), &schemas.Interaction{
		EventID: id, UserID: "ann", ItemID: "item of " + id, Type: schemas.Like, OccurredAt: time.Now(),
	})
	require.NoError(t, err)
}

// evaluates runs the role until it stops by itself, or enough ends it, and returns why it stopped.
func (w *site) evaluates(t *testing.T, enough func() bool) error {
	t.Helper()
	y, err := online.Open(t.Context(), w.as("recall"), []online.Role{online.Recall}, new(recorder).logger())
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	ended := make(chan error, 1)
	go func() { ended <- y.Run(ctx) }()
	if enough == nil {
		enough = func() bool { return len(ended) > 0 }
	}
	if !eventually(enough) {
		err = errors.New("the role went on, and did not do what was waited for")
	}
	cancel()
	return errors.Join(err, <-ended, y.Close())
}

// eventually waits for a condition for as long as the tests' patience.
func eventually(holds func() bool) bool {
	tick, end := time.NewTicker(20*time.Millisecond), time.After(patience)
	defer tick.Stop()
	for !holds() {
		select {
		case <-tick.C:
		case <-end:
			return false
		}
	}
	return true
}

// notSeen is said where a user may not even describe a topic.
const notSeen = "our user may not see them"

// stopsFor holds that an error says what was denied, and on which topic.
func (w *site) stopsFor(t *testing.T, err error, doing string) {
	t.Helper()
	require.ErrorContains(t, err, doing)
	require.ErrorContains(t, err, w.settings.Topics.Recall.Name)
	if doing != notSeen { // which Kafka does not tell from a topic that is not there
		require.Equal(t, secure.Denied, kafkaio.ProblemOf(err), "%v", err)
	}
}

// tells runs the role until so many windows have rows.
func (w *site) tells(t *testing.T, windows int) {
	t.Helper()
	require.NoError(t, w.evaluates(t, func() bool { return len(w.recallRows(t)) >= windows }))
	require.Len(t, w.recallRows(t), windows)
}

// recallRows are those of all users for the first k, as the operator reads them.
func (w *site) recallRows(t *testing.T) []schemas.Recall {
	t.Helper()
	rows, err := w.readRecall(t, "operator")
	require.NoError(t, err)
	var all []schemas.Recall
	for _, row := range rows {
		if row.Segment == schemas.SegmentAll && int(row.K) == w.settings.Recall.At[0] {
			all = append(all, row)
		}
	}
	return all
}

// readRecall reads the topic as `freshet inspect recall` does.
func (w *site) readRecall(t *testing.T, user string) ([]schemas.Recall, error) {
	t.Helper()
	name := w.settings.Topics.Recall.Name
	serde, err := schemas.NewSerde[schemas.Recall](t.Context(), schemas.EmbeddedRegistry(), name)
	require.NoError(t, err)
	return recall.Rows(t.Context(), w.as(user).Kafka, name, serde, w.settings.Limits)
}

// readersOfRecall: the operator's Read is what it takes, and nobody else has it, nor may any other role write there.
func (w *site) readersOfRecall(t *testing.T, r rights) {
	t.Helper()
	name := w.settings.Topics.Recall.Name
	for _, user := range []string{"app", "recommendations", "nobody"} {
		rows, err := w.readRecall(t, user)
		require.Empty(t, rows, user)
		if err != nil { // where the topic looks as if it were not there
			require.Equal(t, secure.Denied, kafkaio.ProblemOf(err), "%s: %v", user, err)
		}
		require.Error(t, w.write(t, user, name), "%s writes to %s", user, name)
	}
	for _, topic := range []string{w.settings.Topics.Interactions.Name, w.settings.Topics.Items.Name, w.settings.Topics.Replies.Name} {
		require.Error(t, w.write(t, "recall", topic), "evaluation writes to %s", topic)
	}
	for _, entry := range r.acls("operator", "operator") {
		if entry.Operation == kafka.ACLOperationTypeRead && entry.ResourceType == kafka.ResourceTypeTopic {
			reads := func() error {
				_, err := w.readRecall(t, "operator")
				return err
			}
			w.without(t, reads, func() {
				err := reads()
				require.ErrorContains(t, err, name)
				require.Equal(t, secure.Denied, kafkaio.ProblemOf(err), "%v", err)
			}, entry)
		}
	}
	require.Len(t, w.recallRows(t), 2)
	rows, err := w.readRecall(t, "recall")
	require.NoError(t, err)
	require.NotEmpty(t, rows)
}
