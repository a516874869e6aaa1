package commands

import (
	"fmt"

	"github.com/freshet/freshet/services/build"
	"github.com/freshet/freshet/services/terminal"
	"github.com/freshet/freshet/services/towers/interchange"
)

// ExportONNX writes towers as ONNX models.
type ExportONNX struct {
	Bundle string `type:"existingdir" placeholder:"BUNDLE" help:"Bundle to export; the configuration's by default."`
	Out    string `short:"o" type:"path" required:"" placeholder:"DIR" help:"Folder to write to; files of an earlier export are replaced."`
}

// Help tells what is written.
func (ExportONNX) Help() string {
	return `The files, with their inputs and outputs:

    item_tower.onnx    id [N], tokens [N, T] -> vector [N, dim]
    user_tower.onnx    state [N, S], item [N, dim] -> next_state [N, S], embedding [N, dim]: one event
    user_history.onnx  items [N, L, dim], lengths [N] -> state [N, S], embedding [N, dim]: oldest event first
                       towers that read them also take kind [N] and gap [N]; kinds [N, L] and gaps [N, L]
    vocabulary.json    ids and tokens: the entry at index i is row i + 1 of id or tokens; row 0 means none

Rows, lengths, kinds and gaps are int64, all else is float32; opset 17. A state of zeros is that of a user who has done nothing.
A kind is what the user did, a row of the model's metadata freshet.event_kinds; 0 means none of these. A gap is the time since the
user's event before: 0 unknown, 1 below a second, then k from 2^(k-2) seconds on, 26 at most.`
}

// Run exports and lists the files.
func (c *ExportONNX) Run(env *Env) error {
	bundle := c.Bundle
	if bundle == "" {
		s, err := env.Settings()
		if err != nil {
			return err
		}
		bundle = s.Bundle
	}
	written, err := interchange.Export(bundle, c.Out, build.Read().Version)
	if err != nil {
		return err
	}
	files := terminal.NewTable(env.Out, terminal.Row{"file", "bytes"})
	for _, w := range written {
		files.AppendRow(terminal.Row{w.Path, fmt.Sprint(w.Bytes)})
	}
	files.Render()
	return nil
}
