package commands

import (
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/offline/evaluation"
	"github.com/freshet/freshet/services/terminal"
)

// baselines are the scorers that stand beside the towers.
type baselines struct {
	scorers []evaluation.Scorer
	// chosen says how they are set, left which of them could not be had.
	chosen []evaluation.Chosen
	left   []evaluation.LeftOut
}

// tellFrom is how long EASE must take to be worth a line before.
const tellFrom = 10 * time.Second

// learningSeed draws the validation cases by which settings are chosen.
const learningSeed = 1

// learningOf is what baselines learn from in a published protocol, which has validation cases of its own.
func learningOf(s *dataset.Sequences) *evaluation.Learning {
	return &evaluation.Learning{
		Items: len(s.Items), Known: evaluation.SessionsInOrder(s.Known, s.InTime), Train: evaluation.SessionsInOrder(s.Train, s.InTime),
		Validation: s.Validation, Seed: learningSeed,
	}
}

// learning is what baselines learn from in a hold-out. The validation cases are made as those of the test are, from what is left.
func (c *EvaluateBundle) learning(held dataset.HoldOut) *evaluation.Learning {
	validation := dataset.NewHoldOut(held.Told, c.Past, held.Repeats)
	if c.Split == timeSplit {
		validation = dataset.NewTimeHoldOut(held.Told, c.Past, c.Targets == "all", held.Repeats)
	}
	return &evaluation.Learning{
		Items: len(held.Told.Items), Known: evaluation.SessionsOf(held.Told), Train: evaluation.SessionsOf(validation.Told),
		Validation: validation.Cases, Seed: learningSeed,
	}
}

// baselines learns those that were asked for.
func (c *EvaluateBundle) baselines(env *Env, q *questions) (*baselines, error) {
	b := &baselines{}
	if c.Baselines == "none" {
		return b, nil
	}
	q.learning.IncludeSeen = q.includeSeen
	known, n := q.known, len(q.items)
	b.scorers = append(b.scorers, evaluation.NewTransitions(known, n))
	if c.Baselines == "all" {
		if err := b.choose(env, q.learning, c.EASEItems); err != nil {
			return nil, err
		}
	}
	if q.includeSeen {
		b.scorers = append(b.scorers, evaluation.NewSessionPopularity(known, n))
	} else {
		const why = "it ranks what the user has seen first, and this protocol leaves that out of the lists"
		b.left = append(b.left, evaluation.LeftOut{Name: new(evaluation.SessionPopularity).Name(), Why: why})
	}
	b.scorers = append(b.scorers, q.recent, evaluation.NewPopularity(known, n), evaluation.Random{Seed: 1})
	return b, nil
}

// choose learns the baselines whose settings are chosen on validation cases.
func (b *baselines) choose(env *Env, l *evaluation.Learning, easeItems int) error {
	l.Limits.Items = easeItems
	if isTerminal(env.Err) {
		bar := progressbar.NewOptions(evaluation.Settings(), progressbar.OptionSetWriter(env.Err),
			progressbar.OptionSetDescription("choosing settings"), progressbar.OptionClearOnFinish())
		defer func() { _ = bar.Finish() }()
		l.Progress = func(scorer, setting string) {
			bar.Describe(scorer + ", " + setting)
			_ = bar.Add(1)
		}
	}
	items, chosen, err := l.ItemKNN(env.Context)
	if err != nil {
		return err
	}
	b.add(items, chosen)
	sessions, chosen, err := l.SessionKNN(env.Context)
	if err != nil {
		return err
	}
	b.add(sessions, chosen)
	if memory, took := l.EASECost(); took > tellFrom && l.EASEAllowed() == nil {
		_, _ = terminal.Fprintf(env.Err, "solving EASE for %d items takes about %s and %d MiB\n", l.Items, took.Round(time.Second), memory>>20)
	}
	ease, chosen, err := l.EASE(env.Context)
	if err != nil {
		b.left = append(b.left, evaluation.LeftOut{Name: ease.Name(), Why: err.Error()})
		return env.Context.Err()
	}
	b.add(ease, chosen)
	return nil
}

func (b *baselines) add(s evaluation.Scorer, chosen evaluation.Chosen) {
	b.scorers, b.chosen = append(b.scorers, s), append(b.chosen, chosen)
}
