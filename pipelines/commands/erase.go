package commands

import (
	"errors"
	"fmt"
	"time"

	"github.com/jedib0t/go-pretty/v6/table"
	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/freshet/freshet/pipelines/online/erasure"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/terminal"
)

// Erase erases a user.
type Erase struct {
	User string        `arg:"" help:"Id of the user to erase."`
	Wait time.Duration `default:"30s" help:"How long to wait for the role interactions to apply the tombstone."`
	JSON bool          `name:"json" help:"Print the places as JSON."`
}

// Help says what the exit codes mean.
func (*Erase) Help() string {
	return `It publishes the user's tombstone, in the key format of topics.interactions, follows it until the role interactions has applied it
and all that lay in the topic before it, and looks at each place where something of a user is kept: what is gone, what is left, until when.

Exit codes: 0 applied, and seen to be; 1 not published, or published and not seen to be applied within --wait (the table says what is
missing; erase again, a second tombstone does no harm); 2 an id that is none. What Kafka keeps until its retention is no failure.`
}

// Run erases and prints a row for each place.
func (c *Erase) Run(env *Env) error {
	if c.Wait < 0 {
		return usage("--wait is %s: give a duration of 0 or more, such as 30s", c.Wait)
	}
	s, err := env.Settings()
	if err != nil {
		return err
	}
	report, err := erasure.Erase(env.Context, s, c.User, c.Wait, env.Log)
	if schemas.IsInvalid(err) {
		return usageError{fmt.Errorf("nothing was erased: %w", err)}
	}
	if err != nil {
		return err
	}
	if err := c.print(env, &report); err != nil {
		return err
	}
	if !report.Confirmed {
		return errors.New("the tombstone is published, but not all of the erasure was seen: see the rows unknown and left, and erase again")
	}
	return nil
}

func (c *Erase) print(env *Env, r *erasure.Report) error {
	if c.JSON {
		return terminal.FprintJSON(env.Out, r)
	}
	_, _ = terminal.Fprintf(env.Out, "user %q: tombstone published at partition %d offset %d; %.1f s\n",
		r.User, r.Tombstone.Partition, r.Tombstone.Offset, r.Took.Seconds())
	t := terminal.NewTable(env.Out, terminal.Row{"where", "state", "found", "until", "to do"})
	const width = 60
	t.SetColumnConfigs([]table.ColumnConfig{
		{Name: "found", WidthMax: width, WidthMaxEnforcer: text.WrapSoft}, {Name: "to do", WidthMax: width, WidthMaxEnforcer: text.WrapSoft},
	})
	for _, row := range r.Rows {
		until := ""
		if row.Until != nil {
			until = row.Until.UTC().Format(time.DateTime)
		}
		t.AppendRow(terminal.Row{row.Where, row.State, row.Found, until, row.Remedy})
	}
	t.Render()
	return nil
}
