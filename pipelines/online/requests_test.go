package online

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/consumers/stream/replay"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

func (w *world) client() *producers.RecommendationClient {
	w.t.Helper()
	c, err := producers.NewRecommendationClient(w.t.Context(), w.settings.Producer(quiet()))
	require.NoError(w.t, err)
	w.t.Cleanup(func() { require.NoError(w.t, c.Close(context.WithoutCancel(w.t.Context()))) })
	return c
}

func recommendationRequest(user string) schemas.RecommendationRequest {
	return schemas.RecommendationRequest{
		RequestID: "request", UserID: user, Count: 5, IncludeSeen: true, Deadline: time.Now().Add(patience),
	}
}

// question is a request on the wire, with Spring's headers.
func (w *world) question(q schemas.RecommendationRequest, correlation string) kafkaio.Message {
	m := w.keyed(w.settings.Topics.Requests, q.UserID, w.requests.Append(nil, &q))
	m.Headers = []kafkaio.Header{
		{Key: kafkaio.HeaderReplyTopic, Value: []byte(w.settings.Topics.Replies.Name)},
		{Key: kafkaio.HeaderCorrelationID, Value: []byte(correlation)},
	}
	return m
}

// replyCounts counts the replies by correlation id.
func (w *world) replyCounts() map[string]int {
	w.t.Helper()
	counts := map[string]int{}
	err := replay.Scan(w.t.Context(), w.settings.Kafka, w.settings.Topics.Replies.Name, func(r stream.Record) error {
		correlation, _ := kafkaio.HeaderValue(r.Headers, kafkaio.HeaderCorrelationID)
		counts[string(correlation)]++
		reply, err := w.replies.Decode(w.t.Context(), r.Value, &r)
		if err == nil && reply.Status != schemas.StatusOK {
			err = fmt.Errorf("reply %q to %q: %s", reply.Status, correlation, reply.Error)
		}
		return err
	})
	require.NoError(w.t, err)
	return counts
}

// load asks until stop is closed: questions on the wire as fast as the brokers take them in small groups, and callers of
// the client, who are live: each waits for its reply.
type load struct {
	*world
	asked   atomic.Int64
	called  atomic.Int64
	callers sync.WaitGroup
	stop    chan struct{}
}

func (w *world) startLoad(client *producers.RecommendationClient) *load {
	l := &load{world: w, stop: make(chan struct{})}
	l.callers.Go(l.ask)
	for range 4 {
		l.callers.Go(func() { l.call(client) })
	}
	return l
}

func (l *load) stopped() bool {
	select {
	case <-l.stop:
		return true
	default:
		return false
	}
}

func (l *load) ask() {
	for !l.stopped() {
		var acks sync.WaitGroup
		for range 16 {
			n := l.asked.Add(1)
			acks.Add(1)
			q := recommendationRequest(userID(int(n) % people))
			err := l.writer.Enqueue(context.Background(), l.question(q, fmt.Sprint(n)), func(_ kafkaio.Position, err error) {
				defer acks.Done()
				if err != nil {
					l.t.Error(err)
				}
			})
			if err != nil {
				l.t.Error(err)
				acks.Done()
			}
		}
		acks.Wait()
		time.Sleep(4 * time.Millisecond) // the pace: some 2,000 a second
	}
}

func (l *load) call(client *producers.RecommendationClient) {
	for !l.stopped() {
		q := recommendationRequest(userID(int(l.called.Add(1)) % people))
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		reply, err := client.Recommend(ctx, &q)
		cancel()
		if err != nil || len(reply.Items) == 0 {
			l.t.Errorf("a live caller got %v, %v", reply, err)
			return
		}
	}
}

// finish stops the load, waits until all is answered and returns how many questions got how many replies.
func (l *load) finish() map[int]int {
	l.t.Helper()
	close(l.stop)
	l.callers.Wait()
	l.awaitDone(Recommendations, l.settings.Topics.Requests)
	counts := l.replyCounts()
	byNumber := map[int]int{}
	for n := range l.asked.Load() {
		byNumber[counts[fmt.Sprint(n+1)]]++
	}
	return byNumber
}

// TestNothingIsLostOrAnsweredTwiceWhileMembersComeAndGo: as long as members leave as SIGTERM has them leave, each request gets
// exactly one reply.
func TestNothingIsLostOrAnsweredTwiceWhileMembersComeAndGo(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fillCatalogue()
	members := []*member{w.join(Recommendations)}
	members[0].awaitReady()
	client := w.client()
	l := w.startLoad(client)
	for range 4 {
		members = append(members, w.join(Recommendations), w.join(Recommendations))
		members[len(members)-1].awaitReady()
		for _, m := range members[:2] {
			m.leave()
		}
		members = members[2:]
	}
	byNumber := l.finish()
	require.Equal(t, map[int]int{1: int(l.asked.Load())}, byNumber)
	require.Zero(t, client.LateReplies(), "a second reply to a live caller would be a late one")
	require.Empty(t, w.letters(w.settings.Topics.Requests))
	t.Logf("%d questions and %d calls over 8 joins and 8 leaves", l.asked.Load(), l.called.Load())
}

