package commands

import (
	"fmt"
	"path/filepath"
	"time"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/offline/evaluation"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/terminal"
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
	// lastOut: what is asked for lies among what is learnt from in time, and was held back.
	lastOut bool
}

// questions reads the data, unless it has a split of its own, and parts it as train did for the bundle.
func (c *EvaluateBundle) questions(env *Env, split *dataset.Sequences, manifest *towers.Manifest) (*questions, error) {
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
	trained := dataset.Repeats(manifest.Data.Repeats)
	if c.Repeats == string(dataset.AutoRepeats) && (trained == dataset.AskRepeats || trained == dataset.SkipRepeats) {
		c.Repeats = string(trained)
	}
	all, held, err := c.heldOut(env, c.Targets == "all")
	if err != nil {
		return nil, err
	}
	q := &questions{
		data: all.Name, items: all.Items, known: held.Told.Histories(), cases: held.Cases, recent: evaluation.NewRecentPopularity(held.Told),
		split:       fmt.Sprintf("%s, first %g %% of events learnt from", c.Split, 100*c.Past),
		includeSeen: held.Repeats == dataset.AskRepeats,
		lastOut:     c.Split != timeSplit,
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
	in := learntFrom(&held)
	q.learnt = in.Data
	for _, seq := range in.Sequences { // what users turned down is learnt from too
		q.learnt.Events += len(seq)
	}
	return q, nil
}

// check refuses a bundle that was trained on another catalogue, or on what the questions ask for.
func (q *questions) check(env *Env, bundle string, manifest *towers.Manifest) error {
	if !q.live {
		if err := checkSameCatalogue(bundle, manifest, len(q.items)); err != nil {
			return err
		}
	}
	trained, may := &manifest.Data, &q.learnt
	if err := tellOtherBinding(env, bundle, trained.Binding, may.Binding); err != nil {
		return err
	}
	if may.Events == 0 {
		return nil
	}
	if trained.Events > may.Events || trained.To.After(may.To) {
		return fmt.Errorf("bundle %s learnt from %d events up to %s, but this split lets it learn from %d up to %s, and asks for "+
			"some of the rest: train it with the same --split and --past", bundle, trained.Events, trained.To.Format(time.DateTime),
			may.Events, may.To.Format(time.DateTime))
	}
	if q.lastOut {
		if why := knows(trained, may, q.cases); why != "" {
			return fmt.Errorf("bundle %s %s: train it again, or give --repeats and --tie-seed as it was trained", bundle, why)
		}
	}
	if trained.Repeats != "" && trained.Repeats != may.Repeats {
		_, _ = terminal.Fprintf(env.Err, "bundle %s was trained with --repeats %s, and is asked with --repeats %s: it was not made for that\n",
			bundle, trained.Repeats, may.Repeats)
	}
	return nil
}

// knows says why a bundle may have learnt from what the cases ask for, which were parted otherwise than its own; empty where it has
// not, or nobody can tell.
func knows(trained, may *towers.DataRange, cases []dataset.Case) string {
	if trained.Events == 0 {
		return ""
	}
	tied := 0
	for i := range cases {
		if len(cases[i].Tied) > 0 {
			tied++
		}
	}
	switch {
	case trained.Repeats == string(dataset.AskRepeats) && may.Repeats == string(dataset.SkipRepeats):
		return fmt.Sprintf("was trained with --repeats %s, and has learnt from what --repeats %s asks for", trained.Repeats, may.Repeats)
	case tied == 0 || trained.TieSeed == may.TieSeed:
		return ""
	case trained.TieSeed == 0:
		return fmt.Sprintf("was trained when what users did at one moment was still taken in the order of the rows, and may have learnt the "+
			"targets of %d cases that were drawn from several such items", tied)
	default:
		return fmt.Sprintf("was trained with --tie-seed %d instead of %d, and may have learnt the targets of %d cases that were drawn from "+
			"several items of one moment", trained.TieSeed, may.TieSeed, tied)
	}
}
