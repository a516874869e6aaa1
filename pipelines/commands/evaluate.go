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
	Bundle  string `type:"existingdir" placeholder:"BUNDLE" help:"Bundle to measure; the configuration's by default."`
	K       int    `default:"10" help:"Length of the list."`
	Window  int    `default:"64" help:"Newest events of a history to encode, as many as a profile in Redis keeps."`
	At      []int  `default:"1,5,10,20,50,100" help:"More lengths for JSON and CSV."`
	Against string `placeholder:"SCORER" help:"Compare each scorer with this one of the table, case by case."`
	JSON    bool   `name:"json" xor:"form" help:"Print the report as JSON."`
	CSV     bool   `name:"csv" xor:"form" help:"Print the scorers' figures as CSV."`
}

// Run prints how the towers rank beside baselines, what their lists are like, and parts of the cases.
func (c *Evaluate) Run(env *Env) error {
	s, err := env.Settings()
	if err != nil {
		return err
	}
	items, known, cases, includeSeen, err := c.questions()
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
		model, evaluation.NewTransitions(known, len(items)), evaluation.NewItemKNN(known, len(items)),
		evaluation.NewPopularity(known, len(items)), evaluation.Random{Seed: 1},
	}
	config := evaluation.DefaultConfig()
	config.K, config.At, config.Against, config.IncludeSeen = c.K, c.At, c.Against, includeSeen
	if isTerminal(env.Err) {
		bar := progressbar.NewOptions(len(cases)*len(scorers), progressbar.OptionSetWriter(env.Err),
			progressbar.OptionSetDescription("ranking all items"), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish())
		config.Progress = func(done, _ int) { _ = bar.Set(done) }
	}
	report, err := evaluation.Evaluate(env.Context, cases, evaluation.NewCatalogue(items, known), scorers, config)
	if err != nil {
		return err
	}
	if c.JSON {
		e := json.NewEncoder(env.Out)
		e.SetIndent("", "  ")
		return e.Encode(report)
	}
	if c.CSV {
		return report.WriteCSV(env.Out)
	}
	return report.WriteTable(env.Out)
}

// checkSameCatalogue refuses to measure a bundle on another data set than its own: the table would look like one, and mean
// nothing. An imported bundle may not know what it was trained on.
func checkSameCatalogue(bundle string, items int) error {
	manifest, err := towers.LoadManifest(bundle)
	if err != nil {
		return err
	}
	if trained := manifest.Data.Items; trained != items && (trained != 0 || manifest.Engine == "") {
		return fmt.Errorf("bundle %s was trained on a catalogue of %d items, this data set has %d: name the one it was trained on "+
			"(--data; without it the made-up shop)", bundle, trained, items)
	}
	return nil
}

// questions returns the catalogue, the histories that the baselines may count, the cases, and whether seen items stay in the lists.
func (c *Evaluate) questions() ([]schemas.ItemChange, [][]int32, []dataset.Case, bool, error) {
	split, err := c.published()
	if err != nil {
		return nil, nil, nil, false, err
	}
	if split != nil {
		return split.Items, split.Known, split.Test, split.IncludeSeen, nil
	}
	all, held, err := c.heldOut()
	if err != nil {
		return nil, nil, nil, false, err
	}
	return all.Items, held.Told.Histories(), held.Cases, false, nil
}
