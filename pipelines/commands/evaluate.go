package commands

import (
	"encoding/json"
	"fmt"

	"github.com/schollz/progressbar/v3"

	"github.com/freshet/freshet/pipelines/dataset"
	"github.com/freshet/freshet/pipelines/evaluation"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// Evaluate measures a bundle.
type Evaluate struct {
	data
	Bundle string `type:"existingdir" placeholder:"BUNDLE" help:"Bundle to measure; the configuration's by default."`
	K      int    `default:"10" help:"Length of the list."`
	Window int    `default:"64" help:"Newest events of a history to encode, as many as a profile in Redis keeps."`
	JSON   bool   `name:"json" help:"Print the report as JSON."`
}

// Run prints recall, NDCG, MRR and coverage of the towers beside item transitions, popularity and chance.
func (c *Evaluate) Run(env *Env) error {
	s, err := env.Settings()
	if err != nil {
		return err
	}
	items, known, cases, err := c.questions()
	if err != nil {
		return err
	}
	bundle := s.Bundle
	if c.Bundle != "" {
		bundle = c.Bundle
	}
	if err := checkSameCatalogue(bundle, len(items)); err != nil {
		return err
	}
	model, err := evaluation.LoadTowers(bundle, items, c.Window)
	if err != nil {
		return err
	}
	scorers := []evaluation.Scorer{
		model, evaluation.NewTransitions(known, len(items)), evaluation.NewPopularity(known, len(items)), evaluation.Random{Seed: 1},
	}
	config := evaluation.DefaultConfig()
	config.K = c.K
	if isTerminal(env.Err) {
		bar := progressbar.NewOptions(len(cases)*len(scorers), progressbar.OptionSetWriter(env.Err),
			progressbar.OptionSetDescription("ranking all items"), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish())
		config.Progress = func(done, _ int) { _ = bar.Set(done) }
	}
	report, err := evaluation.Evaluate(env.Context, cases, len(items), scorers, config)
	if err != nil {
		return err
	}
	if c.JSON {
		e := json.NewEncoder(env.Out)
		e.SetIndent("", "  ")
		return e.Encode(report)
	}
	return report.WriteTable(env.Out)
}

// checkSameCatalogue refuses to measure a bundle on another data set than its own: the table would look like one, and mean
// nothing.
func checkSameCatalogue(bundle string, items int) error {
	manifest, err := towers.LoadManifest(bundle)
	if err != nil {
		return err
	}
	if trained := manifest.Data.Items; trained != items {
		return fmt.Errorf("bundle %s was trained on a catalogue of %d items, this data set has %d: name the one it was trained on "+
			"(--movielens or --gsasrec; neither means the made-up shop)", bundle, trained, items)
	}
	return nil
}

// questions returns the catalogue, the histories that the baselines may count, and the cases.
func (c *Evaluate) questions() ([]schemas.ItemChange, [][]int32, []dataset.Case, error) {
	if c.GSASRec != "" {
		split, err := dataset.ReadSASRecSplit(c.GSASRec)
		if err != nil {
			return nil, nil, nil, err
		}
		known := make([][]int32, len(split.Test))
		for i, test := range split.Test {
			known[i] = test.History
		}
		return split.Items, known, split.Test, nil
	}
	all, held, err := c.heldOut()
	if err != nil {
		return nil, nil, nil, err
	}
	return all.Items, held.Told.Histories(), held.Cases, nil
}
