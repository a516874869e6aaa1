package commands

import (
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/services/terminal"
)

// Topics groups the commands about topics.
type Topics struct {
	Create   TopicsCreate   `cmd:"" help:"Create the topics that do not exist, and say which ones differ from the configuration."`
	Describe TopicsDescribe `cmd:"" help:"Show partitions, offsets, compaction, retention and replication of each topic."`
}

// TopicsCreate creates what is missing.
type TopicsCreate struct{}

// Run creates topics and prints what was found.
func (TopicsCreate) Run(env *Env) error {
	s, err := env.Settings()
	if err != nil {
		return err
	}
	report, err := topics.Ensure(env.Context, s.Kafka, s.Topics)
	if err != nil {
		return online.Explain(err)
	}
	for _, name := range report.Created {
		_, _ = terminal.Fprintln(env.Out, "created", name)
	}
	for _, d := range report.Differences {
		_, _ = terminal.Fprintln(env.Out, "differs:", d.Error())
	}
	if len(report.Created)+len(report.Differences) == 0 {
		_, _ = terminal.Fprintln(env.Out, "all topics are as configured")
	}
	return nil
}

// TopicsDescribe shows the topics.
type TopicsDescribe struct{}

// Run prints a table, a row a partition, and the lag of the roles.
func (TopicsDescribe) Run(env *Env) error {
	s, err := env.Settings()
	if err != nil {
		return err
	}
	described, err := topics.Describe(env.Context, s.Kafka, s.Topics.Names()...)
	if err != nil {
		return online.Explain(err)
	}
	t := terminal.NewTable(env.Out, terminal.Row{"topic", "partition", "leader", "in sync", "begin", "end", "cleanup", "retention"})
	for _, d := range described {
		if d.Missing {
			t.AppendRow(terminal.Row{d.Name, "missing: run `freshet topics create`"})
			continue
		}
		for _, p := range d.Partitions {
			t.AppendRow(terminal.Row{
				d.Name, p.ID, p.Leader, fmt.Sprintf("%d of %d", len(p.InSync), len(p.Replicas)), p.Begin, p.End,
				d.Settings["cleanup.policy"], retention(d.Settings),
			})
		}
	}
	t.Render()
	return describeLag(env, s, described)
}

// describeLag shows how many records of each topic its role has yet to work off.
func describeLag(env *Env, s settings.Settings, described []topics.Description) error {
	t := terminal.NewTable(env.Out, terminal.Row{"consumer group", "topic", "lag in records"})
	for role, topic := range map[online.Role]string{
		online.Catalogue: s.Topics.Items.Name, online.Interactions: s.Topics.Interactions.Name,
		online.Recommendations: s.Topics.Requests.Name,
	} {
		missing := slices.ContainsFunc(described, func(d topics.Description) bool { return d.Name == topic && d.Missing })
		if missing {
			continue
		}
		group := role.Group(s.Consumers.Group)
		lag, err := topics.Lag(env.Context, s.Kafka, group, topic)
		if err != nil {
			return err
		}
		t.AppendRow(terminal.Row{group, topic, lag})
	}
	t.SortBy([]table.SortBy{{Name: "consumer group"}})
	t.Render()
	return nil
}

// retention renders how long a topic keeps its records. Compaction keeps the last record of each key for ever.
func retention(settings map[string]string) string {
	if settings["cleanup.policy"] == "compact" {
		return "last of each key"
	}
	ms, err := strconv.ParseInt(settings["retention.ms"], 10, 64)
	if err != nil || ms < 0 {
		return "for ever"
	}
	return (time.Duration(ms) * time.Millisecond).String()
}
