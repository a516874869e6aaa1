package recommender_test

import (
	"fmt"
	"math"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/ranking"
	"github.com/freshet/freshet/services/recommender"
)

// variety is requests of all kinds, so that a batch has several filters, sizes, and ways to a vector.
func variety(now time.Time, n int) []schemas.RecommendationRequest {
	age := int32(20)
	list := make([]schemas.RecommendationRequest, n)
	for i := range list {
		q := request(fmt.Sprint("user", i%5), int32(1+i%13))
		q.RequestID = fmt.Sprint("r", i)
		switch i % 8 {
		case 1:
			q.Region = "DE"
		case 2:
			q.SeedItemID = itemID(i % 60)
		case 3:
			q.Filter, q.Count = `item.price > 12 and "kind3" in item.categories`, 9
		case 4:
			q.Recent = []schemas.RecentEvent{recent(schemas.Like, itemID(i%50), now)}
		case 5:
			q.UserID, q.Age = "nobody", &age
		case 6:
			q.ExcludeItemIDs, q.IncludeSeen = itemIDs(i%10, i%10+20), true
		case 7:
			q.Count = 0 // refused
		}
		list[i] = q
	}
	return list
}

func varietyRig(t testing.TB, settings ...setting) *rig {
	r := newRig(t, append(settings, func(o *options) {
		o.ranking = ranking.DefaultConfig()
		o.ranking.Recency = 0 // or scores would change by the microsecond
	})...)
	r.stock(t, 150, func(n int, it *schemas.ItemChange) {
		if n%4 == 0 {
			it.Regions = []string{"AT"}
		}
		it.MinAge = int32(n % 3 * 9)
	})
	r.favour(t, itemIDs(90, 110)...)
	for u := range 4 {
		r.click(t, fmt.Sprint("user", u), itemIDs(10*u, 10*u+3+u)...)
	}
	r.load() // user4 has a history and no embedding
	r.click(t, "user4", itemIDs(70, 75)...)
	r.load(model)
	return r
}

func TestBatchEqualsOneByOne(t *testing.T) {
	r := varietyRig(t, func(o *options) { o.Candidates = 20; o.ShelfRefresh = time.Hour })
	list := variety(r.clock.Add(time.Second), 40)
	together := r.askAll(t, list...)
	for i, q := range list {
		alone := r.ask(t, q)
		require.Equal(t, alone.Status, together[i].Status)
		require.Equal(t, alone.Error, together[i].Error)
		require.Equal(t, alone.Fallback, together[i].Fallback)
		require.Equal(t, alone.Freshness.Profile, together[i].Freshness.Profile)
		// Scores are standardised over the candidates, by the same sums in the same order: the bits agree.
		require.Equal(t, alone.Items, together[i].Items, "request %d: %+v", i, q)
	}
}

