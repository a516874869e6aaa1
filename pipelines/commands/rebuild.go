package commands

import (
	"fmt"
	"io"
	"time"

	"github.com/freshet/freshet/pipelines/online/rebuild"
	"github.com/freshet/freshet/services/terminal"
)

// Rebuild groups the commands that restore from the topics what Redis or Milvus has lost.
type Rebuild struct {
	Candidates RebuildCandidates `cmd:"" help:"Restore item records, vectors and candidates from the items topic; the roles may go on."`
	Profiles   RebuildProfiles   `cmd:"" help:"Restore profiles and popular items from the interactions topic; the roles may go on."`
}

// RebuildCandidates restores items.
type RebuildCandidates struct{}

// Help says when.
func (RebuildCandidates) Help() string {
	return `Run it when Redis or Milvus was emptied, and before rebuild profiles when it was Redis. It may be broken off and run again.
Rows of items that Redis does not know are removed from Milvus. Where no collection is live, this one is made live at the end.`
}

// Run rebuilds and prints progress and result.
func (RebuildCandidates) Run(env *Env) error {
	s, err := env.Settings()
	if err != nil {
		return err
	}
	r, err := rebuild.Candidates(env.Context, s, printProgress(env.Out), env.Log)
	if err != nil {
		return err
	}
	_, err = terminal.Fprintf(env.Out,
		"model %s: %d records read, %d refused; %d rows without an item removed; %d items published again; model %s is live\n",
		r.Model, r.Records, r.Refused, r.Stale, r.Settled, r.Live)
	return err
}

// RebuildProfiles restores users.
type RebuildProfiles struct{}

// Help says when.
func (RebuildProfiles) Help() string {
	return `Run it when Redis was emptied, after rebuild candidates. It may be broken off and run again; while it runs it takes as much
memory in Redis as the profiles themselves. A profile that knows more than the topic still has is kept as it is.`
}

// Run rebuilds and prints progress and result.
func (RebuildProfiles) Run(env *Env) error {
	s, err := env.Settings()
	if err != nil {
		return err
	}
	r, err := rebuild.Profiles(env.Context, s, printProgress(env.Out), env.Log)
	if err != nil {
		return err
	}
	_, err = terminal.Fprintf(env.Out, "%d records read, %d refused; %d users, %d of them kept as they were, %d expired\n",
		r.Records, r.Refused, r.Users, r.Kept, r.Expired)
	return err
}

// printProgress writes a line for each report.
func printProgress(w io.Writer) rebuild.Reporter {
	return func(p rebuild.Progress) {
		line := fmt.Sprintf("%-10s %d", p.Stage, p.Done)
		if p.Total > 0 {
			line += fmt.Sprintf(" of %d", p.Total)
		}
		if p.Users > 0 {
			line += fmt.Sprintf(", %d users", p.Users)
		}
		if p.Rate > 0 {
			line += fmt.Sprintf(", %.0f/s", p.Rate)
		}
		if p.Left > 0 {
			line += fmt.Sprintf(", %s left", max(p.Left.Round(time.Second), time.Second))
		}
		_, _ = terminal.Fprintln(w, line)
	}
}
