package recommender

import (
	"context"
	"math"
	"runtime"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/ranking"
	"github.com/freshet/freshet/services/rules"
	"github.com/freshet/freshet/services/towers"
)

// The recommender's own steps in a reply's waterfall; the others are named by their rules.
const (
	stepRetrieved = "retrieved"
	stepLive      = "live_records"
	stepPage      = "page"
)

// rank orders the candidates of each open job and applies the rules, on all cores.
func (b *batch) rank(context.Context) {
	set := b.service.Rules()
	work := new(errgroup.Group)
	work.SetLimit(runtime.GOMAXPROCS(0))
	for _, j := range b.open {
		work.Go(func() error {
			b.rankOne(j, set)
			return nil
		})
	}
	_ = work.Wait() // rankOne cannot fail
	if b.recordsErr != nil {
		for _, j := range b.open {
			b.admitCopies(j)
		}
	}
}

func (b *batch) rankOne(j *job, set *rules.Set) {
	j.ranked = b.candidates(j.hits, j.source)
	b.addPinned(j, set)
	j.steps = j.firstSteps()
	b.service.Ranker.Rank(b.query(j), j.ranked)
	j.applyRules(set, j.ranked)
}

// candidates pairs hits with their records and drops those that are gone or unavailable.
func (b *batch) candidates(hits []candidates.Hit, source string) []ranking.Candidate {
	out := make([]ranking.Candidate, 0, len(hits))
	for _, h := range hits {
		if item := eligible(b.record(h.ItemID)); item != nil {
			out = append(out, ranking.Candidate{Item: item, Retrieval: h.Score, Score: h.Score, Source: source})
		}
	}
	return out
}

// applyRules makes the page from ranked, keeping the steps that came before the rules.
func (j *job) applyRules(set *rules.Set, ranked []ranking.Candidate) {
	kept, steps := set.Apply(&j.rules, slices.Clone(ranked))
	j.page = kept[:min(len(kept), int(j.request.Count))]
	j.ruled = steps
	j.steps = append(j.steps, steps...)
	j.steps = append(j.steps, step(stepPage, len(kept), len(j.page)))
}

func step(stage string, in, out int) schemas.WaterfallStep {
	return schemas.WaterfallStep{Stage: stage, In: int32(in), Out: int32(out)}
}

// query tells the ranker about the user.
func (b *batch) query(j *job) *ranking.Query {
	q := &ranking.Query{Now: j.rules.Now, Popularity: b.shelf.popularityOf, Explain: j.request.Explain}
	var logs []float64
	for _, e := range j.newestHistory() {
		if it := b.record(e.ItemID); it != nil && it.Price != nil && *it.Price > 0 {
			logs = append(logs, math.Log(*it.Price))
		}
	}
	q.PriceTaste = ranking.PriceTasteOf(logs)
	return q
}

// newestHistory leaves out what the user turned down.
func (j *job) newestHistory() []profiles.Entry {
	if j.profile == nil {
		return nil
	}
	newest := make([]profiles.Entry, 0, tasteItems)
	for _, e := range j.profile.History {
		if len(newest) < tasteItems && !towers.TurnsDown(e.Kind) {
			newest = append(newest, e)
		}
	}
	return newest
}

// fillFromShelf completes the pages that retrieval left short with popular, then recent items, under the same rules.
func (b *batch) fillFromShelf(ctx context.Context) {
	set := b.service.Rules()
	var short []*job
	for _, j := range b.jobs {
		if len(j.page) < int(j.request.Count) && !j.answered.Load() {
			short = append(short, j)
		}
	}
	if len(short) > 0 {
		b.load(ctx, b.shelf.ids())
	}
	for _, j := range short {
		b.fill(j, set)
	}
	b.admitFoundNothing(ctx)
}

// fill puts the shelf's items behind those that retrieval found and lets the rules judge the whole list, so that caps and
// exclusions count over the page as it will be shown.
func (b *batch) fill(j *job, set *rules.Set) {
	have := make(map[string]struct{}, len(j.ranked))
	for _, c := range j.ranked {
		have[c.Item.ItemID] = struct{}{}
	}
	list := slices.Clone(j.ranked)
	list = b.appendShelf(list, b.shelf.popular, ranking.SourcePopular, have)
	list = b.appendShelf(list, b.shelf.recent, ranking.SourceRecent, have)
	j.steps = append(j.firstSteps(), step(stageFallback, len(j.ranked), len(list)))
	j.applyRules(set, list)
	j.fallback = fallbackOf(j.page)
	if b.recordsErr != nil {
		b.admitCopies(j)
	}
}

// admitCopies says, once, that the page is made from records which may be out of date.
func (b *batch) admitCopies(j *job) {
	if !j.copies {
		j.copies = true
		j.degrade(schemas.DegradedItemRecords, "%v; the shelf's copies are of %s", b.recordsErr, b.shelf.readAt.UTC().Format(time.TimeOnly))
	}
}

// fallbackOf names the last resort that a page needed. It may stand before items that retrieval found, where the rules have
// arranged the page.
func fallbackOf(page []ranking.Candidate) string {
	for _, source := range []string{ranking.SourceRecent, ranking.SourcePopular} {
		if slices.ContainsFunc(page, func(c ranking.Candidate) bool { return c.Source == source }) {
			return source
		}
	}
	return ""
}

// appendShelf adds shelf items with scores below all others, falling by place, so that rules which sort keep the order.
func (b *batch) appendShelf(
	list []ranking.Candidate, shelf []*items.Item, source string, have map[string]struct{},
) []ranking.Candidate {
	floor := float32(0)
	if len(list) > 0 {
		floor = list[len(list)-1].Score
	}
	for _, it := range shelf {
		if it == nil {
			continue
		}
		item := eligible(b.record(it.ItemID))
		if item == nil {
			continue
		}
		if _, again := have[item.ItemID]; again {
			continue
		}
		have[item.ItemID] = struct{}{}
		floor -= shelfStep
		list = append(list, ranking.Candidate{
			Item: item, Retrieval: ranking.NotRetrieved, Score: floor, Source: source, Reasons: shelfReason(source),
		})
	}
	return list
}

// shelfStep lies between the scores of neighbours on the shelf.
const shelfStep = 1e-3

// outOfTime is the watchdog's answer: what the shelf has, by the rules that need nothing but the request, or a plain refusal.
func (s *Service) outOfTime(j *job) schemas.RecommendationReply {
	b := &batch{service: s, shelf: s.lastShelf(), recordsErr: context.DeadlineExceeded}
	late := &job{request: j.request, rules: j.rules, deadline: j.deadline}
	if j.request.SeenThrough != nil {
		late.freshness.SeenThroughSatisfied = new(bool) // nobody knows
	}
	late.rules.Seen, late.rules.TurnedDown = late.sawRecently, late.hasTurnedDown
	if j.awaits.Load() {
		late.degrade(schemas.DegradedSeenThrough,
			"partition %d had not reached offset %d in time, and none was left for a page of the user's own; "+
				"popular items are shown, and seen ones may be among them", j.request.SeenThrough.Partition, j.request.SeenThrough.Offset)
	} else {
		late.degrade(schemas.DegradedDeadline,
			"Redis or Milvus did not answer in time; popular items are shown, and seen ones may be among them")
	}
	b.fill(late, s.Rules())
	if len(late.page) == 0 {
		late.degraded = nil
		r := late.compose()
		r.Status, r.Error = schemas.StatusDeadlineExceeded, "deadline: it ran out before anything could be recommended: try again later"
		return r
	}
	return late.compose()
}
