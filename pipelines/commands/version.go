package commands

import (
	"github.com/freshet/freshet/services/build"
	"github.com/freshet/freshet/services/terminal"
)

// Version prints what was built.
type Version struct {
	JSON bool `name:"json" help:"Print the same as JSON."`
}

// Help says what each word of the line is.
func (*Version) Help() string {
	return `The line has the version, where the build knew them the commit and its date, the release of Go, the platform, and whether the
program can run bundles trained elsewhere (cgo). A version that ends in -dev is on the way to that release.`
}

// Run prints a line, or JSON.
func (c *Version) Run(env *Env) error {
	b := build.Read()
	if c.JSON {
		return terminal.FprintJSON(env.Out, b)
	}
	line := "freshet " + b.Version
	if source := b.Source(); source != "" {
		line += ", commit " + source
		if b.Date != "" {
			line += " of " + b.Date
		}
	}
	cgo := "without cgo"
	if b.Cgo {
		cgo = "with cgo"
	}
	_, err := terminal.Fprintf(env.Out, "%s, %s %s %s\n", line, b.Go, b.Platform, cgo)
	return err
}
