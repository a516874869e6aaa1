package faults

import (
	"context"
	"fmt"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/online/oracle"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// verdict is a row of the report.
type verdict struct {
	fault                         string
	recovered                     time.Duration
	ok, degraded, late, lost      int // of the requests that the brokers took in time
	untaken                       int // were not taken in time: nobody promised anything
	eventsLost, eventsDoubled     int
	events, changes, repliedTwice int
	reasons                       map[string]int // why degraded
}

// slack is what the measuring itself adds to a reply's time on a busy machine.
const slack = 250 * time.Millisecond

// count sorts the requests from a time on.
func (v *verdict) count(requests []request) {
	v.reasons = map[string]int{}
	for _, q := range requests {
		limit := q.due.Add(deadline)
		if q.copies > 1 {
			v.repliedTwice++
		}
		switch {
		case q.taken.IsZero() || q.taken.After(limit):
			v.untaken++
		case q.copies == 0:
			v.lost++
		case q.replied.After(limit.Add(slack)) || q.reply.Status == schemas.StatusDeadlineExceeded:
			v.late++
		case q.reply.Status == schemas.StatusOK:
			v.ok++
		default:
			v.degraded++
			v.reasons[reasonOf(q.reply)]++
		}
	}
}

// reasonOf is what a degraded reply says in the first place.
func reasonOf(r schemas.RecommendationReply) string {
	if len(r.Degraded) == 0 {
		return r.Status.String()
	}
	return fmt.Sprintf("%v: %s", r.Status, r.Degraded[0])
}

// judge compares all that is stored with the topics.
func (l *load) judge(v *verdict) {
	l.t.Helper()
	l.awaitReplies()
	l.hear()
	l.reading.Wait()
	connected, err := online.Connect(l.t.Context(), l.direct, []online.Role{online.Interactions}, quiet()) // knows the tower
	require.NoError(l.t, err)
	defer func() { require.NoError(l.t, connected.Close()) }()
	by := &oracle.World{Vectors: map[string][]float32{}, HistoryLength: l.s.Profiles.HistoryLength, Ratings: l.s.Profiles.Ratings}
	for i := range shop {
		by.Items = append(by.Items, itemID(i))
	}
	vectors, err := connected.Items.Vectors(l.t.Context(), modelID, by.Items)
	require.NoError(l.t, err)
	for i, id := range by.Items {
		require.NotNil(l.t, vectors[i], "%s has no vector", id)
		by.Vectors[id] = vectors[i]
	}
	by.Tower, err = towers.LoadUserTower(l.s.Bundle)
	require.NoError(l.t, err)
	keys := l.s.Topics.InteractionKeys(l.s.Limits, schemas.EmbeddedRegistry())
	topic, err := oracle.FoldTopic(l.t.Context(), l.direct.Kafka, l.s.Topics.Interactions.Name, l.events, keys, by)
	require.NoError(l.t, err)
	v.events = topic.Events
	require.GreaterOrEqual(l.t, topic.Events, len(l.eventIDs), "the brokers have lost what they had taken")
	l.judgeUsers(v, connected, topic)
	l.judgeItems(v)
}

func (l *load) judgeUsers(v *verdict, c *online.Connections, topic oracle.Topic) {
	l.t.Helper()
	var different []string
	for user, f := range topic.Users {
		loaded, err := c.Profiles.Load(l.t.Context(), []string{user}, modelID)
		require.NoError(l.t, err)
		var have, want int
		want = int(f.Total())
		if p := loaded[0]; p != nil {
			for kind := schemas.Impression; kind <= schemas.Hide; kind++ {
				have += int(p.Counters.Of(kind))
			}
		}
		v.eventsLost += max(0, want-have)
		v.eventsDoubled += max(0, have-want)
		if err := f.Compare(loaded[0]); err != nil {
			different = append(different, fmt.Sprintf("%s: %v", user, err))
		}
	}
	require.Empty(l.t, different[:min(5, len(different))], "%d of %d profiles are not the fold", len(different), len(topic.Users))
}

// judgeItems waits for Milvus to show what it has taken.
func (l *load) judgeItems(v *verdict) {
	l.t.Helper()
	for id, version := range l.versions {
		v.changes += int(version)
		loaded, err := l.stores.Items.Load(l.t.Context(), []string{id})
		require.NoError(l.t, err)
		require.NotNil(l.t, loaded[0], id)
		require.Equal(l.t, version, loaded[0].Version, "%s in Redis", id)
		row, found, err := l.stores.Index.Get(l.t.Context(), modelID, id)
		require.NoError(l.t, err)
		require.True(l.t, found, "%s in Milvus", id)
		require.InDelta(l.t, price(version), row.Price, 1e-4, "%s in Milvus, of version %d", id, version)
	}
	n, err := l.stores.Index.Count(l.t.Context(), modelID)
	require.NoError(l.t, err)
	require.EqualValues(l.t, len(l.versions), n)
}

// awaitReplies gives replies that are owed some time.
func (l *load) awaitReplies() {
	owed := func() (n int) {
		for _, q := range l.since(time.Time{}) {
			if !q.taken.IsZero() && q.copies == 0 {
				n++
			}
		}
		return n
	}
	ctx, cancel := context.WithTimeout(l.t.Context(), 20*time.Second)
	defer cancel()
	for owed() > 0 && ctx.Err() == nil {
		time.Sleep(hearing)
	}
}

// state is for the log of a case that fails.
func (l *load) state() string {
	v := &verdict{}
	requests := l.since(time.Now().Add(-2 * deadline))
	v.count(requests)
	lag, err := l.behind(context.Background())
	var last schemas.RecommendationReply
	for _, q := range requests {
		if q.copies > 0 {
			last = q.reply
		}
	}
	return fmt.Sprintf("of the last %v: %d ok, %d degraded, %d late, %d without a reply, %d not taken; %v; lag %d (%v); hearing: %v; last: %v %s",
		2*deadline, v.ok, v.degraded, v.late, v.lost, v.untaken, v.reasons, lag, err, l.hearingErr, last.Status, last.Error)
}

// healthy says that the consumers keep up and the last replies were in time and whole.
func (l *load) healthy(ctx context.Context) bool {
	const last = requestRate / 2
	recent := l.since(time.Now().Add(-deadline - time.Second))
	whole := 0
	for _, q := range recent {
		switch {
		case q.copies == 0 && time.Since(q.due) < 300*time.Millisecond: // it is on its way
		case q.copies > 0 && q.reply.Status == schemas.StatusOK:
			whole++
		default:
			whole = 0
		}
	}
	if whole < last {
		return false
	}
	lag, err := l.behind(ctx)
	return err == nil && lag < eventRate/2
}

// steady is how long good health must last to count: a role that has died is missed only when its lag has grown.
const steady = 1500 * time.Millisecond

// awaitRecovery returns when the good health began that lasts.
func (l *load) awaitRecovery() (since time.Time) {
	l.t.Helper()
	well := false
	l.eventually("good health after the fault", func(ctx context.Context) bool {
		asked := time.Now()
		switch now := l.healthy(ctx); {
		case !now:
			well = false
		case !well:
			well, since = true, asked
		}
		return well && time.Since(since) > steady
	})
	return since
}
