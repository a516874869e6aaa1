package commands

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/freshet/freshet/pipelines/dataset"
	"github.com/freshet/freshet/pipelines/evaluation"
	"github.com/freshet/freshet/pipelines/training"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// questions is what evaluate asks, and what may be known when it is answered.
type questions struct {
	data, split string // names for people
	items       []schemas.ItemChange
	catalogue   evaluation.Catalogue
	// known are the histories that baselines may count.
	known       [][]int32
	cases       []dataset.Case
	includeSeen bool
	// live: the catalogue moves on after training, and what is new in it is known by its content.
	live   bool
	recent *evaluation.RecentPopularity
	// learning is what baselines choose their settings by.
	learning *evaluation.Learning
	// learnt is what train lets a bundle learn from in this split; zero for published protocols.
	learnt towers.DataRange
}

// questions reads the data and parts it, as train does.
func (c *EvaluateBundle) questions(env *Env) (*questions, error) {
	split, err := c.published()
	if err != nil {
		return nil, err
	}
	if split != nil {
		q := &questions{
			data: filepath.Base(c.Data), split: "as published", items: split.Items, known: split.Known,
			cases: split.Test, includeSeen: split.IncludeSeen, catalogue: evaluation.NewCatalogue(split.Items, split.Known),
			recent: evaluation.NewRecentPopularityInOrder(split.Known, len(split.Items), split.InTime),
		}
		q.catalogue.Learnt = evaluation.NewLearnt(split.Known, len(split.Items))
		q.learning = learningOf(split)
		return q, nil
	}
	all, held, err := c.heldOut(env, c.Targets == "all")
	if err != nil {
		return nil, err
	}
	q := &questions{
		data: all.Name, items: all.Items, known: held.Told.Histories(), cases: held.Cases, recent: evaluation.NewRecentPopularity(held.Told),
		split: fmt.Sprintf("%s, first %g %% of events learnt from", c.Split, 100*c.Past),
	}
	if c.Data != "" {
		q.data = filepath.Base(c.Data)
	}
	q.live = c.FromTopics
	q.learning = c.learning(held)
	q.catalogue = evaluation.NewCatalogue(all.Items, q.known)
	for i := range all.Users {
		q.catalogue.Users = append(q.catalogue.Users, all.Users[i].ID)
	}
	past := held.Past.Histories()
	q.catalogue.Learnt = evaluation.NewLearnt(past, len(all.Items))
	in := training.FromDataset(held.Past)
	q.learnt = in.Data
	for _, seq := range in.Sequences { // what users turned down is learnt from too
		q.learnt.Events += len(seq)
	}
	return q, nil
}

// check refuses a bundle that was trained on another catalogue, or on what the questions ask for.
func (q *questions) check(bundle string) (towers.Manifest, error) {
	manifest, err := towers.LoadManifest(bundle)
	if err != nil {
		return manifest, err
	}
	if !q.live {
		if err := checkSameCatalogue(bundle, &manifest, len(q.items)); err != nil {
			return manifest, err
		}
	}
	trained := manifest.Data
	if may := q.learnt; may.Events > 0 && (trained.Events > may.Events || trained.To.After(may.To)) {
		return manifest, fmt.Errorf("bundle %s learnt from %d events up to %s, but this split lets it learn from %d up to %s, and asks for "+
			"some of the rest: train it with the same --split and --past", bundle, trained.Events, trained.To.Format(time.DateTime),
			may.Events, may.To.Format(time.DateTime))
	}
	return manifest, nil
}
