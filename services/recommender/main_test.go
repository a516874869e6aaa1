package recommender_test

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/infra/embedded/servertest"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/ranking"
	"github.com/freshet/freshet/services/recommender"
	"github.com/freshet/freshet/services/redisdb"
	"github.com/freshet/freshet/services/rules"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// The two models that tests know. The rig starts with model live and only its tower loaded.
const (
	model      = "m1"
	otherModel = "m2"
	dim        = 16
)

// rig is a recommender over real stores on servers.
type rig struct {
	*recommender.Service
	redis    *servertest.Redis
	milvus   *servertest.Milvus
	items    *items.Store
	profiles *profiles.Store
	index    *candidates.Index

	userTowers map[string]*towers.UserTower
	itemTowers map[string]*towers.ItemTower
	queryTower *towers.QueryTower // of model
	loaded     atomic.Pointer[[]*towers.UserTower]
	queries    atomic.Pointer[[]*towers.QueryTower]
	rules      atomic.Pointer[rules.Set]

	version, offset int64
	clock           time.Time // of the events
}

// options are what a test may change of a rig.
type options struct {
	recommender.Config
	ranking ranking.Config
}

type setting func(*options)

// tasteOnly weighs nothing but the index's score, so that a page is in the order of the index.
func tasteOnly() ranking.Config {
	c := ranking.DefaultConfig()
	c.Recency, c.Popularity, c.PriceAffinity = 0, 0, 0
	return c
}

func newRig(t testing.TB, settings ...setting) *rig {
	t.Helper()
	r := newRigWithoutLive(t, settings...)
	r.switchLive(t, model)
	return r
}

// newRigWithoutLive has servers and towers, but no collection.
func newRigWithoutLive(t testing.TB, settings ...setting) *rig {
	t.Helper()
	r := &rig{
		userTowers: map[string]*towers.UserTower{}, itemTowers: map[string]*towers.ItemTower{},
		clock: time.Now().Add(-time.Hour).Truncate(time.Millisecond),
	}
	for i, version := range []string{model, otherModel} {
		shape := towertest.Shape{Version: version, Dim: dim, Seed: uint64(i)}
		if version == model { // the other one reads items alone
			shape.Reads = towertest.Everything
		}
		r.itemTowers[version], r.userTowers[version] = towertest.Towers(shape, features(200))
	}
	r.load(model)
	r.queryTower = towertest.QueryTower(towertest.Shape{Version: model, Dim: dim}, features(200))
	r.loadQueries(r.queryTower)
	r.rules.Store(rules.Default())
	r.connect(t)
	o := options{recommender.DefaultConfig(), tasteOnly()}
	o.LiveRefresh, o.ShelfRefresh = time.Millisecond, time.Millisecond
	for _, change := range settings {
		change(&o)
	}
	require.NoError(t, o.Validate())
	r.Service = recommender.New(recommender.Parts{
		Profiles: r.profiles, Items: r.items, Index: r.index, Ranker: ranking.NewLinear(o.ranking),
		Towers: r.towers, Queries: func() []*towers.QueryTower { return *r.queries.Load() }, Rules: r.rules.Load, Limits: schemas.DefaultLimits(),
	}, o.Config, slog.New(slog.DiscardHandler))
	t.Cleanup(r.Close)
	return r
}

func (r *rig) connect(t testing.TB) {
	t.Helper()
	var err error
	r.redis, r.milvus = servertest.StartRedis(t), servertest.StartMilvus(t)
	redisConfig := redisdb.DefaultConfig()
	redisConfig.Addresses = r.redis.Addresses
	rdb, err := redisdb.Connect(t.Context(), redisConfig)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, rdb.Close()) })
	itemsConfig, profilesConfig := items.DefaultConfig(), profiles.DefaultConfig()
	itemsConfig.KeyPrefix, profilesConfig.KeyPrefix = r.redis.Prefix, r.redis.Prefix
	r.items = items.New(rdb, itemsConfig)
	r.profiles = profiles.New(rdb, r.items, r.towers, profilesConfig)

	indexConfig := candidates.DefaultConfig()
	indexConfig.Address, indexConfig.Collection, indexConfig.Alias = r.milvus.Addr(), r.milvus.Collection, r.milvus.Alias
	indexConfig.DialTimeout = servertest.MilvusDialTimeout
	r.index, err = candidates.Connect(t.Context(), indexConfig)
	require.NoError(t, err)
	t.Cleanup(func() { require.NoError(t, r.index.Close()) })
}

