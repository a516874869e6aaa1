package recommender

import (
	"fmt"
	"math"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/ranking"
	"github.com/freshet/freshet/services/rules"
	"github.com/freshet/freshet/services/towers"
)

// job is one request on its way. Only the batch that holds it touches it, but for deliverOnce, which the watchdog calls too.
type job struct {
	request  *schemas.RecommendationRequest
	rules    rules.Request
	deadline time.Time

	profile *profiles.Profile
	// vector is nil where nothing is known of the user's taste; then the shelf alone fills the page.
	vector []float32
	source string
	// personal: the vector of a query leans to the user's taste.
	personal bool
	filter   string // for the index
	k        int
	hits     []candidates.Hit
	// exhausted: the last search failed, a wider one would as well.
	exhausted bool
	// indexSteps count what the index kept back; only for requests that ask to explain.
	indexSteps []schemas.WaterfallStep

	ranked []ranking.Candidate
	// pinned counts those of ranked that are there because a rule pins them.
	pinned int
	page   []ranking.Candidate
	steps  []schemas.WaterfallStep
	// ruled are those of steps that the rules made.
	ruled     []schemas.WaterfallStep
	freshness schemas.Freshness
	fallback  string
	timings   []schemas.StageTiming
	degraded  []degradation
	// copies: that the shelf's copies serve has been said.
	copies bool

	// awaits: the position of its seen_through is not reached. The watchdog reads it.
	awaits atomic.Bool

	once     sync.Once
	answered atomic.Bool
	watchdog *time.Timer
	deliver  func(schemas.RecommendationReply)
}

// admit checks a request and starts its watchdog. A request that needs no work is answered at once; then the result is nil.
func (s *Service) admit(r *schemas.RecommendationRequest, now time.Time, deliver func(schemas.RecommendationReply)) *job {
	j := &job{request: r, deliver: deliver, deadline: s.deadlineOf(r, now), k: s.config.Candidates, source: ranking.SourceRetrieval}
	if err := s.Limits.Request(r, now); err != nil {
		j.refuse(schemas.StatusInvalidRequest, err.Error())
		return nil
	}
	filter, err := s.compileFilter(r.Filter)
	if err != nil {
		j.refuse(schemas.StatusInvalidRequest, err.Error())
		return nil
	}
	left := j.deadline.Sub(now) - s.config.ReplyReserve
	if left <= 0 {
		j.refuse(schemas.StatusDeadlineExceeded, fmt.Sprintf(
			"deadline: %s left no time for an answer when the request was taken up, by %s: send a later one, or run more consumers",
			j.deadline.UTC().Format(time.RFC3339Nano), (-left).Round(time.Millisecond)))
		return nil
	}
	j.rules = j.ruleRequest(filter, now)
	if r.SeenThrough != nil {
		j.freshness.SeenThroughSatisfied = new(bool) // until a profile shows that it is
	}
	j.k = max(j.k, min(2*int(r.Count), s.config.MaxCandidates))
	j.watchdog = time.AfterFunc(left, func() { j.deliverOnce(s.outOfTime(j)) })
	return j
}

// deadlineOf is never later than MaxDeadline from now: a request must not wait for days for a position that never comes.
func (s *Service) deadlineOf(r *schemas.RecommendationRequest, now time.Time) time.Time {
	if r.Deadline.IsZero() {
		return now.Add(s.config.DefaultDeadline)
	}
	if latest := now.Add(s.config.MaxDeadline); r.Deadline.After(latest) {
		return latest
	}
	return r.Deadline
}

func (s *Service) compileFilter(expression string) (*rules.Filter, error) {
	if expression == "" {
		return nil, nil
	}
	f, err := s.filters.Compile(expression)
	if err != nil {
		return nil, fmt.Errorf("filter: %w", err)
	}
	return f, nil
}

// ruleRequest is what the rules see of the request. The seed of a "similar items" request is no recommendation.
func (j *job) ruleRequest(filter *rules.Filter, now time.Time) rules.Request {
	r := j.request
	exclude := make(map[string]struct{}, len(r.ExcludeItemIDs)+1)
	for _, id := range r.ExcludeItemIDs {
		exclude[id] = struct{}{}
	}
	if r.SeedItemID != "" {
		exclude[r.SeedItemID] = struct{}{}
	}
	return rules.Request{
		UserID: r.UserID, Surface: r.Surface, Region: r.Region, Age: r.Age, Now: now, IncludeSeen: r.IncludeSeen, Explain: r.Explain,
		Query: r.Query, Exclude: exclude, Seen: j.hasSeen, TurnedDown: j.hasTurnedDown, Filter: filter, Count: int(r.Count),
	}
}

