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
	commit := ""
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, s := range info.Settings {
			if s.Key == "vcs.revision" {
				commit = " " + s.Value
			}
		}
	}
	_, err := fmt.Fprintf(env.Out, "freshet %s%s %s %s/%s\n", buildVersion(), commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// buildVersion is the module's version.
func buildVersion() string {
	if info, ok := debug.ReadBuildInfo(); ok && info.Main.Version != "" {
		return info.Main.Version
	}
	return "(devel)"
}