func (r *rig) towers() []*towers.UserTower { return *r.loaded.Load() }

// load makes these the loaded user towers.
func (r *rig) load(versions ...string) {
	var list []*towers.UserTower
	for _, v := range versions {
		list = append(list, r.userTowers[v])
	}
	r.loaded.Store(&list)
}

// loadQueries makes these the loaded query towers.
func (r *rig) loadQueries(list ...*towers.QueryTower) { r.queries.Store(&list) }

func (r *rig) switchLive(t testing.TB, version string) {
	t.Helper()
	require.NoError(t, r.index.Ensure(t.Context(), version, dim))
	require.NoError(t, r.index.SwitchLive(t.Context(), version))
}

func (r *rig) setRules(t testing.TB, source string) {
	t.Helper()
	set, err := rules.Parse([]byte(source))
	require.NoError(t, err)
	r.rules.Store(set)
}

// item is the nth item of the tests' catalogue: available everywhere, for everybody, in one of ten categories.
func item(n int) schemas.ItemChange {
	price := float64(5 + n%40)
	return schemas.ItemChange{
		ItemID: itemID(n), Op: schemas.UpsertItem, Title: fmt.Sprintf("Thing %d", n), Available: true, Price: &price,
		Categories: []string{fmt.Sprintf("kind%d", n%10)}, Brand: fmt.Sprintf("brand%d", n%7),
		PublishedAt: time.Now().Add(-time.Duration(n) * time.Hour).Truncate(time.Millisecond),
	}
}

func itemID(n int) string { return fmt.Sprintf("i%03d", n) }

func itemIDs(from, to int) []string {
	var ids []string
	for n := from; n < to; n++ {
		ids = append(ids, itemID(n))
	}
	return ids
}

func features(n int) []towers.ItemFeatures {
	list := make([]towers.ItemFeatures, n)
	for i := range list {
		it := item(i)
		list[i] = towers.FeaturesOf(&it)
	}
	return list
}

// stock publishes the first n items of the tests' catalogue, each as change leaves it.
func (r *rig) stock(t testing.TB, n int, change func(n int, it *schemas.ItemChange)) {
	t.Helper()
	list := make([]schemas.ItemChange, n)
	for i := range list {
		list[i] = item(i)
		if change != nil {
			change(i, &list[i])
		}
	}
	r.publish(t, model, list...)
}

// publish brings items into Redis and into the index of one model.
func (r *rig) publish(t testing.TB, version string, list ...schemas.ItemChange) {
	t.Helper()
	vectors, marks := r.record(t, version, list...)
	rows := make([]candidates.Row, len(list))
	for i := range list {
		rows[i] = candidates.RowOf(&list[i], vectors[i])
	}
	require.NoError(t, r.index.Upsert(t.Context(), version, rows))
	_, err := r.items.MarkIndexed(t.Context(), version, marks)
	require.NoError(t, err)
	r.milvus.Settle(t)
}

// record brings items into Redis alone: the index lags behind. The marks are for when it does no more.
func (r *rig) record(t testing.TB, version string, list ...schemas.ItemChange) ([][]float32, []items.Mark) {
	t.Helper()
	var marks []items.Mark
	changes, vectors := make([]items.Change, len(list)), make([][]float32, len(list))
	for i := range list {
		r.version++
		list[i].Version, list[i].OccurredAt = r.version, r.clock
		vectors[i] = r.itemVector(version, &list[i])
		changes[i] = items.Change{Record: list[i], Model: version, Vector: vectors[i]}
	}
	outcomes, err := r.items.Write(t.Context(), changes)
	require.NoError(t, err)
	for _, o := range outcomes {
		require.NoError(t, o.Err)
		marks = append(marks, o.Mark)
	}
	return vectors, marks
}

