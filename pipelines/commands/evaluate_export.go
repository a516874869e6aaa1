package commands

import (
	"strings"

	"github.com/freshet/freshet/pipelines/offline/evaluation"
	"github.com/freshet/freshet/services/terminal"
)

// EvaluateExport groups the forms that other tools read.
type EvaluateExport struct {
	TREC EvaluateExportTREC `cmd:"" name:"trec" help:"As runs and qrels, from which trec_eval, pytrec_eval and ranx compute the same figures."`
}

// EvaluateExportTREC writes runs and qrels.
type EvaluateExportTREC struct {
	Of    string `arg:"" name:"run" default:"latest" help:"The run: a name in --runs or a part of it that no other has, latest, or a file; ${default} by default."`
	Runs  string `type:"path" default:"runs" placeholder:"DIR" help:"Folder of the runs; ${default} by default."`
	Out   string `required:"" type:"path" placeholder:"DIR" help:"Folder for qrels.txt and a file NAME.run for each scorer."`
	Depth int    `default:"100" help:"Length of the lists: the longest at which figures are wanted."`
}

// Run writes the files and says how to read them.
func (c *EvaluateExportTREC) Run(env *Env) error {
	run, name, err := evaluation.Runs{Dir: c.Runs}.Load(c.Of)
	if err != nil {
		return err
	}
	files, err := run.WriteTREC(c.Out, c.Depth)
	if err != nil {
		return err
	}
	_, err = terminal.Fprintf(env.Out, "run %s, %d cases: %s and %s in %s\ntheir MAP is map_all here: over all targets\n",
		name, len(run.Targets), evaluation.TRECQrels, strings.Join(files, ", "), c.Out)
	return err
}
