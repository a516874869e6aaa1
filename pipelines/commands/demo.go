package commands

import (
	"errors"
	"io"
	"log/slog"

	"github.com/jedib0t/go-pretty/v6/text"

	"github.com/freshet/freshet/pipelines/proof/demo"
)

// Demo shows everything on one machine.
type Demo struct {
	MovieLens string `name:"movielens" type:"existingdir" placeholder:"DIR" help:"Replay a MovieLens data set (ml-latest-small, ml-100k or ml-1m) instead of the synthetic shop."`
	Exit      bool   `help:"End after the last step; always so if the output is not a terminal."`
}

// Run tells the story.
func (c *Demo) Run(env *Env) error {
	options := demo.DefaultOptions()
	options.MovieLens, options.Exit = c.MovieLens, c.Exit || !isTerminal(env.Out)
	if !isTerminal(env.Out) {
		text.DisableColors()
	}
	if isTerminal(env.Err) {
		options.Progress = env.Err
	}
	err := demo.Run(env.Context, options, env.Out, quietly(env.Err))
	if err != nil && env.Context.Err() != nil {
		return errors.New("the demo was interrupted before its end")
	}
	return err
}

// quietly logs errors alone: the story provokes warnings on purpose, and tells of them itself.
func quietly(w io.Writer) *slog.Logger {
	return slog.New(slog.NewTextHandler(w, &slog.HandlerOptions{Level: slog.LevelError}))
}
