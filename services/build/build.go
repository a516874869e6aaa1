package build

import (
	"regexp"
	"runtime"
	"runtime/debug"
	"strings"
)

// Next is the version that is being made. The first release heading of CHANGELOG.md is below it, which a test holds.
const Next = "0.6.0"

// Set when a release is linked, with -ldflags "-X github.com/freshet/freshet/services/build.version=…". A build without git at hand,
// as that of the image, is told commit and date (RFC 3339) the same way.
var version, commit, date string

// Info is what is known of this program.
type Info struct {
	// Version follows semver.org, without the "v" before it. Between two releases it is Next and "-dev".
	Version string `json:"version"`
	// Commit is empty where the build did not know it.
	Commit string `json:"commit,omitempty"`
	// Date is the commit's, in RFC 3339.
	Date string `json:"date,omitempty"`
	// Modified reports whether files were changed since that commit.
	Modified bool `json:"modified"`
	// Go is the release of Go that compiled the program.
	Go string `json:"go"`
	// Platform is operating system and chip, as in linux/arm64.
	Platform string `json:"platform"`
	// Cgo reports whether the program can load ONNX Runtime, which bundles trained elsewhere need.
	Cgo bool `json:"cgo"`
}

// Read tells what this program is.
func Read() Info {
	module, ok := debug.ReadBuildInfo()
	if !ok {
		module = &debug.BuildInfo{}
	}
	return read(module, version, commit, date)
}

// Source is the commit, with "-modified" behind it where files were changed since; empty where it is not known.
func (i Info) Source() string {
	if i.Commit != "" && i.Modified {
		return i.Commit + "-modified"
	}
	return i.Commit
}

// pseudo finds the end of the versions that Go gives to commits without a tag: a time and the beginning of the commit's hash.
var pseudo = regexp.MustCompile(`[-.]\d{14}-([0-9a-f]{12})(\+.*)?$`)

func read(module *debug.BuildInfo, version, commit, date string) Info {
	i := Info{
		Version: strings.TrimPrefix(version, "v"), Commit: commit, Date: date,
		Go: runtime.Version(), Platform: runtime.GOOS + "/" + runtime.GOARCH,
	}
	for _, s := range module.Settings {
		switch s.Key {
		case "vcs.revision":
			i.Commit = s.Value
		case "vcs.time":
			i.Date = s.Value
		case "vcs.modified":
			i.Modified = s.Value == "true"
		case "CGO_ENABLED":
			i.Cgo = s.Value == "1"
		}
	}
	made := pseudo.FindStringSubmatch(module.Main.Version)
	if made != nil && i.Commit == "" { // go install module@commit has no git at hand
		i.Commit = made[1]
	}
	switch {
	case i.Version != "":
	case module.Main.Version == "" || module.Main.Version == "(devel)" || made != nil:
		i.Version = Next + "-dev"
	default:
		i.Version = strings.TrimPrefix(module.Main.Version, "v")
	}
	return i
}
