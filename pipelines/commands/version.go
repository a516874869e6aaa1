package commands

import (
	"cmp"
	"runtime"
	"runtime/debug"

	"github.com/freshet/freshet/services/terminal"
)

// commit is for builds to which Go tells none, such as those from an archive of the source or with -buildvcs=false:
// -ldflags "-X github.com/freshet/freshet/pipelines/commands.commit=…".
var commit string

// Version prints what was built.
type Version struct{}

// Run prints the module's version, the commit where the build knows it, and the Go release.
func (Version) Run(env *Env) error {
	version, commit := built()
	if commit != "" {
		commit = " " + commit
	}
	_, err := terminal.Fprintf(env.Out, "freshet %s%s %s %s/%s\n", version, commit, runtime.Version(), runtime.GOOS, runtime.GOARCH)
	return err
}

// built is the module's version and the commit, empty where the build does not know it. A commit whose files were changed
// before the build ends in -modified.
func built() (version, revision string) {
	version, revision = "(devel)", commit
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return version, revision
	}
	modified := ""
	for _, s := range info.Settings {
		switch {
		case s.Key == "vcs.revision":
			revision = s.Value
		case s.Key == "vcs.modified" && s.Value == "true":
			modified = "-modified"
		}
	}
	if revision != "" {
		revision += modified
	}
	return cmp.Or(info.Main.Version, version), revision
}
