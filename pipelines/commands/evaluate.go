package commands

import (
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/freshet/freshet/pipelines/offline/evaluation"
	"github.com/freshet/freshet/pipelines/offline/evaluation/page"
	"github.com/freshet/freshet/services/terminal"
	"github.com/freshet/freshet/services/towers"
)

// Evaluate groups what measures, and what holds measurements beside each other.
type Evaluate struct {
	Bundle  EvaluateBundle  `cmd:"" default:"withargs" help:"Measure a bundle beside baselines, all items ranked; what evaluate does without a word after it."`
	Compare EvaluateCompare `cmd:"" help:"Compare two runs that were kept with --runs, case by case."`
	Export  EvaluateExport  `cmd:"" help:"Write a run that was kept with --runs for other tools."`
}

// EvaluateBundle measures a bundle.
type EvaluateBundle struct {
	data
	Bundle     string `type:"existingdir" placeholder:"BUNDLE" help:"Bundle to measure; the configuration's by default."`
	K          int    `default:"10" help:"Length of the list."`
	Window     int    `default:"64" help:"Newest events of a history to encode, as many as a profile in Redis keeps."`
	At         []int  `default:"1,5,10,20,50,100" help:"More lengths, for all forms but the table."`
	Targets    string `enum:"first,all" default:"first" placeholder:"TARGETS" help:"Of --split time: ask for the first item after the moment that is new to the user, or for all: ${enum}."`
	Baselines  string `enum:"all,simple,none" default:"all" placeholder:"WHICH" help:"Baselines beside the towers: ${enum}. simple leaves out those whose settings are chosen on validation cases first, which takes longest."`
	EASEItems  int    `name:"ease-items" placeholder:"N" help:"Solve the baseline EASE for catalogues of up to so many items, however long that takes; by default for those that half of the free memory and a minute suffice for. Memory grows with the square of the items, time with the cube."`
	Against    string `placeholder:"SCORER" help:"Compare each scorer with this one of the table, case by case."`
	AgainstRun string `placeholder:"RUN" help:"Compare the towers with those of an earlier run, case by case: a name in --runs, latest, or a file."`
	Runs       string `type:"path" placeholder:"DIR" help:"Keep this run in the folder, for --against-run and evaluate compare."`
	Samples    int    `default:"12" help:"Users that the HTML page and JSON show with history, target and list."`
	JSON       bool   `name:"json" xor:"form" help:"Print the report as JSON instead of tables."`
	CSV        bool   `name:"csv" xor:"form" help:"Print the figures as CSV instead of tables."`
	Parquet    string `type:"path" placeholder:"FILE" help:"Write the figures of --csv as Parquet, too."`
	PerCase    string `type:"path" placeholder:"FILE" help:"Write what each scorer did in each case as Parquet, too: history, targets, their ranks, metrics at K."`
	HTML       string `name:"html" type:"path" placeholder:"FILE" help:"Write a page with charts, too: one file that needs nothing else, also for printing."`
	throughProduction
}

// Run prints how the towers rank beside baselines, what their lists are like, and parts of the cases.
func (c *EvaluateBundle) Run(env *Env) error {
	s, err := env.Settings()
	if err != nil {
		return err
	}
	if c.EASEItems < 0 {
		return usage("--ease-items is %d: give the number of items of the largest catalogue", c.EASEItems)
	}
	if c.Targets == "all" && c.Split != timeSplit {
		return usage("--targets is all, which only --split %s can ask for", timeSplit)
	}
	bundle := s.Bundle
	if c.Bundle != "" {
		bundle = c.Bundle
	}
	split, err := c.published()
	if err != nil {
		return err
	}
	manifest, err := towers.LoadManifest(bundle)
	if err != nil {
		return err
	}
	q, err := c.questions(env, split, &manifest)
	if err != nil {
		return err
	}
	if err := q.check(env, bundle, &manifest); err != nil {
		return err
	}
	var waterfall []evaluation.Loss
	if c.Production {
		var done bool
		if waterfall, done, err = c.runProduction(env, s, bundle, q); done {
			return err
		}
	}
	model, err := evaluation.LoadTowers(bundle, q.items, c.Window)
	if err != nil {
		return err
	}
	earlier, earlierName, err := c.earlier()
	if err != nil {
		return err
	}
	report, err := c.evaluate(env, q, model)
	if err != nil {
		return err
	}
	report.Subject = &evaluation.Subject{
		At: time.Now().UTC().Truncate(time.Millisecond), Model: manifest.Version, Bundle: filepath.Base(bundle), Data: q.data, Split: q.split,
	}
	report.Waterfall = waterfall
	if earlier != nil {
		how := evaluation.Comparing{Resamples: report.Resamples, Seed: 1}
		if report.Earlier, err = evaluation.Compare(earlierName, earlier, "this run", report.Run(), how); err != nil {
			return err
		}
	}
	return errors.Join(c.keep(env, report), c.write(report, q), c.print(env.Out, report))
}

