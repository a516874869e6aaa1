package commands

import (
	"errors"
	"fmt"
	"io"
	"path/filepath"
	"time"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/offline/description"
	"github.com/freshet/freshet/pipelines/offline/evaluation/page"
	"github.com/freshet/freshet/services/terminal"
)

// Describe is a first look at data, before anything is trained on it.
type Describe struct {
	data
	JSON bool   `name:"json" help:"Print the description as JSON instead of tables."`
	HTML string `name:"html" type:"path" placeholder:"FILE" help:"Write a page with charts, too: one file that needs nothing else."`
}

// Help says what marks are.
func (*Describe) Help() string {
	return `What stands out is marked: yellow marks are to be known before figures on the data are believed, red ones are reasons not to
train, and train refuses such data.`
}

// Run prints what is in the data, what training will read, what the test cases are, and what stands out.
func (c *Describe) Run(env *Env) error {
	split, err := c.published()
	if err != nil {
		return err
	}
	var d *description.Description
	if split != nil {
		d = description.OfSequences(split, filepath.Base(c.Data))
	} else {
		all, held, err := c.heldOut(env, false)
		if err != nil {
			return err
		}
		d = c.describe(all, &held)
	}
	if c.HTML != "" {
		if err := writeFile(c.HTML, func(w io.Writer) error { return page.WriteDescription(w, d) }); err != nil {
			return err
		}
	}
	if c.JSON {
		return printJSON(env.Out, d)
	}
	return printDescription(env.Out, d)
}

// describe says what a data set is like that was parted here.
func (d *data) describe(all *dataset.Dataset, held *dataset.HoldOut) *description.Description {
	name := all.Name
	if d.Data != "" {
		name = filepath.Base(d.Data)
	}
	return description.OfDataset(all, held, name, fmt.Sprintf("%s, first %g %% of events learnt from", d.Split, 100*d.Past))
}

func printDescription(w io.Writer, d *description.Description) error {
	share := func(n, of int) string { return fmt.Sprintf("%d (%.1f %%)", n, 100*float64(n)/float64(max(of, 1))) }
	facts := terminal.NewTable(w, terminal.Row{d.Data, d.Split})
	facts.AppendRow(terminal.Row{"events", d.Events})
	if !d.From.IsZero() {
		facts.AppendRow(terminal.Row{"from, to", d.From.Format(time.DateTime) + ", " + d.To.Format(time.DateTime)})
	}
	facts.AppendRow(terminal.Row{"users", fmt.Sprintf("%d, with %d choices at the median, %d at most", d.Users, d.Median, d.Longest)})
	facts.AppendRow(terminal.Row{"items", fmt.Sprintf("%d, %s with an event", d.Items, share(d.Touched, d.Items))})
	facts.AppendRow(terminal.Row{"choices", share(d.Choices, d.Events)})
	facts.AppendRow(terminal.Row{"of an item had before", fmt.Sprintf("%d (%.1f %%)", d.Repeated, 100*d.RepeatShare)})
	facts.AppendRow(terminal.Row{"of the same moment", share(d.Tied, d.Choices)})
	facts.AppendRow(terminal.Row{"of the top 1 % of items", fmt.Sprintf("%.1f %%; of the first %.1f %%", 100*d.Top, 100*d.First)})
	bots := fmt.Sprintf("users: %d, with %s of the events", d.Bots.Users, share(d.Bots.Events, d.Events))
	facts.AppendRow(terminal.Row{"1,000 events in a day", bots})
	facts.AppendRow(terminal.Row{"cases", fmt.Sprintf("%d, %s of an item that is new", d.Cases, share(d.Cold, d.Cases))})
	for _, p := range d.Parts {
		facts.AppendRow(terminal.Row{p.Name, share(p.N, d.Events)})
	}
	facts.Render()
	kinds := terminal.NewTable(w, terminal.Row{"kind", "events", "is to the user tower"})
	for _, k := range d.Kinds {
		kinds.AppendRow(terminal.Row{k.Name, share(k.Events, d.Events), k.Read})
	}
	kinds.Render()
	fields := terminal.NewTable(w, terminal.Row{"of the items", "have it"})
	for _, f := range d.Fields {
		fields.AppendRow(terminal.Row{f.Name, share(f.Items, d.Items)})
	}
	fields.Render()
	var errs []error
	for _, m := range d.Marks {
		colour := "yellow"
		if m.Red {
			colour = "RED"
		}
		_, err := terminal.Fprintf(w, "%s: %s\n  remedy: %s\n", colour, m.What, m.Remedy)
		errs = append(errs, err)
	}
	return errors.Join(errs...)
}
