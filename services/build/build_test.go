package build

import (
	"os"
	"regexp"
	"runtime"
	"runtime/debug"
	"strconv"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestRead(t *testing.T) {
	const hash = "56c8356b70f1d3a2c0ffee00c0ffee00c0ffee00"
	git := []debug.BuildSetting{{Key: "vcs", Value: "git"}, {Key: "vcs.revision", Value: hash}, {Key: "vcs.time", Value: "2026-11-30T21:20:00Z"}}
	cgo := debug.BuildSetting{Key: "CGO_ENABLED", Value: "1"}
	for _, c := range []struct {
		name, module          string
		settings              []debug.BuildSetting
		version, commit, date string
		want                  Info
		source                string
	}{
		{
			name: "a release, linked in a clone", module: "v0.5.1-0.20261130212000-56c8356b70f1", settings: git, version: "0.6.0",
			want: Info{Version: "0.6.0", Commit: hash, Date: "2026-11-30T21:20:00Z"}, source: hash,
		},
		{
			name: "an image, without git", module: "(devel)", settings: []debug.BuildSetting{cgo}, version: "v0.6.0", commit: "c0ffee", date: "2026-12-01T00:00:00Z",
			want: Info{Version: "0.6.0", Commit: "c0ffee", Date: "2026-12-01T00:00:00Z", Cgo: true}, source: "c0ffee",
		},
		{name: "go install of a tag", module: "v0.5.0", want: Info{Version: "0.5.0"}},
		{name: "go install of a release candidate", module: "v1.0.0-rc.1", want: Info{Version: "1.0.0-rc.1"}},
		{
			name: "go install of a commit", module: "v0.0.0-20261130212000-56c8356b70f1",
			want: Info{Version: Next + "-dev", Commit: "56c8356b70f1"}, source: "56c8356b70f1",
		},
		{name: "go install of a commit behind a candidate", module: "v1.0.0-rc.1.0.20261130212000-56c8356b70f1",
			want: Info{Version: Next + "-dev", Commit: "56c8356b70f1"}, source: "56c8356b70f1"},
		{
			name: "go build in a clone with changes", module: "v0.0.0-20261130212000-56c8356b70f1+dirty",
			settings: append(git, debug.BuildSetting{Key: "vcs.modified", Value: "true"}),
			want:     Info{Version: Next + "-dev", Commit: hash, Date: "2026-11-30T21:20:00Z", Modified: true}, source: hash + "-modified",
		},
		{name: "go run", module: "(devel)", settings: []debug.BuildSetting{{Key: "CGO_ENABLED", Value: "0"}}, want: Info{Version: Next + "-dev"}},
		{name: "a program without build information", want: Info{Version: Next + "-dev"}},
		{name: "changes, and no commit to have changed", settings: []debug.BuildSetting{{Key: "vcs.modified", Value: "true"}},
			want: Info{Version: Next + "-dev", Modified: true}},
	} {
		t.Run(c.name, func(t *testing.T) {
			c.want.Go, c.want.Platform = runtime.Version(), runtime.GOOS+"/"+runtime.GOARCH
			got := read(&debug.BuildInfo{Main: debug.Module{Version: c.module}, Settings: c.settings}, c.version, c.commit, c.date)
			require.Equal(t, c.want, got)
			require.Equal(t, c.source, got.Source())
		})
	}
	require.NotEmpty(t, Read().Version)
}

// TestNextFollowsTheChangelog: Next is a patch, a minor or a major release above the newest one, so that "-dev" never names what is out.
func TestNextFollowsTheChangelog(t *testing.T) {
	text, err := os.ReadFile("../../CHANGELOG.md")
	require.NoError(t, err)
	out := regexp.MustCompile(`(?m)^## (\d+)\.(\d+)\.(\d+) `).FindStringSubmatch(string(text))
	require.NotNil(t, out, "CHANGELOG.md has a release")
	var n [3]int
	for i := range n {
		n[i], err = strconv.Atoi(out[i+1])
		require.NoError(t, err)
	}
	join := func(major, minor, patch int) string {
		return strconv.Itoa(major) + "." + strconv.Itoa(minor) + "." + strconv.Itoa(patch)
	}
	require.Contains(t, []string{join(n[0], n[1], n[2]+1), join(n[0], n[1]+1, 0), join(n[0]+1, 0, 0)}, Next)
}