func (r *rig) itemVector(version string, it *schemas.ItemChange) []float32 {
	vector, f := make([]float32, dim), towers.FeaturesOf(it)
	r.itemTowers[version].Encode(vector, &f)
	return vector
}

// click applies clicks of a user on items, one after the other, and returns the position of the last.
func (r *rig) click(t testing.TB, user string, ids ...string) schemas.Position {
	t.Helper()
	events := make([]profiles.Event, len(ids))
	for i, id := range ids {
		events[i] = r.event(user, schemas.Click, id)
	}
	r.apply(t, events...)
	return schemas.Position{Offset: r.offset - 1}
}

// event is the next one of partition 0, a second after the one before.
func (r *rig) event(user string, kind schemas.InteractionType, id string) profiles.Event {
	r.clock = r.clock.Add(time.Second)
	e := profiles.Event{Offset: r.offset, Time: r.clock}
	e.EventID, e.UserID, e.ItemID, e.Type, e.OccurredAt = fmt.Sprint("e", r.offset), user, id, kind, r.clock
	r.offset++
	return e
}

func (r *rig) apply(t testing.TB, events ...profiles.Event) {
	t.Helper()
	report, err := r.profiles.Apply(t.Context(), events)
	require.NoError(t, err)
	require.Empty(t, report.Failed)
}

// favour makes items popular, the first one most.
func (r *rig) favour(t testing.TB, ids ...string) {
	t.Helper()
	weights := map[string]float64{}
	for i, id := range ids {
		weights[id] = float64(len(ids) - i)
	}
	require.NoError(t, r.items.AddPopularity(t.Context(), weights, r.clock))
}

func (r *rig) profile(t testing.TB, user string) *profiles.Profile {
	t.Helper()
	loaded, err := r.profiles.Load(t.Context(), []string{user}, model)
	require.NoError(t, err)
	require.NotNil(t, loaded[0])
	return loaded[0]
}

// nearest asks the index itself what lies next to a vector.
func (r *rig) nearest(t testing.TB, version string, vector []float32, n int) []string {
	t.Helper()
	results, err := r.index.Search(t.Context(), version, [][]float32{vector}, n, "")
	require.NoError(t, err)
	require.NoError(t, results[0].Err)
	ids := make([]string, len(results[0].Hits))
	for i, h := range results[0].Hits {
		ids[i] = h.ItemID
	}
	return ids
}

// taste is the user vector of somebody who did this, in the order of time; the items have vectors.
func (r *rig) taste(t testing.TB, version string, done ...schemas.RecentEvent) []float32 {
	t.Helper()
	done = slices.Clone(done)
	slices.SortStableFunc(done, func(a, b schemas.RecentEvent) int { return a.OccurredAt.Compare(b.OccurredAt) })
	var ids []string
	for _, e := range done {
		ids = append(ids, e.ItemID)
	}
	vectors, err := r.items.Vectors(t.Context(), version, ids)
	require.NoError(t, err)
	tower := r.userTowers[version]
	var acts []towers.Act
	for i, e := range done {
		acts = append(acts, towers.Act{Item: vectors[i], Kind: e.Type, At: e.OccurredAt.UnixMilli()})
	}
	embedding := make([]float32, dim)
	tower.Follow(new(towers.State), embedding, acts)
	return embedding
}

// past is what the profile says that a user did.
func (r *rig) past(t testing.TB, user string) (done []schemas.RecentEvent) {
	t.Helper()
	for _, e := range r.profile(t, user).History {
		done = append(done, recent(e.Type, e.ItemID, e.OccurredAt))
	}
	return done
}

// without drops what is in gone from list, and keeps the first n of the rest.
func without(list []string, n int, gone ...string) []string {
	list = slices.DeleteFunc(slices.Clone(list), func(id string) bool { return slices.Contains(gone, id) })
	return list[:min(n, len(list))]
}

