package catalogue

import (
	"bytes"
	"context"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/consumers/stream/replay"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/redisdb"
)

// lines is a log.
type lines struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *lines) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *lines) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// refusals returns the lines so far that tell of refused changes.
func (l *lines) refusals() (told []string) {
	for line := range strings.Lines(l.String()) {
		if strings.Contains(line, "an item change was refused") {
			told = append(told, line)
		}
	}
	return told
}

// startWriter makes the topic, of two partitions: what is published again goes to that of the refused record, 0.
func (r *rig) startWriter() {
	r.t.Helper()
	r.topic = r.kafka.Name("items")
	require.NoError(r.t, r.kafka.CreateTopic(r.topic, 2, nil))
	wc := kafkaio.DefaultWriterConfig()
	wc.BackoffInitial = time.Millisecond
	r.writer = kafkaio.NewWriter(r.brokers(), wc, slog.New(slog.DiscardHandler))
	r.t.Cleanup(func() { require.NoError(r.t, r.writer.Close(context.WithoutCancel(r.t.Context()))) })
}

func (r *rig) brokers() kafkaio.Config {
	cfg := kafkaio.DefaultConfig()
	cfg.Brokers = []string{r.kafka.Addr()}
	return cfg
}

// published returns what the topic holds, all of it published by the handlers, as "key=id@version", with a ! behind a deletion.
func (r *rig) published() (all []string) {
	r.t.Helper()
	require.NoError(r.t, replay.Scan(r.t.Context(), r.brokers(), r.topic, func(rec stream.Record) error {
		require.Zero(r.t, rec.Partition)
		c, err := r.records.Serde.Decode(r.t.Context(), rec.Value, &rec)
		if err != nil {
			return err
		}
		require.NoError(r.t, schemas.DefaultLimits().ItemChange(&c, time.Now()), "who reads it takes it")
		_, marked := rec.Header(kafkaio.HeaderRepublished)
		require.True(r.t, marked)
		text := fmt.Sprintf("%s=%s@%d", rec.Key, c.ItemID, c.Version)
		if c.Op == schemas.DeleteItem {
			text += "!"
		}
		all = append(all, text)
		return nil
	}))
	return all
}

// recordKey is where the record of item a lies.
func (r *rig) recordKey() string { return redisdb.Key(r.redis.Prefix, "a", "item") }

func titled(title string) func(*schemas.ItemChange) {
	return func(c *schemas.ItemChange) { c.Title = title }
}

// step is a batch: changes, and tombstones by their item.
type step []any

func (r *rig) step(s step) []stream.Record {
	var batch []stream.Record
	for _, c := range s {
		switch c := c.(type) {
		case schemas.ItemChange:
			batch = append(batch, r.record(c))
		case string:
			batch = append(batch, r.raw(c, nil))
		}
	}
	return batch
}

// TestWhatWonIsPublishedAgain: after each batch the topic's last record of an item says what the catalogue holds.
func TestWhatWonIsPublishedAgain(t *testing.T) {
	dated := func(c *schemas.ItemChange) { c.PublishedAt = time.UnixMilli(1_700_000_000_000) }
	again := func(c *schemas.ItemChange) { c.OccurredAt = c.OccurredAt.Add(time.Minute) }
	for name, test := range map[string]struct {
		batches []step
		want    []string
		says    string
	}{
		"in order":                     {[]step{{change("a", 1), change("b", 1)}, {change("a", 2)}, {deletion("a", 3)}, {"b"}}, nil, ""},
		"a version that comes late":    {[]step{{change("a", 5)}, {change("a", 3)}}, []string{"a=a@5"}, "why=stale"},
		"late in one batch":            {[]step{{change("a", 5), change("a", 3)}}, []string{"a=a@5"}, "held_version=5"},
		"made good in the same batch":  {[]step{{change("a", 5), change("a", 3), change("a", 6)}}, nil, ""},
		"an older deletion":            {[]step{{change("a", 5)}, {deletion("a", 4)}}, []string{"a=a@5"}, "why=stale"},
		"a straggler of a deleted one": {[]step{{change("a", 5), deletion("a", 6)}, {change("a", 4)}}, []string{"a=a@6!"}, "why=relisted"},
		"listed again under the version of the deletion": {
			[]step{{deletion("a", 6)}, {change("a", 6)}}, []string{"a=a@6!"}, "list it again under a larger one",
		},
		"a straggler behind a tombstone":         {[]step{{change("a", 5)}, {"a"}, {change("a", 2)}}, []string{"a=a@5!"}, "why=relisted"},
		"behind a tombstone in one batch":        {[]step{{change("a", 5), "a", change("a", 2)}}, []string{"a=a@5!"}, "why=relisted"},
		"behind the tombstone of an unknown one": {[]step{{"a"}, {change("a", 1)}}, nil, ""},
		"another content under the same version": {
			[]step{{change("a", 5)}, {change("a", 5, titled("another"))}}, []string{"a=a@5"}, "why=conflicting",
		},
		"another content in one batch":                     {[]step{{change("a", 5), change("a", 5, titled("another"))}}, []string{"a=a@5"}, "why=conflicting"},
		"the same content again, dated by its publication": {[]step{{change("a", 5, dated)}, {change("a", 5, dated, again)}}, nil, ""},
		"the same content again, dated by its change":      {[]step{{change("a", 5)}, {change("a", 5, again)}}, []string{"a=a@5"}, "why=conflicting"},
		"several items": {
			[]step{{change("a", 5), change("b", 5), change("c", 5)}, {change("a", 3), change("b", 6), change("c", 2)}},
			[]string{"a=a@5", "c=c@5"}, "others_since_last=0",
		},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			for _, s := range test.batches {
				require.NoError(t, r.Handle(t.Context(), r.step(s)))
			}
			require.ElementsMatch(t, test.want, r.published())
			told := r.log.refusals()
			if test.says == "" {
				require.Empty(t, told)
				return
			}
			require.Len(t, told, 1)
			require.Contains(t, told[0], test.says)
			require.Contains(t, told[0], "remedy=")
		})
	}
}

