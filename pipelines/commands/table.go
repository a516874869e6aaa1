package commands

// Table lists the commands; each is described, flag by flag, where it is written.
type Table struct {
	Global

	Demo        Demo        `cmd:"" help:"Show the whole pipeline on this machine in a minute, each step checked."`
	Run         Run         `cmd:"" help:"Run the online roles until a signal ends them."`
	Describe    Describe    `cmd:"" help:"Take a first look at data: what is in it, what training will read, what the test cases are, what stands out."`
	Train       Train       `cmd:"" help:"Train the two towers and write a model bundle."`
	Tune        Tune        `cmd:"" help:"Search a recipe of training on the validation cases."`
	Evaluate    Evaluate    `cmd:"" help:"Measure recall of a bundle beside baselines, all items ranked."`
	Export      Export      `cmd:"" help:"Write events, items and towers for other tools to read."`
	Import      Import      `cmd:"" help:"Make a bundle of towers trained elsewhere."`
	Publish     Publish     `cmd:"" help:"Publish interactions or items from JSON lines."`
	Recommend   Recommend   `cmd:"" help:"Ask for recommendations over Kafka and print the reply."`
	Topics      Topics      `cmd:"" help:"Create or describe the topics."`
	Deadletters DeadLetters `cmd:"" help:"List dead letters, or publish them again."`
	Erase       Erase       `cmd:"" help:"Erase a user, see that it is done, and tell what is left until when."`
	Rebuild     Rebuild     `cmd:"" help:"Restore from the topics what Redis or Milvus has lost."`
	Inspect     Inspect     `cmd:"" help:"Show what is stored of a user or an item, and the recall that was measured."`
	Traces      Traces      `cmd:"" help:"Take spans by OTLP and print each trace as a tree, for a laptop."`
	Bench       Bench       `cmd:"" help:"Measure throughput, latency and memory beside floors of the same run."`
	Config      Config      `cmd:"" help:"Print the effective configuration, secrets masked."`
	Version     Version     `cmd:"" help:"Print the version, and what it was built from."`
}