// plainRules are the default ones without the cap on categories, which arranges the page.
const plainRules = `rules:
  - {name: available, kind: filter, keep: item.available}
  - {name: region, kind: filter, keep: 'request.region == "" or len(item.regions) == 0 or request.region in item.regions'}
  - {name: min_age, kind: filter, keep: 'item.min_age <= (request.has_age ? request.age : 0)'}
  - kind: exclude_listed
  - kind: exclude_seen
  - kind: request_filter
`

func request(user string, count int32) schemas.RecommendationRequest {
	return schemas.RecommendationRequest{RequestID: "r-" + user, UserID: user, Count: count}
}

// ask answers one request and sees to it that there is one reply.
func (r *rig) ask(t testing.TB, q schemas.RecommendationRequest) schemas.RecommendationReply {
	t.Helper()
	return r.askAll(t, q)[0]
}

// askAll answers a batch and waits until each of its requests has its one reply.
func (r *rig) askAll(t testing.TB, list ...schemas.RecommendationRequest) []schemas.RecommendationReply {
	t.Helper()
	p := r.post(t.Context(), list...)
	p.wait(t)
	return p.replies
}

// post is a batch under way.
type post struct {
	mu        sync.Mutex
	requests  []schemas.RecommendationRequest
	replies   []schemas.RecommendationReply
	delivered []int
	at        []time.Time
	each      []chan struct{} // closed by the first delivery
	returned  chan struct{}   // closed when Recommend has returned
}

func (r *rig) post(ctx context.Context, list ...schemas.RecommendationRequest) *post {
	n := len(list)
	p := &post{
		requests: list, replies: make([]schemas.RecommendationReply, n), delivered: make([]int, n), at: make([]time.Time, n),
		each: make([]chan struct{}, n), returned: make(chan struct{}),
	}
	for i := range p.each {
		p.each[i] = make(chan struct{})
	}
	go func() {
		defer close(p.returned)
		r.Recommend(ctx, list, p.deliver)
	}()
	return p
}

func (p *post) deliver(i int, reply schemas.RecommendationReply) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.delivered[i]++
	if p.delivered[i] == 1 {
		p.replies[i], p.at[i] = reply, time.Now()
		close(p.each[i])
	}
}

const patience = 20 * time.Second

func (p *post) waitFor(t testing.TB, i int) schemas.RecommendationReply {
	t.Helper()
	select {
	case <-p.each[i]:
	case <-time.After(patience):
		require.FailNow(t, "no reply", "request %d", i)
	}
	return p.replies[i]
}

// wait checks, besides, that all went on time and that the replies belong to their requests.
func (p *post) wait(t testing.TB) {
	t.Helper()
	for i := range p.requests {
		p.waitFor(t, i)
	}
	select {
	case <-p.returned:
	case <-time.After(patience):
		require.FailNow(t, "Recommend does not return")
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i, q := range p.requests {
		reply := p.replies[i]
		require.Equal(t, 1, p.delivered[i], "replies to request %d", i)
		require.Equal(t, q.RequestID, reply.RequestID)
		require.Equal(t, q.UserID, reply.UserID)
		require.LessOrEqual(t, len(reply.Items), max(0, int(q.Count)))
		require.Equal(t, reply.Status == schemas.StatusOK, reply.Error == "", "%s: %s", reply.Status, reply.Error)
		requireCodes(t, reply)
		if !q.Deadline.IsZero() && reply.Status != schemas.StatusDeadlineExceeded {
			require.True(t, p.at[i].Before(q.Deadline), "late by %s", p.at[i].Sub(q.Deadline))
		}
	}
}

func ids(reply schemas.RecommendationReply) []string {
	var list []string
	for _, it := range reply.Items {
		list = append(list, it.ItemID)
	}
	return list
}

func sources(reply schemas.RecommendationReply) []string {
	var list []string
	for _, it := range reply.Items {
		list = append(list, it.Source)
	}
	return slices.Compact(list)
}

func requireOK(t testing.TB, reply schemas.RecommendationReply) {
	t.Helper()
	require.Equal(t, schemas.StatusOK, reply.Status, reply.Error)
}
