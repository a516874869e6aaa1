package recommender

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/ranking"
	"github.com/freshet/freshet/services/rules"
)

// Fate is where one item went that a request might have been answered with.
type Fate struct {
	Reply schemas.RecommendationReply
	// Vector is what was searched with; nil where nothing is known of the user's taste. Whoever gets it leaves it as it is.
	Vector []float32
	// Lost is the step at which the item was lost.
	Lost Loss
	// Rule is the rule that removed it, of LostToRule.
	Rule string
}

// Loss is the kind of a step at which an item was lost.
type Loss uint8

// The steps, in their order.
const (
	// NotLost: it stands on the page.
	NotLost Loss = iota
	// LostUnsought: there was nothing to search with, and what the shelf put on the page was other items.
	LostUnsought
	// LostToRule: a rule keeps it off, in the index or on the list, or its record says that it is not available.
	LostToRule
	// LostByIndex: no rule asked the index to keep it back, and the search did not find it among its nearest.
	LostByIndex
	// LostByRanking: the rules kept it, and it stood behind the end of the page.
	LostByRanking
)

// followed is how many requests travel as one batch, as under load.
const followed = 64

// Follow answers requests as Recommend does, stage by stage, and tells what became of an item of each: items[i] is that of requests[i].
// It is for whoever measures, with a catalogue that nothing changes meanwhile: what the index keeps back is asked of it afterwards. A
// reply that was not made in full is an error, for it says nothing of how good a whole one would be. A request must not wait for a
// position.
func (s *Service) Follow(ctx context.Context, requests []schemas.RecommendationRequest, itemIDs []string) ([]Fate, error) {
	fates := make([]Fate, 0, len(requests))
	for from := 0; from < len(requests); from += followed {
		to := min(from+followed, len(requests))
		batch, err := s.follow(ctx, requests[from:to], itemIDs[from:to])
		if err != nil {
			return nil, err
		}
		fates = append(fates, batch...)
	}
	return fates, nil
}

func (s *Service) follow(ctx context.Context, requests []schemas.RecommendationRequest, itemIDs []string) ([]Fate, error) {
	fates, jobs := make([]Fate, len(requests)), make([]*job, len(requests))
	now := time.Now()
	for i := range requests {
		r := &requests[i]
		if r.SeenThrough != nil {
			return nil, fmt.Errorf("following request %s: it waits for a position: leave seen_through out", r.RequestID)
		}
		jobs[i] = s.admit(r, now, func(reply schemas.RecommendationReply) { fates[i].Reply = reply })
		if jobs[i] == nil {
			return nil, fmt.Errorf("following request %s: %s: %s", r.RequestID, fates[i].Reply.Status, fates[i].Reply.Error)
		}
	}
	b := &batch{service: s, jobs: slices.Clone(jobs), records: map[string]*items.Item{}}
	s.move(ctx, b, func(context.Context, *job) {})
	for i, j := range jobs {
		if f := &fates[i]; f.Reply.Status != schemas.StatusOK {
			return nil, fmt.Errorf("following request %s: the reply is %s: %s", j.request.RequestID, f.Reply.Status, f.Reply.Error)
		}
		if err := b.fate(ctx, j, itemIDs[i], &fates[i]); err != nil {
			return nil, fmt.Errorf("following request %s: %w", j.request.RequestID, err)
		}
	}
	return fates, nil
}

// fate finds out where a job lost an item.
func (b *batch) fate(ctx context.Context, j *job, itemID string, f *Fate) error {
	f.Vector = j.vector
	is := func(c ranking.Candidate) bool { return c.Item.ItemID == itemID }
	set := b.service.Rules()
	switch {
	case slices.ContainsFunc(j.page, is):
		f.Lost = NotLost
	case slices.ContainsFunc(j.ranked, is):
		if rule := set.RemovedBy(&j.rules, slices.Clone(j.ranked), itemID); rule != "" {
			f.Lost, f.Rule = LostToRule, rule
		} else if f.Lost = LostByRanking; wasFirst(set, j, itemID) {
			f.Lost, f.Rule = LostToRule, RulePageOrder
		}
	case j.vector == nil:
		f.Lost = LostUnsought
	case slices.ContainsFunc(j.hits, func(h candidates.Hit) bool { return h.ItemID == itemID }):
		f.Lost, f.Rule = LostToRule, stepLive
	default:
		return b.fateInIndex(ctx, set, j, itemID, f)
	}
	return nil
}

// fateInIndex tells whether a rule kept an item back in the index, or the search did not find it.
func (b *batch) fateInIndex(ctx context.Context, set *rules.Set, j *job, itemID string, f *Fate) error {
	f.Lost = LostByIndex
	_, there, err := b.service.Index.Get(ctx, b.model, itemID)
	if err != nil || !there {
		return err
	}
	one := candidates.IDIs(itemID)
	for _, push := range pushesOf(set, j) {
		n, err := b.service.Index.CountMatching(ctx, b.model, candidates.Join([]candidates.Push{one, push}))
		if err != nil {
			return err
		}
		if n == 0 {
			f.Lost, f.Rule = LostToRule, stepIndex+push.Name
			return nil
		}
	}
	return nil
}

// RulePageOrder stands for the rules that arrange the page or move scores, of an item that no rule removed, that the ranker had among
// the first, and that they put behind the end of the page.
const RulePageOrder = "page_order"

// wasFirst says whether an item that the rules kept would be on the page in the ranker's order.
func wasFirst(set *rules.Set, j *job, itemID string) bool {
	kept, _ := set.Apply(&j.rules, slices.Clone(j.ranked))
	before := 0
	for _, c := range j.ranked {
		if c.Item.ItemID == itemID {
			break
		}
		if slices.ContainsFunc(kept, func(k ranking.Candidate) bool { return k.Item.ItemID == c.Item.ItemID }) {
			before++
		}
	}
	return before < int(j.request.Count)
}
