package demo

import (
	"context"
	"fmt"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/offline/evaluation"
	"github.com/freshet/freshet/services/terminal"
)

// measuredCases bounds step 8's time; the interval tells what that costs.
const measuredCases = 2000

// tellQuality is step 8.
func (d *Demo) tellQuality(ctx context.Context) error {
	w := d.world
	cases := sample(w.Cases, measuredCases)
	items := len(w.data.Items)
	model, err := evaluation.LoadTowers(d.settings.Bundle, w.data.Items, d.settings.Training.ValidationWindow)
	if err != nil {
		return err
	}
	scorers := []evaluation.Scorer{
		model, evaluation.NewTransitions(w.histories, items), evaluation.NewPopularity(w.histories, items), evaluation.Random{Seed: 1},
	}
	config := evaluation.DefaultConfig()
	bar := d.bar(len(cases)*len(scorers), "ranking all items")
	config.Progress = func(done, _ int) { _ = bar.Set(done) }
	report, err := evaluation.Evaluate(ctx, cases, evaluation.NewCatalogue(w.data.Items, w.histories), scorers, config)
	if err != nil {
		return err
	}
	_ = bar.Finish()
	rows := make([]terminal.Row, len(report.Scorers))
	for i, s := range report.Scorers {
		rows[i] = terminal.Row{s.Name, s.Recall, s.NDCG, fmt.Sprintf("%.1f %%", 100*s.Coverage)}
	}
	d.note("Each of %d users' last new item, which nobody has published yet, among all %d items (seen ones left out):", len(cases), items)
	d.table(terminal.Row{"scorer", "recall@10", "NDCG@10", "coverage"}, rows)
	towers, popularity := report.Scorers[0], report.Scorers[2]
	d.check(towers.Recall.Mean > popularity.Recall.Mean, "the towers find %.1f times as many as popularity",
		towers.Recall.Mean/max(popularity.Recall.Mean, 1e-9))
	d.measure("recall@10 / NDCG@10", fmt.Sprintf("towers %.4f / %.4f, popularity %.4f / %.4f, random %.4f / %.4f",
		towers.Recall.Mean, towers.NDCG.Mean, popularity.Recall.Mean, popularity.NDCG.Mean,
		report.Scorers[3].Recall.Mean, report.Scorers[3].NDCG.Mean))
	return nil
}

// sample takes at most n cases, spread evenly.
func sample(cases []dataset.Case, n int) []dataset.Case {
	if len(cases) <= n {
		return cases
	}
	out := make([]dataset.Case, n)
	for i := range out {
		out[i] = cases[i*len(cases)/n]
	}
	return out
}
