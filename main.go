// Freshet is a streaming recommendation pipeline: fresh user embeddings in Redis, item candidates in Milvus, and
// recommendations over a Kafka request-reply topic. This file is the table of its commands.
//
// The packages producers and schemas are the API of this module: they follow semantic versioning. All other packages may change
// with any version.
package main

import (
	"context"
	"os"

	"github.com/freshet/freshet/pipelines/commands"
)

// table lists the commands; each is described, flag by flag, where it is written.
type table struct {
	commands.Global

	Demo        commands.Demo        `cmd:"" help:"Show the whole pipeline on this machine in a minute, each step checked."`
	Run         commands.Run         `cmd:"" help:"Run the online roles until a signal ends them."`
	Describe    commands.Describe    `cmd:"" help:"Take a first look at data: what is in it, what will be learnt from and asked for, what stands out."`
	Train       commands.Train       `cmd:"" help:"Train the two towers and write a model bundle."`
	Tune        commands.Tune        `cmd:"" help:"Search a recipe of training on the validation cases."`
	Evaluate    commands.Evaluate    `cmd:"" help:"Measure recall of a bundle beside baselines, all items ranked."`
	Export      commands.Export      `cmd:"" help:"Write events, items and towers for other tools to read."`
	Import      commands.Import      `cmd:"" help:"Make a bundle of towers trained elsewhere."`
	Publish     commands.Publish     `cmd:"" help:"Publish interactions or items from JSON lines."`
	Recommend   commands.Recommend   `cmd:"" help:"Ask for recommendations over Kafka and print the reply."`
	Topics      commands.Topics      `cmd:"" help:"Create or describe the topics."`
	Deadletters commands.DeadLetters `cmd:"" help:"List dead letters, or publish them again."`
	Erase       commands.Erase       `cmd:"" help:"Erase a user, see that it is done, and tell what is left until when."`
	Rebuild     commands.Rebuild     `cmd:"" help:"Restore from the topics what Redis or Milvus has lost."`
	Inspect     commands.Inspect     `cmd:"" help:"Show what is stored of a user or an item, and the recall that was measured."`
	Traces      commands.Traces      `cmd:"" help:"Take spans by OTLP and print each trace as a tree, for a laptop."`
	Bench       commands.Bench       `cmd:"" help:"Measure throughput, latency and memory beside floors of the same run."`
	Config      commands.Config      `cmd:"" help:"Print the effective configuration, secrets masked."`
	Version     commands.Version     `cmd:"" help:"Print the version, and what it was built from."`
}

func main() {
	var t table
	os.Exit(commands.Execute(context.Background(), &t, &t.Global, os.Args[1:], commands.Standard()))
}