// TestNothingIsLostWhenMembersDie: what a dead member had answered and not committed is answered again by the next owner; that
// is what at least once means. No request is left without a reply.
func TestNothingIsLostWhenMembersDie(t *testing.T) {
	t.Parallel()
	w := newWorld(t, shortSessions, func(s *settings.Settings) { s.Consumers.Requests.CommitInterval = 100 * time.Millisecond })
	w.fillCatalogue()
	dying := w.join(Recommendations)
	dying.awaitReady()
	client := w.client()
	l := w.startLoad(client)
	for range 3 {
		next := w.join(Recommendations)
		next.awaitReady()
		before := l.called.Load()
		require.Eventually(t, func() bool { return l.called.Load() > before+20 }, patience, poll)
		dying.kill()
		dying = next
	}
	w.join(Recommendations).awaitReady() // see shakeOffTheDead
	byNumber := l.finish()
	require.Zero(t, byNumber[0], "a request was lost")
	t.Logf("%d questions and %d calls over 3 kills: replies by number %v, %d to callers who had their answer",
		l.asked.Load(), l.called.Load(), byNumber, client.LateReplies())
}

// TestRequestsInFlightAtSIGTERMGetTheirReplies: one waits for an event that does not come, another for a slow Milvus.
func TestRequestsInFlightAtSIGTERMGetTheirReplies(t *testing.T) {
	t.Parallel()
	w := newWorld(t, func(s *settings.Settings) { s.Recommender.WorkReserve = 2 * time.Second })
	w.fillCatalogue()
	m := w.join(Recommendations)
	m.awaitReady()
	gatherer := m.runners[Recommendations].(*stream.Gatherer)

	waiting := recommendationRequest("ann")
	waiting.SeenThrough = &schemas.Position{Partition: 0, Offset: 1 << 40}
	waiting.Deadline = time.Now().Add(3 * time.Second)
	w.send(w.question(waiting, "waiting"))
	require.Eventually(t, func() bool { return gatherer.Stats().Batches == 1 }, patience, time.Millisecond)

	searches := w.stack.Milvus.Calls("Search")
	w.stack.Milvus.Delay("Search", 1, 300*time.Millisecond)
	similar := recommendationRequest("bob")
	similar.SeedItemID = itemID(3)
	w.send(w.question(similar, "slow"))
	require.Eventually(t, func() bool { return w.stack.Milvus.Calls("Search") > searches }, patience, time.Millisecond)
	require.Empty(t, w.repliesByCorrelation())

	m.leave()
	replies := w.repliesByCorrelation()
	require.Len(t, replies, 2)
	require.Equal(t, schemas.StatusOK, replies["slow"].Status, replies["slow"].Error)
	require.NotEmpty(t, replies["slow"].Items)
	require.Equal(t, schemas.StatusDegraded, replies["waiting"].Status)
	require.Contains(t, replies["waiting"].Error, "seen_through")
	w.awaitDone(Recommendations, w.settings.Topics.Requests)
}

func (w *world) repliesByCorrelation() map[string]schemas.RecommendationReply {
	w.t.Helper()
	replies := map[string]schemas.RecommendationReply{}
	err := replay.Scan(w.t.Context(), w.settings.Kafka, w.settings.Topics.Replies.Name, func(r stream.Record) error {
		correlation, _ := kafkaio.HeaderValue(r.Headers, kafkaio.HeaderCorrelationID)
		reply, err := w.replies.Decode(w.t.Context(), r.Value, &r)
		if _, again := replies[string(correlation)]; again {
			err = fmt.Errorf("a second reply to %q", correlation)
		}
		replies[string(correlation)] = reply
		return err
	})
	require.NoError(w.t, err)
	return replies
}

// TestDegradedNamesWhatIsLost: a member whose Redis was emptied is ready, and says what its replies lack and how to restore it.
func TestDegradedNamesWhatIsLost(t *testing.T) {
	t.Parallel()
	w := newWorld(t)
	w.fillCatalogue()
	m := w.join(Recommendations)
	m.awaitReady()
	require.Empty(t, m.Degraded(t.Context()))
	require.NoError(t, m.Profiles.Whole().Unmark(t.Context()))
	require.NoError(t, m.Items.Whole().Unmark(t.Context()))
	lost := m.Degraded(t.Context())
	require.Len(t, lost, 2)
	require.Contains(t, lost[0], "freshet rebuild profiles")
	require.Contains(t, lost[1], "freshet rebuild candidates")
	require.Empty(t, m.Missing(t.Context()))
	require.NoError(t, m.Profiles.Whole().Mark(t.Context()))
	require.NoError(t, m.Items.Whole().Mark(t.Context()))
	require.Empty(t, m.Degraded(t.Context()))
}