// evaluate ranks all items by the model and by the baselines.
func (c *EvaluateBundle) evaluate(env *Env, q *questions, model evaluation.Scorer) (*evaluation.Report, error) {
	beside, err := c.baselines(env, q)
	if err != nil {
		return nil, err
	}
	scorers := append([]evaluation.Scorer{model}, beside.scorers...)
	config := evaluation.DefaultConfig()
	config.K, config.At, config.Against, config.IncludeSeen, config.Samples = c.K, c.At, c.Against, q.includeSeen, c.Samples
	if isTerminal(env.Err) {
		bar := progressbar.NewOptions(len(q.cases)*len(scorers), progressbar.OptionSetWriter(env.Err),
			progressbar.OptionSetDescription("ranking all items"), progressbar.OptionSetPredictTime(true), progressbar.OptionClearOnFinish())
		config.Progress = func(done, _ int) { _ = bar.Set(done) }
	}
	report, err := evaluation.Evaluate(env.Context, q.cases, q.catalogue, scorers, config)
	if err != nil {
		return nil, err
	}
	report.Baselines, report.LeftOut = beside.chosen, beside.left
	return report, nil
}

// earlier loads --against-run before anything costly is done, and before this run becomes the latest.
func (c *EvaluateBundle) earlier() (*evaluation.Run, string, error) {
	if c.AgainstRun == "" {
		return nil, "", nil
	}
	return evaluation.Runs{Dir: c.Runs}.Load(c.AgainstRun)
}

func (c *EvaluateBundle) keep(env *Env, report *evaluation.Report) error {
	if c.Runs == "" {
		return nil
	}
	name, err := evaluation.Runs{Dir: c.Runs}.Save(report.Run())
	if err == nil {
		_, _ = terminal.Fprintf(env.Err, "run kept as %s in %s\n", name, c.Runs)
	}
	return err
}

// mostPast is how many runs a chart over runs shows.
const mostPast = 40

// write writes the files that were asked for.
func (c *EvaluateBundle) write(report *evaluation.Report, q *questions) error {
	var past []evaluation.Past
	if c.Runs != "" && c.HTML != "" {
		var err error
		if past, err = (evaluation.Runs{Dir: c.Runs}).Past(report.Checksum, mostPast); err != nil {
			return err
		}
	}
	return errors.Join(
		writeFile(c.Parquet, report.WriteParquet),
		writeFile(c.PerCase, func(w io.Writer) error { return report.WriteCases(w, q.cases, &q.catalogue) }),
		writeFile(c.HTML, func(w io.Writer) error { return page.Write(w, report, past) }),
	)
}

// writeFile writes a whole file, or nothing where no path is given.
func writeFile(path string, write func(io.Writer) error) error {
	if path == "" {
		return nil
	}
	file, err := os.Create(path)
	if err != nil {
		return fmt.Errorf("writing a report: %w", err)
	}
	return errors.Join(write(file), file.Close())
}

func (c *EvaluateBundle) print(w io.Writer, report *evaluation.Report) error {
	switch {
	case c.JSON:
		return printJSON(w, report)
	case c.CSV:
		return report.WriteCSV(w)
	}
	return report.WriteTable(w)
}

func printJSON(w io.Writer, v any) error {
	return terminal.FprintJSON(w, v)
}

// EvaluateCompare compares two runs.
type EvaluateCompare struct {
	A       string `arg:"" help:"The earlier run: a name in --runs or a part of it that no other has, latest, or a file."`
	B       string `arg:"" help:"The later run, in the same ways."`
	Runs    string `type:"path" default:"runs" placeholder:"DIR" help:"Folder of the runs; ${default} by default."`
	Scorer  string `placeholder:"SCORER" help:"Compare this scorer of both runs, or the only one whose name begins so; the towers by default."`
	ScorerB string `placeholder:"SCORER" help:"Compare it with another scorer of the later run."`
	K       int    `help:"Length of the list; the later run's by default."`
	JSON    bool   `name:"json" help:"Print the comparison as JSON instead of a table."`
}

// Run prints the difference of each figure, and which run is better or that it cannot be told.
func (c *EvaluateCompare) Run(env *Env) error {
	runs := evaluation.Runs{Dir: c.Runs}
	a, nameA, err := runs.Load(c.A)
	if err != nil {
		return err
	}
	b, nameB, err := runs.Load(c.B)
	if err != nil {
		return err
	}
	how := evaluation.Comparing{ScorerA: c.Scorer, ScorerB: c.Scorer, K: c.K, Resamples: evaluation.DefaultConfig().Resamples, Seed: 1}
	if c.ScorerB != "" {
		how.ScorerB = c.ScorerB
	}
	comparison, err := evaluation.Compare(nameA, a, nameB, b, how)
	if err != nil {
		return err
	}
	if c.JSON {
		return printJSON(env.Out, comparison)
	}
	return comparison.WriteTable(env.Out)
}

// checkSameCatalogue refuses to measure a bundle on another data set than its own: the table would look like one, and mean
// nothing. An imported bundle may not know what it was trained on.
func checkSameCatalogue(bundle string, manifest *towers.Manifest, items int) error {
	if trained := manifest.Data.Items; trained != items && (trained != 0 || manifest.Engine == "") {
		return fmt.Errorf("bundle %s was trained on a catalogue of %d items, this data set has %d: name the one it was trained on "+
			"(--data; without it the synthetic shop)", bundle, trained, items)
	}
	return nil
}