// TestWhatWasPublishedAgainIsAReplay: the answers, read as they lie in the topic, are answered no more, by the same member and by one
// that has another content under the same version.
func TestWhatWasPublishedAgainIsAReplay(t *testing.T) {
	r := newRig(t)
	r.write(change("a", 5))
	r.write(change("a", 3))
	r.write(change("b", 5, titled("first")))
	r.write(change("b", 5, titled("second")))
	require.Equal(t, []string{"a=a@5", "b=b@5"}, r.published())
	read := func(h *Handler) {
		require.NoError(t, replay.Scan(t.Context(), r.brokers(), r.topic, func(rec stream.Record) error {
			r.offset++
			rec.Offset, rec.EndOffset = r.offset, r.offset+1
			return h.Handle(t.Context(), []stream.Record{rec})
		}))
	}
	read(r.Handler)
	require.Len(t, r.published(), 2)
	other := newRig(t)
	other.write(change("b", 5, titled("second")))
	other.writer, other.topic = r.writer, r.topic
	other.offset = r.offset
	read(other.member())
	require.Len(t, r.published(), 2)
	require.Contains(t, other.log.String(), "another catalogue that reads this topic")
}

// TestANewerChangeThatCameMeanwhileIsPublishedAgainToo tells the race at settle: version 5 is published again while version 6 is
// already in the topic, and lies behind it.
func TestANewerChangeThatCameMeanwhileIsPublishedAgainToo(t *testing.T) {
	for name, first := range map[string]step{
		"a live item": {change("a", 5)}, "a deleted one": {change("a", 4), deletion("a", 5)}, "a tombstone": {change("a", 5), "a"},
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			require.NoError(t, r.Handle(t.Context(), r.step(first)))
			r.write(change("a", 3))
			r.write(change("a", 6))
			require.Len(t, r.published(), 1)
			var answer stream.Record
			require.NoError(t, replay.Scan(t.Context(), r.brokers(), r.topic, func(rec stream.Record) error {
				answer = rec
				return nil
			}))
			r.offset++
			answer.Offset, answer.EndOffset = r.offset, r.offset+1
			require.NoError(t, r.handle(answer))
			require.Equal(t, "a=a@6", r.published()[1])
			r.requireIndexed("a", 6)
		})
	}
}

// TestPublishingAgainComesBeforeTheCommit: a batch whose answer is not in the topic is not done, and comes again.
func TestPublishingAgainComesBeforeTheCommit(t *testing.T) {
	r := newRig(t)
	r.write(change("a", 5))
	refusing := true
	r.kafka.ControlKey(int16(kmsg.Produce), func(req kmsg.Request) (kmsg.Response, error, bool) {
		if !refusing {
			return nil, nil, false
		}
		r.kafka.KeepControl()
		resp := req.ResponseKind().(*kmsg.ProduceResponse)
		for _, topic := range req.(*kmsg.ProduceRequest).Topics {
			refused := kmsg.NewProduceResponseTopic()
			refused.Topic, refused.TopicID = topic.Topic, topic.TopicID
			for _, p := range topic.Partitions {
				of := kmsg.NewProduceResponseTopicPartition()
				of.Partition, of.ErrorCode = p.Partition, kerr.TopicAuthorizationFailed.Code
				refused.Partitions = append(refused.Partitions, of)
			}
			resp.Topics = append(resp.Topics, refused)
		}
		return resp, nil, true
	})
	late := r.record(change("a", 3))
	err := r.handle(late)
	require.ErrorContains(t, err, "grant the user of role catalogue Write on topic "+r.topic)
	require.False(t, stream.IsPermanent(err))
	judged, err := r.store.Judged(t.Context(), r.topic, 0, 100)
	require.NoError(t, err)
	require.Less(t, judged, late.Offset)
	refusing = false
	require.NoError(t, r.handle(late))
	require.Equal(t, []string{"a=a@5"}, r.published())
}

