package recommender

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/ranking"
	"github.com/freshet/freshet/services/rules"
	"github.com/freshet/freshet/services/towers"
)

// Parts are the services that a Service moves requests through.
type Parts struct {
	Profiles *profiles.Store
	Items    *items.Store
	Index    *candidates.Index
	Ranker   ranking.Ranker
	// Towers returns the user towers that are loaded now, Queries the query towers, Rules the rule set in force. Queries may be nil.
	Towers  func() []*towers.UserTower
	Queries func() []*towers.QueryTower
	Rules   func() *rules.Set
	Limits  schemas.Limits
	// Lost is optional; without it Redis is taken to hold all that it ever held.
	Lost Lost
}

// Service answers batches of recommendation requests. It is safe for concurrent use.
type Service struct {
	Parts
	config Config
	log    *slog.Logger
	live   liveModel
	shelf  shelfCache
	lost   lostCache
	// filters keeps what product teams send again and again compiled.
	filters *rules.FilterCache
	observe *instruments
	work    workTime
	// background counts the requests that wait for their seen_through position and the refreshes under way.
	background sync.WaitGroup
}

// New returns a Service; Close waits for its last replies.
func New(parts Parts, config Config, log *slog.Logger) *Service {
	s := &Service{Parts: parts, config: config, log: log, filters: rules.NewFilterCache(filtersKept)}
	s.observe = newInstruments(s.observedVersion)
	return s
}

// filtersKept bounds the compiled filters; each takes some kilobytes.
const filtersKept = 1024

// Close waits until every waiting request has been answered.
func (s *Service) Close() {
	s.observe.close()
	s.background.Wait()
}

// Recommend answers each request by one call of deliver with the request's index, from any goroutine, before the request's
// deadline. It returns when all are answered but those that wait for their seen_through position: these are delivered
// later, and do not hold up the batch that they came with; ctx must live until then. When ctx ends first, what waits is
// answered at once from what is there.
func (s *Service) Recommend(
	ctx context.Context, requests []schemas.RecommendationRequest, deliver func(int, schemas.RecommendationReply),
) {
	now := time.Now()
	live := make([]*job, 0, len(requests))
	for i := range requests {
		if j := s.admit(&requests[i], now, func(r schemas.RecommendationReply) { deliver(i, r) }); j != nil {
			live = append(live, j)
		}
	}
	s.serve(ctx, live, s.park)
}

// serve moves jobs stage by stage to their replies. Jobs whose seen_through position is not reached go to park.
func (s *Service) serve(ctx context.Context, jobs []*job, park func(context.Context, *job)) {
	if len(jobs) == 0 {
		return
	}
	begin := time.Now()
	s.move(ctx, &batch{service: s, jobs: jobs, records: map[string]*items.Item{}}, park)
	s.work.took(time.Since(begin))
}

// move takes a batch through the stages.
func (s *Service) move(ctx context.Context, b *batch, park func(context.Context, *job)) {
	s.observe.batch.Record(ctx, int64(len(b.jobs)))
	b.run(ctx, stageModel, b.readModel)
	b.run(ctx, stageProfile, b.readProfiles)
	b.parkWaiting(ctx, park)
	b.admitLostRows()
	b.run(ctx, stageVector, b.makeVectors)
	b.run(ctx, stagePlan, b.planSearches)
	for b.open = b.jobs; len(b.open) > 0; b.open = b.widen() {
		b.run(ctx, stageRetrieve, b.retrieve)
		b.run(ctx, stageRecords, b.readRecords)
		b.run(ctx, stageRank, b.rank)
	}
	b.run(ctx, stageFallback, b.fillFromShelf)
	for _, j := range b.jobs {
		b.explain(j)
		j.answer(j.compose())
	}
	s.observe.countRules(ctx, b.jobs)
}

// The stages, as they appear in a reply's timings, in traces and in metrics.
const (
	stageModel    = "model"
	stageProfile  = "profile"
	stageVector   = "vector"
	stagePlan     = "plan"
	stageRetrieve = "retrieve"
	stageRecords  = "records"
	stageRank     = "rank"
	stageFallback = "fallback"
	// stageWait is the time that a request waits beside the batches for its seen_through position.
	stageWait = "wait"
)

var stages = []string{
	stageModel, stageProfile, stageVector, stagePlan, stageRetrieve, stageRecords, stageRank, stageFallback, stageWait,
}

// batch is the requests that travel together, and the item records that they share.
type batch struct {
	service *Service
	// jobs are all requests of the batch, open those whose pages retrieval may still fill.
	jobs, open []*job
	model      string
	records    map[string]*items.Item
	// recordsErr is why the last read of item records failed; the shelf's copies serve then.
	recordsErr error
	lost       Losses
	shelf      *shelf
}

// run does one stage under the stage's timeout and books its time on every job.
func (b *batch) run(ctx context.Context, stage string, work func(context.Context)) {
	if len(b.jobs) == 0 {
		return
	}
	requests := len(b.jobs)
	if len(b.open) > 0 { // retrieval goes on for these alone
		requests = len(b.open)
	}
	ctx, span := b.service.observe.begin(ctx, stage, requests)
	ctx, cancel := context.WithTimeout(ctx, b.service.config.StageTimeout)
	defer cancel()
	begin := time.Now()
	work(ctx)
	spent := time.Since(begin)
	b.service.observe.end(ctx, stage, spent, span)
	for _, j := range b.jobs {
		j.book(stage, spent)
	}
}