// Batches run side by side while the catalogue, the profiles and the live model change, some requests wait, some deadlines run
// out in the middle of the work: each request gets one reply.
func TestExactlyOneReplyUnderRaces(t *testing.T) {
	r := varietyRig(t, func(o *options) {
		o.ReplyReserve, o.WorkReserve, o.StageTimeout = time.Millisecond, 5*time.Millisecond, 50*time.Millisecond
	})
	r.switchLive(t, otherModel)
	r.switchLive(t, model)
	stop := make(chan struct{})
	var change sync.WaitGroup
	change.Go(func() {
		for n := 0; ; n++ {
			select {
			case <-stop:
				return
			default:
			}
			// The faults meet these writes as well: what becomes of them is no matter here.
			_, _ = r.profiles.Apply(t.Context(), []profiles.Event{r.event(fmt.Sprint("user", n%5), schemas.Click, itemID(n%150))})
			it := item(n % 150)
			it.Available, it.Version, it.OccurredAt = n%3 > 0, int64(1000+n), r.clock
			_, _ = r.items.Write(t.Context(), []items.Change{{Record: it, Model: model, Vector: r.itemVector(model, &it)}})
			_ = r.index.SwitchLive(t.Context(), []string{model, otherModel}[n/20%2])
			switch n % 10 {
			case 3:
				r.redis.Delay("MGET", 1, 20*time.Millisecond)
			case 6:
				r.milvus.Delay("Search", 1, 20*time.Millisecond)
			case 9:
				r.redis.FailNext("HMGET", loading)
			}
		}
	})
	var asking sync.WaitGroup
	for seed := range uint64(4) {
		asking.Go(func() {
			rng := rand.New(rand.NewPCG(seed, 1))
			for range 15 {
				list := variety(time.Now(), 1+rng.IntN(12))
				for i := range list {
					left := time.Duration(rng.IntN(30_000)) * time.Microsecond
					list[i].Deadline = time.Now().Add(left)
					list[i].Explain = rng.IntN(4) == 0
					if rng.IntN(4) == 0 {
						list[i].SeenThrough = &schemas.Position{Offset: rng.Int64N(200)}
					}
				}
				p := r.post(t.Context(), list...)
				for i := range list {
					<-p.each[i]
				}
				<-p.returned
				p.mu.Lock()
				for i := range list {
					if p.delivered[i] != 1 {
						t.Errorf("request %d has %d replies", i, p.delivered[i])
					}
				}
				p.mu.Unlock()
			}
		})
	}
	asking.Wait()
	close(stop)
	change.Wait()
}

// Recommend and Close return after the replies are out, also where a watchdog is about to deliver one.
func TestRecommendReturnsAfterItsReplies(t *testing.T) {
	r := faultRig(t, func(o *options) { o.StageTimeout = 100 * time.Millisecond })
	r.redis.Delay("HMGET", 1, 80*time.Millisecond)
	delivering, delivered := make(chan struct{}), make(chan struct{})
	returned := make(chan struct{})
	go func() {
		defer close(returned)
		r.Recommend(t.Context(), []schemas.RecommendationRequest{soon("ann", 30*time.Millisecond)},
			func(int, schemas.RecommendationReply) {
				close(delivering)
				<-delivered
			})
	}()
	<-delivering
	select {
	case <-returned:
		require.FailNow(t, "Recommend returned while its reply was being delivered")
	case <-time.After(300 * time.Millisecond):
	}
	close(delivered)
	<-returned
}

func TestAnEmptyBatch(t *testing.T) {
	r := newRig(t)
	require.Empty(t, r.askAll(t))
}

func TestConfig(t *testing.T) {
	require.NoError(t, recommender.DefaultConfig().Validate())
	for field, change := range map[string]func(*recommender.Config){
		"candidates":       func(c *recommender.Config) { c.Candidates = 0 },
		"max_candidates":   func(c *recommender.Config) { c.MaxCandidates = c.Candidates - 1 },
		"max_candidates:":  func(c *recommender.Config) { c.MaxCandidates = 16385 },
		"shelf_size":       func(c *recommender.Config) { c.ShelfSize = 0 },
		"query_taste":      func(c *recommender.Config) { c.QueryTaste = math.NaN() },
		"stage_timeout":    func(c *recommender.Config) { c.StageTimeout = 0 },
		"live_refresh":     func(c *recommender.Config) { c.LiveRefresh = -1 },
		"shelf_refresh":    func(c *recommender.Config) { c.ShelfRefresh = 0 },
		"reply_reserve":    func(c *recommender.Config) { c.ReplyReserve = 0 },
		"work_reserve":     func(c *recommender.Config) { c.WorkReserve = 0 },
		"default_deadline": func(c *recommender.Config) { c.DefaultDeadline = c.ReplyReserve },
		"max_deadline":     func(c *recommender.Config) { c.MaxDeadline = c.DefaultDeadline - 1 },
	} {
		c := recommender.DefaultConfig()
		change(&c)
		err := c.Validate()
		require.Error(t, err, field)
		name := field
		if name[len(name)-1] == ':' {
			name = name[:len(name)-1]
		}
		require.ErrorContains(t, err, name)
		require.ErrorContains(t, err, "use ")
	}
}
