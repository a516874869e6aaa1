package commands

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/services/terminal"
)

// DeadLetters groups the commands about dead letters.
type DeadLetters struct {
	List    DeadLettersList    `cmd:"" help:"List dead letters with their reasons."`
	Redrive DeadLettersRedrive `cmd:"" help:"Publish dead letters to their topic again, after the cause is mended."`
}

// letterChoice is which dead letters are meant.
type letterChoice struct {
	Topic    string `arg:"" enum:"interactions,items,requests" help:"Topic that the letters come from: interactions, items or requests."`
	Contains string `placeholder:"TEXT" help:"Only letters whose reason contains this."`
	Limit    int    `placeholder:"N" help:"At most so many; 0 means all."`
}

func (c *letterChoice) topic(s settings.Settings) string {
	return map[string]string{
		"interactions": s.Topics.Interactions.Name, "items": s.Topics.Items.Name, "requests": s.Topics.Requests.Name,
	}[c.Topic]
}

// require says which topics are not there.
func (c *letterChoice) require(env *Env, s settings.Settings) error {
	topic := c.topic(s)
	return online.RequireTopics(env.Context, s, topic, stream.DeadLetterTopic(topic))
}

func (c *letterChoice) selection(pending bool) stream.Selection {
	selection := stream.Selection{Pending: pending, Limit: c.Limit}
	if c.Contains != "" {
		selection.Match = func(l *stream.DeadLetter) bool { return strings.Contains(l.Reason, c.Contains) }
	}
	return selection
}

// withLetters calls work with dead letters that write by a writer of their own.
func withLetters(env *Env, s settings.Settings, work func(*stream.DeadLetters) error) error {
	writer := kafkaio.NewWriter(s.Kafka, s.Writer, env.Log)
	err := online.Explain(work(stream.NewDeadLetters(s.Kafka, writer)))
	return errors.Join(err, writer.Close(context.WithoutCancel(env.Context)))
}

// DeadLettersList lists letters.
type DeadLettersList struct {
	letterChoice
	Pending bool `help:"Only letters that were not redriven yet."`
}

// reasonWidth keeps a letter on a line or two.
const reasonWidth = 90

// Run prints a table, a row a letter.
func (c *DeadLettersList) Run(env *Env) error {
	s, err := env.Settings()
	if err != nil {
		return err
	}
	t := terminal.NewTable(env.Out, terminal.Row{"letter", "written", "original", "key", "bytes", "reason"})
	t.SetColumnConfigs([]table.ColumnConfig{{Name: "reason", WidthMax: reasonWidth}})
	count := 0
	if err := c.require(env, s); err != nil {
		return err
	}
	err = withLetters(env, s, func(letters *stream.DeadLetters) error {
		return letters.List(env.Context, c.topic(s), c.selection(c.Pending), func(l stream.DeadLetter) error {
			count++
			t.AppendRow(terminal.Row{
				fmt.Sprintf("%d:%d", l.Position.Partition, l.Position.Offset), l.Written.UTC().Format(time.DateTime),
				fmt.Sprintf("%d:%d", l.Original.Partition, l.Original.Offset), fmt.Sprintf("%.40q", l.Original.Key),
				len(l.Original.Value), l.Reason,
			})
			return nil
		})
	})
	if err != nil {
		return err
	}
	if count == 0 {
		_, err = terminal.Fprintln(env.Out, "no dead letters")
		return err
	}
	t.Render()
	return nil
}

// DeadLettersRedrive redrives letters.
type DeadLettersRedrive struct {
	letterChoice
	All bool `help:"Also letters that were redriven before."`
}

// Run redrives and prints how many letters there were.
func (c *DeadLettersRedrive) Run(env *Env) error {
	s, err := env.Settings()
	if err != nil {
		return err
	}
	if err := c.require(env, s); err != nil {
		return err
	}
	about, err := online.NewAbouts(env.Context, s)
	if err != nil {
		return err
	}
	selection := c.selection(!c.All)
	selection.About = about.Of
	return withLetters(env, s, func(letters *stream.DeadLetters) error {
		did, err := letters.Redrive(env.Context, c.topic(s), selection)
		_, _ = terminal.Fprintln(env.Out, c.summary(did))
		return err
	})
}

// summary says what became of each letter that was looked at.
func (c *DeadLettersRedrive) summary(did stream.Redriven) string {
	line := ""
	if c.Contains != "" {
		line = fmt.Sprintf("%d of %d letters matched", did.Matched, did.Letters)
		if did.Matched == 0 {
			return line
		}
		line += "; "
	}
	line += fmt.Sprintf("%d published again", did.Republished)
	if did.Erased > 0 {
		line += fmt.Sprintf(", %d left alone because their user was erased or their item taken down since", did.Erased)
	}
	if did.Found > 0 {
		line += fmt.Sprintf(", %d left alone because a redrive that was cut off has published them", did.Found)
	}
	return line + fmt.Sprintf(", %d left alone because they cannot be used", did.Unusable)
}