// hasSeen also counts what the request itself carries: the profile may not hold it yet.
func (j *job) hasSeen(itemID string) bool {
	return j.sawRecently(itemID) || j.profile != nil && j.profile.HasSeen(itemID)
}

// hasTurnedDown goes by the last that the user said of an item, to the profile or along with the request.
func (j *job) hasTurnedDown(itemID string) bool {
	at, turned := int64(math.MinInt64), false
	if j.profile != nil {
		if when, is := j.profile.TurnedDown(itemID); is {
			at, turned = when, true
		}
	}
	for i := range j.request.Recent {
		e := &j.request.Recent[i]
		said := profiles.TakesBack(e.Type) || towers.TurnsDown(e.Type)
		if said && e.ItemID == itemID && e.OccurredAt.UnixMilli() >= at {
			at, turned = e.OccurredAt.UnixMilli(), towers.TurnsDown(e.Type)
		}
	}
	return turned
}

// sawRecently leaves out impressions, as a profile does: what was merely shown is not seen.
func (j *job) sawRecently(itemID string) bool {
	return slices.ContainsFunc(j.request.Recent, func(e schemas.RecentEvent) bool {
		return e.ItemID == itemID && e.Type != schemas.Impression
	})
}

// answer delivers the reply unless the watchdog was first.
func (j *job) answer(r schemas.RecommendationReply) {
	j.deliverOnce(r)
	if j.watchdog != nil {
		j.watchdog.Stop()
	}
}

// deliverOnce delivers the first reply and drops another. It returns when the first one has been delivered, whoever does it:
// Recommend and Close may promise that all is answered once they return.
//
//	watchdog: runs out, is first, delivers .................. delivered
//	batch:    ....................... comes too late, waits, ..........  returns
func (j *job) deliverOnce(r schemas.RecommendationReply) {
	j.once.Do(func() {
		j.answered.Store(true)
		j.deliver(r)
	})
}

func (j *job) refuse(status schemas.ReplyStatus, why string) {
	j.answer(schemas.RecommendationReply{
		RequestID: j.request.RequestID, UserID: j.request.UserID, Status: status, Error: why,
	})
}

// book adds time to a stage; a stage that runs again for a wider retrieval adds up.
func (j *job) book(stage string, spent time.Duration) {
	if !j.request.Explain {
		return
	}
	for i := range j.timings {
		if j.timings[i].Stage == stage {
			j.timings[i].Micros += spent.Microseconds()
			return
		}
	}
	j.timings = append(j.timings, schemas.StageTiming{Stage: stage, Micros: spent.Microseconds()})
}

// compose makes the reply from what the stages left.
func (j *job) compose() schemas.RecommendationReply {
	r := schemas.RecommendationReply{
		RequestID: j.request.RequestID, UserID: j.request.UserID, Status: schemas.StatusOK,
		Items: pageItems(j.page, j.request.Explain), Freshness: j.freshness, Fallback: j.fallback,
	}
	if j.request.Explain {
		r.Waterfall, r.Timings = j.steps, j.timings
	}
	if len(j.degraded) > 0 {
		r.Status = schemas.StatusDegraded
		r.Degraded, r.Error = describe(j.degraded)
		if len(r.Items) == 0 {
			r.Status = schemas.StatusUnavailable
		}
	}
	return r
}

func pageItems(page []ranking.Candidate, explain bool) []schemas.RecommendedItem {
	out := make([]schemas.RecommendedItem, len(page))
	for i, c := range page {
		out[i] = schemas.RecommendedItem{ItemID: c.Item.ItemID, Score: c.Score, Source: c.Source}
		if explain {
			out[i].Reasons = c.Reasons
		}
	}
	return out
}

// eligible is the item if it may be a candidate at all.
func eligible(it *items.Item) *schemas.ItemChange {
	if it == nil || it.Deleted || !it.Available {
		return nil
	}
	return &it.ItemChange
}
