package commands

import (
	"context"
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/offline/dataset/tables"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/terminal"
)

// Export groups the commands that write for others to read.
type Export struct {
	Interactions ExportInteractions `cmd:"" help:"Write the table interactions: what users did."`
	Items        ExportItems        `cmd:"" help:"Write the table items: the catalogue."`
	All          ExportAll          `cmd:"" help:"Write both, as the format events that train and evaluate read."`
	ONNX         ExportONNX         `cmd:"" name:"onnx" help:"Write a bundle's towers as ONNX models, with their vocabulary beside them."`
}

// exported is where an export comes from and goes to.
type exported struct {
	Out    string `short:"o" required:"" type:"path" placeholder:"DIR" help:"Folder to write to; it is made where it is not there. A file is replaced whole or not at all."`
	As     string `enum:"parquet,avro" default:"parquet" placeholder:"FORM" help:"What is written: ${enum}. The latter are Avro container files."`
	Data   string `type:"existingdir" placeholder:"DIR" help:"Folder of a data set to convert. Without it the topics are read, erased users left out."`
	Format string `enum:"${table_formats}" default:"auto" placeholder:"FORMAT" help:"How the folder is written: ${enum}. auto goes by the files."`
	tableFlags
	window
}

// ExportInteractions writes the interactions.
type ExportInteractions struct{ exported }

// Run writes the table.
func (c *ExportInteractions) Run(env *Env) error { return c.run(env, true, false) }

// ExportItems writes the items.
type ExportItems struct{ exported }

// Run writes the table.
func (c *ExportItems) Run(env *Env) error { return c.run(env, false, true) }

// ExportAll writes both.
type ExportAll struct{ exported }

// Run writes the tables.
func (c *ExportAll) Run(env *Env) error { return c.run(env, true, true) }

func (c *exported) run(env *Env, interactions, items bool) error {
	records, tell, err := c.open(env)
	if err != nil {
		return err
	}
	e := &export{records: records, env: env, as: c.As, bar: c.Data != ""}
	err = e.write(env.Context, c.Out, interactions, items)
	tell()
	if err != nil {
		return online.Explain(err)
	}
	_, err = terminal.Fprintf(env.Out, "%s written to %s\n", e.summary(interactions, items), c.Out)
	return err
}

// open gives the records to write, and says afterwards what was left out of them.
func (c *exported) open(env *Env) (records dataset.Records, tell func(), err error) {
	if c.Data == "" {
		if c.Format != "auto" {
			return nil, nil, usage("--format tells how a folder is written: give it with --data")
		}
		if err := c.none(); err != nil {
			return nil, nil, err
		}
		return c.openTopics(env)
	}
	if c.Since != "" || c.Until != "" {
		return nil, nil, usage("--since and --until part the events of the topics: leave them out, or --data")
	}
	format, err := c.formatOf(c.Data, c.Format)
	if err != nil {
		return nil, nil, err
	}
	switch {
	case isTables(format):
		once, _, err := c.openTables(env, c.Data, format, newRowIDs().name)
		return once, func() { tellRepeated(env, once) }, err
	case format == dataset.MovieLensFormat:
		if err := c.none(); err != nil {
			return nil, nil, err
		}
		read, err := dataset.ReadMovieLens(c.Data)
		return read, func() {}, err
	default:
		return nil, nil, fmt.Errorf("converting %s: format %s has the order of events alone, and no times: a table needs them", c.Data, format)
	}
}

func (c *exported) openTopics(env *Env) (dataset.Records, func(), error) {
	topics, err := c.window.open(env)
	if err != nil {
		return nil, nil, err
	}
	once := &dataset.Once{Records: topics}
	return once, func() { tellCounts(env, topics, once) }, nil
}

// export writes tables and counts their rows.
type export struct {
	records             dataset.Records
	env                 *Env
	as                  string // parquet or avro
	bar                 bool
	interactions, items int64
}

// write puts all tables in their places at the end, or none.
func (e *export) write(ctx context.Context, out string, interactions, items bool) (err error) {
	newWriter := tables.NewWriter
	if e.as == "avro" {
		newWriter = tables.NewAvroWriter
	}
	w, err := newWriter(out)
	if err != nil {
		return err
	}
	defer func() {
		if closeErr := w.Close(); err == nil {
			err = closeErr
		}
	}()
	if items {
		if err := w.BeginItems(); err != nil {
			return err
		}
		done := e.counting("writing items", &e.items)
		err := e.records.EachItem(ctx, func(i *schemas.ItemChange) error {
			done()
			return w.Item(i)
		})
		if err != nil {
			return fmt.Errorf("exporting items: %w", err)
		}
	}
	if interactions {
		if err := w.BeginInteractions(); err != nil {
			return err
		}
		done := e.counting("writing interactions", &e.interactions)
		err := e.records.EachInteraction(ctx, func(i *schemas.Interaction, order int64) error {
			done()
			return w.Interaction(i, order)
		})
		if err != nil {
			return fmt.Errorf("exporting interactions: %w", err)
		}
	}
	return w.Commit()
}

// counting counts rows, in sight of people where records come from files; reading topics has a bar of its own.
func (e *export) counting(what string, rows *int64) (one func()) {
	if !e.bar || !isTerminal(e.env.Err) {
		return func() { *rows++ }
	}
	bar := progressbar.NewOptions64(-1, progressbar.OptionSetWriter(e.env.Err), progressbar.OptionSetDescription(what),
		progressbar.OptionShowCount(), progressbar.OptionShowIts(), progressbar.OptionThrottle(100*time.Millisecond),
		progressbar.OptionClearOnFinish())
	return func() {
		*rows++
		_ = bar.Add(1)
	}
}

func (e *export) summary(interactions, items bool) string {
	switch {
	case !items:
		return fmt.Sprintf("%d interactions", e.interactions)
	case !interactions:
		return fmt.Sprintf("%d items", e.items)
	default:
		return fmt.Sprintf("%d items and %d interactions", e.items, e.interactions)
	}
}
