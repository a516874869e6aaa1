package commands

import (
	"fmt"
	"runtime"
	"runtime/debug"
)

// Version prints what was built.
type Version struct{}

// Run prints the module's version, the commit where the build knows it, and the Go release.
func (Version) Run(env *Env) error {
	version, commit := "(devel)", ""
	if info, ok := debug.ReadBuildInfo(); ok {
		if info.Main.Version != "" {
			version = info.Main.Version
		}
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = " " + s.Value
			}
		}
	}
	_, err := fmt.Fprintf(env.Out, "freshet %s%s %s %s/%s\n", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}
