package commands

import (
	"fmt"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/pipelines/offline/evaluation"
	"github.com/freshet/freshet/pipelines/offline/evaluation/funnel"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/services/terminal"
)

// throughProduction is how `freshet evaluate` asks the real recommender.
type throughProduction struct {
	Production bool `help:"Ask the real recommender (index, filters, second stage, rules), and tell where targets were lost."`
	Users      int  `default:"500" help:"With --production: number of test cases, a fixed random sample; 0 takes all."`
	Servers    bool `help:"With --production: use the Redis and Milvus of the configuration, under names of this run's own that are removed afterwards; without it, embedded ones."`
}

// produce measures through production.
func (c *EvaluateBundle) produce(env *Env, s settings.Settings, bundle string, q *questions) (*funnel.Report, error) {
	s.Bundle = bundle
	if !c.Servers {
		const free = "127.0.0.1:0"
		stack, err := embedded.Start(env.Context, embedded.Config{KafkaAddr: free, RedisAddr: free, MilvusAddr: free})
		if err != nil {
			return nil, fmt.Errorf("starting the embedded servers: %w", err)
		}
		defer stack.Close()
		own := settings.Default()
		s.Redis, s.Milvus = own.Redis, own.Milvus
		s.Redis.Addresses, s.Milvus.Address = []string{stack.Redis.Addr()}, stack.Milvus.Addr()
	}
	config := funnel.DefaultConfig()
	config.K, config.Users, config.Window, config.IncludeSeen = c.K, c.Users, c.Window, q.includeSeen
	return funnel.Evaluate(env.Context, s, funnel.Data{Items: q.items, Known: q.known, Cases: q.cases}, config, env.Log)
}

// runProduction prints where production loses targets; a page shows it beside how all items are ranked.
func (c *EvaluateBundle) runProduction(
	env *Env, s settings.Settings, bundle string, q *questions,
) (waterfall []evaluation.Loss, done bool, err error) {
	if c.CSV {
		return nil, true, usage("--csv prints the scorers' figures: with --production give --json, or neither for a table")
	}
	report, err := c.produce(env, s, bundle, q)
	if err != nil {
		return nil, true, err
	}
	if c.HTML != "" {
		return lossesOf(report), false, nil
	}
	if c.JSON {
		return nil, true, terminal.FprintJSON(env.Out, report)
	}
	return nil, true, report.WriteTable(env.Out)
}

// lossesOf are the hits that are left after each step.
func lossesOf(r *funnel.Report) []evaluation.Loss {
	share := func(hits int) float64 { return float64(hits) / float64(max(r.Cases, 1)) }
	losses := []evaluation.Loss{{Stage: "towers, exact", Hits: r.Recalls.Model.Hits, Share: share(r.Recalls.Model.Hits)}}
	for _, step := range r.Steps {
		losses = append(losses, evaluation.Loss{Stage: step.Name, Hits: step.Hits, Share: share(step.Hits)})
	}
	return losses
}
