package commands

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
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
	Decode  bool `help:"Show each letter as JSON, with its key and its value by the schema that its producer wrote it with."`
}

// reasonWidth keeps a letter on a line or two.
const reasonWidth = 90

// decodedLetter is a letter that is shown as JSON. Undecoded says why there is no value.
type decodedLetter struct {
	Letter    string          `json:"letter"` // partition:offset
	Written   time.Time       `json:"written"`
	Original  string          `json:"original"`
	Key       json.RawMessage `json:"key"`
	Value     json.RawMessage `json:"value"`
	Undecoded string          `json:"undecoded,omitempty"`
	Reason    string          `json:"reason"`
}

func place(p kafkaio.Position) string { return fmt.Sprintf("%d:%d", p.Partition, p.Offset) }

// decode prints letters as JSON, one after the other.
func (c *DeadLettersList) decode(env *Env, s settings.Settings) error {
	registry, err := schemas.NewRegistry(s.Registry, env.Log)
	if err != nil {
		return err
	}
	viewer := schemas.NewViewer(registry)
	return withLetters(env, s, func(letters *stream.DeadLetters) error {
		return letters.List(env.Context, c.topic(s), c.selection(c.Pending), func(l stream.DeadLetter) error {
			d := decodedLetter{
				Letter: place(l.Position), Written: l.Written.UTC(), Reason: l.Reason,
				Original: place(kafkaio.Position{Partition: l.Original.Partition, Offset: l.Original.Offset}),
			}
			var err error
			if d.Key, err = viewer.Key(env.Context, l.Original.Key); err != nil {
				return fmt.Errorf("decoding the key of letter %s: %w", d.Letter, err)
			}
			d.Value, err = viewer.Value(env.Context, l.Original.Value, &l.Original)
			switch {
			case l.Truncated == stream.TruncatedValue:
				d.Value, d.Undecoded = nil, "the record was too large for the dead-letter topic, which has the beginning of its value alone"
			case schemas.IsMalformed(err):
				d.Undecoded = err.Error()
			case err != nil:
				return fmt.Errorf("decoding the value of letter %s: %w", d.Letter, err)
			}
			return terminal.FprintJSON(env.Out, d)
		})
	})
}

// Run prints a table, a row a letter.
func (c *DeadLettersList) Run(env *Env) error {
	s, err := env.Settings()
	if err != nil {
		return err
	}
	if c.Decode {
		if err := c.require(env, s); err != nil {
			return err
		}
		return c.decode(env, s)
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
				place(l.Position), l.Written.UTC().Format(time.DateTime),
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