// TestThePastIsNotPublishedAgain: a new group, or one whose offsets were reset, reads what was judged long ago.
func TestThePastIsNotPublishedAgain(t *testing.T) {
	read := observe(t)
	r := newRig(t)
	history := r.step(step{change("a", 1), change("a", 2), change("a", 3)})
	for _, rec := range history {
		require.NoError(t, r.handle(rec))
	}
	for i := range history {
		history[i].EndOffset = r.offset + 1
	}
	require.NoError(t, r.handle(history[0]))
	require.NoError(t, r.handle(history[1:]...))
	require.Empty(t, r.published())
	require.Equal(t, map[string]int64{"indexed": 3, "stale": 1, "superseded": 1, "unchanged": 1}, outcomesOf(t, read("freshet.items")))

	r.write(change("a", 2))
	require.Equal(t, []string{"a=a@3"}, r.published(), "what is new is")

	// The topic is deleted and made anew: its offsets begin again.
	r.offset = -1
	r.write(change("a", 1))
	require.Len(t, r.published(), 2)
	require.Equal(t, int64(2), republished(t, read("freshet.items.republished")))
}

// TestChangesThatAreTriedAgainAreNotThePast: a batch of which one item could not be written is not judged beyond that.
func TestChangesThatAreTriedAgainAreNotThePast(t *testing.T) {
	r := newRig(t)
	r.write(change("a", 5), change("b", 1))
	require.NoError(t, r.rdb.Rename(t.Context(), r.recordKey(), r.recordKey()+".aside").Err())
	require.NoError(t, r.rdb.HSet(t.Context(), r.recordKey(), "not", "a string").Err())
	late, fine := r.record(change("a", 3)), r.record(change("b", 2))
	failed := failures(t, r.handle(late, fine))
	require.Len(t, failed, 1)
	require.False(t, stream.IsPermanent(failed[0]))
	require.NoError(t, r.rdb.Del(t.Context(), r.recordKey()).Err())
	require.NoError(t, r.rdb.Rename(t.Context(), r.recordKey()+".aside", r.recordKey()).Err())
	require.NoError(t, r.handle(late))
	require.Equal(t, []string{"a=a@5"}, r.published())
}

// TestWhatCannotBePublishedAgainIsADeadLetter: the broker takes no record as large as the one that won.
func TestWhatCannotBePublishedAgainIsADeadLetter(t *testing.T) {
	r := newRig(t)
	wc := kafkaio.DefaultWriterConfig()
	wc.MaxBatchBytes = 300
	r.writer = kafkaio.NewWriter(r.brokers(), wc, slog.New(slog.DiscardHandler))
	t.Cleanup(func() { require.NoError(t, r.writer.Close(context.WithoutCancel(t.Context()))) })
	small := r.member()
	require.NoError(t, small.Handle(t.Context(), []stream.Record{r.record(change("a", 5, titled(strings.Repeat("long ", 100))))}))
	failed := failures(t, small.Handle(t.Context(), []stream.Record{r.record(change("b", 1)), r.record(change("a", 3))}))
	require.Len(t, failed, 1)
	requirePermanent(t, failed[1], "max.message.bytes")
}

// TestSettle: a handler of the past publishes again, at the end, what the topic's last records do not say.
func TestSettle(t *testing.T) {
	r := newRig(t)
	past := r.member().Replaying()
	log := r.step(step{
		change("late", 5), change("late", 3), change("fine", 2), change("fine", 1), change("down", 5), deletion("down", 6), change("down", 4),
		change("gone", 5), "gone", change("gone", 2), change("back", 5), "back", change("back", 4), change("back", 6),
	})
	for _, rec := range log {
		require.NoError(t, past.Handle(t.Context(), []stream.Record{rec}))
	}
	log[2].Offset = r.offset + 1 // what the topic says again, somebody published again before
	require.NoError(t, past.Handle(t.Context(), log[2:3]))
	require.Empty(t, r.published())
	n, err := past.Settle(t.Context())
	require.NoError(t, err)
	require.Equal(t, 3, n)
	require.ElementsMatch(t, []string{"late=late@5", "down=down@6!", "gone=gone@5!"}, r.published())
	n, err = past.Settle(t.Context())
	require.NoError(t, err)
	require.Zero(t, n)
	require.Empty(t, r.log.refusals())
}

// TestRefusalsAreToldOnceAMinute of each kind, with how many others there were.
func TestRefusalsAreToldOnceAMinute(t *testing.T) {
	var log lines
	f := refusals{log: slog.New(slog.NewTextHandler(&log, nil))}
	record := stream.Record{Topic: "t"}
	one := func(id string, deleted bool) refused {
		c := change(id, 3)
		return refused{record: &record, change: &c, held: &items.Item{ItemChange: schemas.ItemChange{ItemID: id, Version: 5}, Deleted: deleted}}
	}
	now := time.Now()
	f.tell([]refused{one("a", false), one("b", false), one("c", true)}, now)
	f.tell([]refused{one("d", false)}, now.Add(stream.PaceOf-1))
	f.tell([]refused{one("e", false)}, now.Add(stream.PaceOf))
	told := log.refusals()
	require.Len(t, told, 3)
	require.Contains(t, told[0], "item=a")
	require.Contains(t, told[1], "item=c")
	require.Contains(t, told[1], "why=relisted")
	require.Contains(t, told[2], "item=e")
	require.Contains(t, told[2], "others_since_last=2")
}
