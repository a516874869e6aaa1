package commands

import (
	"encoding/json"
	"fmt"

	"github.com/freshet/freshet/infra/embedded"
	"github.com/freshet/freshet/pipelines/dataset"
	"github.com/freshet/freshet/pipelines/production"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/schemas"
)

// throughProduction is how `freshet evaluate` asks the real recommender.
type throughProduction struct {
	Production bool `help:"Ask the real recommender (index, filters, second stage, rules), and tell where targets were lost."`
	Users      int  `default:"500" help:"With --production: cases to ask for, drawn by lot, the same each time; 0 asks for all."`
	Servers    bool `help:"With --production: use the Redis and Milvus of the configuration, under names of this run's own that are removed afterwards; without it, embedded ones."`
}

// produce measures through production and prints the report.
func (c *Evaluate) produce(
	env *Env, s settings.Settings, bundle string, items []schemas.ItemChange, known [][]int32, cases []dataset.Case, includeSeen bool,
) error {
	if c.CSV {
		return usage("--csv prints the scorers' figures: with --production give --json, or neither for a table")
	}
	s.Bundle = bundle
	if !c.Servers {
		const free = "127.0.0.1:0"
		stack, err := embedded.Start(env.Context, embedded.Config{KafkaAddr: free, RedisAddr: free, MilvusAddr: free})
		if err != nil {
			return fmt.Errorf("starting the embedded servers: %w", err)
		}
		defer stack.Close()
		own := settings.Default()
		s.Redis, s.Milvus = own.Redis, own.Milvus
		s.Redis.Addresses, s.Milvus.Address = []string{stack.Redis.Addr()}, stack.Milvus.Addr()
	}
	config := production.DefaultConfig()
	config.K, config.Users, config.Window, config.IncludeSeen = c.K, c.Users, c.Window, includeSeen
	report, err := production.Evaluate(env.Context, s, production.Data{Items: items, Known: known, Cases: cases}, config, env.Log)
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
