package recommender

import (
	"context"

	"golang.org/x/sync/errgroup"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/rules"
)

// stepIndex begins the names of the waterfall steps of rules that the index applied.
const stepIndex = "index:"

// planSearches asks the rules what the index can do for each job, and counts, for those that were asked to explain, how
// many rows each of these rules leaves: what the index keeps back is otherwise nowhere to be seen.
func (b *batch) planSearches(ctx context.Context) {
	set := b.service.Rules()
	counts := new(errgroup.Group)
	counts.SetLimit(searchesAtOnce)
	for _, j := range b.jobs {
		if j.vector == nil {
			continue
		}
		pushes := pushesOf(set, j)
		j.filter = candidates.Join(pushes)
		if j.request.Explain {
			counts.Go(func() error {
				b.countPushes(ctx, j, pushes)
				return nil
			})
		}
	}
	_ = counts.Wait() // an answer without these counts is no worse an answer: countPushes logs
}

// pushesOf is what the index can do of the rules.
func pushesOf(set *rules.Set, j *job) []candidates.Push {
	return candidates.Pushes(set.Conditions(&j.rules), j.rules.Now.UnixMilli())
}

func (b *batch) countPushes(ctx context.Context, j *job, pushes []candidates.Push) {
	in, err := b.service.Index.CountMatching(ctx, b.model, "")
	for i := range pushes {
		if err != nil {
			break
		}
		var out int64
		out, err = b.service.Index.CountMatching(ctx, b.model, candidates.Join(pushes[:i+1]))
		j.indexSteps = append(j.indexSteps, step(stepIndex+pushes[i].Name, int(in), int(out)))
		in = out
	}
	if err != nil {
		b.service.log.Warn("the rows behind a recommendation could not be counted", "error", err)
		j.indexSteps = nil
	}
}

// searched is how many rows the search chose from; where nobody counted, as many as it found.
func (j *job) searched() int {
	if n := len(j.indexSteps); n > 0 {
		return int(j.indexSteps[n-1].Out)
	}
	return len(j.hits)
}

// firstSteps begins the waterfall: the rules in the index, retrieval, the records, the pins.
func (j *job) firstSteps() []schemas.WaterfallStep {
	steps := append([]schemas.WaterfallStep(nil), j.indexSteps...)
	live := len(j.ranked) - j.pinned
	steps = append(steps, step(stepRetrieved, j.searched(), len(j.hits)), step(stepLive, len(j.hits), live))
	if j.pinned > 0 {
		steps = append(steps, step(stepPinned, live, len(j.ranked)))
	}
	return steps
}
