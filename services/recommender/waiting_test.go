package recommender_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

func waiting(user string, offset int64, patience time.Duration) schemas.RecommendationRequest {
	q := request(user, 5)
	q.SeenThrough, q.Deadline = &schemas.Position{Offset: offset}, time.Now().Add(patience)
	return q
}

func TestSeenThroughAlready(t *testing.T) {
	r := newRig(t)
	r.stock(t, 50, nil)
	at := r.click(t, "ann", itemID(1), itemID(2))
	reads := r.redis.Calls("HMGET")
	replies := r.askAll(t, waiting("ann", at.Offset, time.Minute), waiting("ann", at.Offset-1, time.Minute))
	for _, reply := range replies {
		requireOK(t, reply)
		require.True(t, *reply.Freshness.SeenThroughSatisfied)
	}
	require.LessOrEqual(t, r.redis.Calls("HMGET")-reads, 3, "both profiles and the shelf's clock: nobody polls")
}

// The event comes while its request waits. The requests that came in the same batch do not wait with it.
func TestSeenThroughWhileWaiting(t *testing.T) {
	r := newRig(t)
	r.setRules(t, plainRules)
	r.stock(t, 50, nil)
	first := r.click(t, "ann", itemID(1))
	r.click(t, "bob", itemID(2))
	next := r.offset
	p := r.post(t.Context(), waiting("ann", next, time.Minute), request("bob", 5), waiting("eve", next+1, time.Minute))
	requireOK(t, p.waitFor(t, 1))
	<-p.returned
	for _, waits := range []int{0, 2} {
		select {
		case <-p.each[waits]:
			require.FailNow(t, "answered before its event was applied", "%+v", p.replies[waits])
		default:
		}
	}
	other := schemas.Position{Partition: 1, Offset: next + 5}
	e := r.event("ann", schemas.Click, itemID(9))
	e.Partition = other.Partition // another partition's offset says nothing
	r.offset--
	r.apply(t, e)
	r.click(t, "ann", itemID(3))
	r.click(t, "eve", itemID(4))
	p.wait(t)
	require.NotEqual(t, first, *p.replies[0].Freshness.Profile)
	for i, user := range map[int]string{0: "ann", 2: "eve"} {
		requireOK(t, p.replies[i])
		require.True(t, *p.replies[i].Freshness.SeenThroughSatisfied)
		profile := r.profile(t, user)
		var seen []string
		for _, h := range profile.History {
			seen = append(seen, h.ItemID)
		}
		require.Equal(t, without(r.nearest(t, model, profile.Embedding, 20), 5, seen...), ids(p.replies[i]), user)
	}
}

func TestSeenThroughNotReached(t *testing.T) {
	r := newRig(t, func(o *options) { o.WorkReserve = 2 * time.Second })
	r.stock(t, 50, nil)
	r.click(t, "ann", itemID(1))
	const patience = 2300 * time.Millisecond
	begin := time.Now()
	replies := r.askAll(t, waiting("ann", 77, patience), waiting("nobody", 0, patience))
	require.Greater(t, time.Since(begin), 250*time.Millisecond, "it waits as long as it may")
	for i, reply := range replies {
		require.Equal(t, schemas.StatusDegraded, reply.Status)
		require.Contains(t, reply.Error, "seen_through: partition 0 had not reached offset")
		require.False(t, *reply.Freshness.SeenThroughSatisfied)
		require.Len(t, reply.Items, 5, "what is there is shown, %d", i)
	}
	require.Equal(t, []string{"retrieval"}, sources(replies[0]))
	require.Equal(t, []string{"recent"}, sources(replies[1]))
}

// The machine is so busy that the request does not wake up before the watchdog does: the reason is the position, not a store.
func TestSeenThroughNotReachedIsNotBlamedOnTheStores(t *testing.T) {
	r := newRig(t, func(o *options) { o.ReplyReserve, o.WorkReserve = 100*time.Millisecond, time.Nanosecond })
	r.stock(t, 50, nil)
	r.favour(t, itemIDs(0, 10)...)
	requireOK(t, r.ask(t, request("bob", 5)))
	for _, reply := range r.askAll(t, waiting("ann", 77, 200*time.Millisecond)) {
		require.Equal(t, schemas.StatusDegraded, reply.Status)
		require.Contains(t, reply.Error, "seen_through: partition 0 had not reached offset 77 in time")
		require.NotContains(t, reply.Error, "Redis")
		require.Len(t, reply.Items, 5)
	}
}

// However far away the deadline is, a position that never comes does not hold a request, nor what waits for it, for ever.
func TestLateDeadlines(t *testing.T) {
	r := newRig(t, func(o *options) {
		o.DefaultDeadline, o.MaxDeadline = 200*time.Millisecond, 300*time.Millisecond
	})
	r.stock(t, 50, nil)
	inAYear := waiting("ann", 77, 365*24*time.Hour)
	unnamed := waiting("bob", 77, 0)
	unnamed.Deadline = time.Time{}
	begin := time.Now()
	for _, reply := range r.askAll(t, inAYear, unnamed) {
		require.Equal(t, schemas.StatusDegraded, reply.Status)
		require.False(t, *reply.Freshness.SeenThroughSatisfied)
	}
	require.Less(t, time.Since(begin), 5*time.Second)
}

// The end of the caller's context ends all waiting at once, with an answer.
func TestContextEndsWhileWaiting(t *testing.T) {
	r := newRig(t)
	r.stock(t, 50, nil)
	r.favour(t, itemIDs(0, 10)...)
	requireOK(t, r.ask(t, request("ann", 5)))
	ctx, cancel := context.WithCancel(t.Context())
	p := r.post(ctx, waiting("ann", 77, time.Minute))
	<-p.returned
	cancel()
	begin := time.Now()
	p.wait(t)
	require.Less(t, time.Since(begin), 10*time.Second)
	require.Equal(t, schemas.StatusDegraded, p.replies[0].Status)
	require.Len(t, p.replies[0].Items, 5)
}

func TestCloseWaitsForWhoWaits(t *testing.T) {
	r := newRig(t)
	r.stock(t, 50, nil)
	p := r.post(t.Context(), waiting("ann", 0, 300*time.Millisecond))
	<-p.returned
	r.Close()
	select {
	case <-p.each[0]:
	default:
		require.FailNow(t, "Close returned before the reply")
	}
	p.wait(t)
}

// Redis fails while a request waits: it goes on waiting, and gets what it waited for.
func TestRedisFailsWhileWaiting(t *testing.T) {
	r := newRig(t)
	r.stock(t, 50, nil)
	p := r.post(t.Context(), waiting("ann", 0, time.Minute))
	<-p.returned
	polled := r.redis.Calls("HMGET")
	r.redis.Fail("HMGET", 1, "LOADING Redis is loading the dataset in memory")
	require.Eventually(t, func() bool { return r.redis.Calls("HMGET") > polled+2 }, patience, time.Millisecond)
	r.click(t, "ann", itemID(1))
	p.wait(t)
	requireOK(t, p.replies[0])
	require.True(t, *p.replies[0].Freshness.SeenThroughSatisfied)
}
