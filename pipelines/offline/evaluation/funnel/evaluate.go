package funnel

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/services/recommender"
)

// Evaluate fills the servers that the settings name, under names of its own, asks for the cases, and removes all again.
func Evaluate(ctx context.Context, s settings.Settings, d Data, c Config, log *slog.Logger) (report *Report, err error) {
	if err := c.Validate(); err != nil {
		return nil, fmt.Errorf("evaluating through production: %w", err)
	}
	cases := sample(d.Cases, c)
	if len(cases) == 0 {
		return nil, errors.New("evaluating through production: there are no cases: take a later or larger part of the data")
	}
	w, err := open(ctx, s, log)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, w.close(ctx)) }()
	if err := w.fill(ctx, d, cases); err != nil {
		return nil, err
	}
	return w.measure(ctx, d, cases, c)
}

// sample draws cases, the same ones for a seed, and keeps their order.
func sample(cases []dataset.Case, c Config) []dataset.Case {
	if c.Users == 0 || c.Users >= len(cases) {
		return cases
	}
	chosen := rand.New(rand.NewPCG(c.Seed, 0x70616765)).Perm(len(cases))[:c.Users]
	slices.Sort(chosen)
	drawn := make([]dataset.Case, len(chosen))
	for i, at := range chosen {
		drawn[i] = cases[at]
	}
	return drawn
}

// measure asks and compares.
func (w *world) measure(ctx context.Context, d Data, cases []dataset.Case, c Config) (*Report, error) {
	if err := w.settle(ctx); err != nil {
		return nil, err
	}
	fates, err := w.ask(ctx, d, cases, c)
	if err != nil {
		return nil, err
	}
	e := newExact(w.itemTower, w.userTower, d.Items, c)
	found := func(rank int) bool { return rank >= 0 && rank < c.K }
	outcomes := make([]outcome, len(cases))
	for i := range cases {
		f := &fates[i]
		outcomes[i] = outcome{
			model:     found(e.rank(e.embedding(&cases[i]), &cases[i])),
			embedding: found(e.rank(f.Vector, &cases[i])),
			page:      f.Lost == recommender.NotLost,
			lost:      f.Lost, rule: f.Rule,
		}
	}
	return newReport(w.userTower.Version(), len(d.Items), outcomes, c), nil
}
