package commands

import (
	"fmt"
	"time"

	"github.com/freshet/freshet/services/terminal"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/interchange"
)

// Import groups the commands that read what other tools made.
type Import struct {
	ONNX ImportONNX `cmd:"" name:"onnx" help:"Make a bundle of an item tower and a user tower that are ONNX models."`
}

// ImportONNX makes a bundle of ONNX models.
type ImportONNX struct {
	User         string            `required:"" type:"existingfile" placeholder:"FILE" help:"User tower: a step (state, item) or an encoder (items, lengths)."`
	Item         string            `type:"existingfile" xor:"items" placeholder:"FILE" help:"Item tower; needs --vocabulary."`
	Vocabulary   string            `type:"existingfile" placeholder:"FILE" help:"Item tower's vocabulary, as freshet export onnx writes it."`
	Vectors      string            `type:"existingfile" xor:"items" placeholder:"FILE" help:"Instead of an item tower: JSON lines of item_id and vector."`
	Port         map[string]string `placeholder:"ROLE=NAME" help:"Models' own names of inputs and outputs, such as state=h0;next_state=h1."`
	EventKinds   []string          `placeholder:"KIND" help:"Kinds of events in the order of the user tower's rows, where it takes kind and its metadata does not say."`
	Out          string            `short:"o" type:"path" placeholder:"BUNDLE" help:"Folder to write the bundle to; the configuration's bundle by default."`
	Replace      bool              `help:"Keep nothing of the bundle that is in the folder. Without it that one is kept as BUNDLE.previous."`
	ModelVersion string            `placeholder:"NAME" help:"Name of the model version, of a-z, 0-9 and _; made of time and content by default."`
}

// Help tells what models must look like.
func (ImportONNX) Help() string {
	return `Inputs and outputs are found by these names, or by --port:

    item tower  id [N] and/or tokens [N, T] -> vector [N, dim]
                row 0 means none, row i + 1 is the vocabulary's entry i
    user tower  state [N, S], item [N, dim] -> next_state [N, S], embedding [N, dim]: a step, from a state of zeros
                and, where it reads them, kind [N] and gap [N]
            or  items [N, L, dim], lengths [N] -> embedding [N, dim]: an encoder of whole histories, oldest event first
                and, where it reads them, kinds [N, L] and gaps [N, L]

Rows, lengths, kinds and gaps are int64, all else is float32; N must be free or 1, T and L may be free. A kind is what the user
did: row i + 1 is entry i of --event-kinds (or of the model's metadata freshet.event_kinds), row 0 any other kind. A gap is the
time since the user's event before: 0 unknown, 1 below a second, then k from 2^(k-2) seconds on, 26 at most. What does not fit is
refused by its name. Running such towers takes ONNX Runtime 1.24 or newer: set FRESHET_ONNXRUNTIME to its library.`
}

// Run imports and names the model.
func (c *ImportONNX) Run(env *Env) error {
	switch {
	case c.Item == "" && c.Vectors == "":
		return usage("give the item tower (--item and --vocabulary), or a table of vectors (--vectors)")
	case (c.Item == "") != (c.Vocabulary == ""):
		return usage("--item and --vocabulary belong together: the vocabulary tells which row is whose")
	}
	out := c.Out
	if out == "" {
		s, err := env.Settings()
		if err != nil {
			return err
		}
		out = s.Bundle
	}
	place := towers.Place{Dir: out, Replace: c.Replace}
	if err := place.Check(); err != nil {
		return err
	}
	m, err := interchange.Sources{
		Users: c.User, Items: c.Item, Vocabulary: c.Vocabulary, Vectors: c.Vectors, Version: c.ModelVersion, Ports: c.Port,
		EventKinds: c.EventKinds,
	}.Import(place, time.Now())
	if err != nil {
		return err
	}
	return c.report(env, m, out)
}

func (c *ImportONNX) report(env *Env, m towers.Manifest, out string) error {
	kind, costs := fmt.Sprintf("a step with a state of %d", m.StateSize), ""
	if m.StateSize == 0 {
		kind = fmt.Sprintf("an encoder of the newest %d events", m.MostEvents)
		costs = "; every event costs its user's history being encoded anew"
	}
	if m.MostTokens > 0 {
		_, _ = terminal.Fprintf(env.Out, "item tower: an item's first %d tokens count, as the model has room for no more\n", m.MostTokens)
	}
	_, err := terminal.Fprintf(env.Out, "user tower: %s, reading %s%s\nmodel %s of dim %d, %d ids and %d tokens, written to %s\n",
		kind, m.Features.Inputs(), costs, m.Version, m.Dim, m.Features.Items, m.Features.Tokens, out)
	return err
}
