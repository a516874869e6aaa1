package rules

import (
	"bytes"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const (
	oneRule  = "rules: [{name: one, kind: exclude_listed}, {name: two, kind: request_filter}]"
	twoRules = "rules: [{name: one, kind: exclude_listed}, {name: two, kind: request_filter}, {name: three, kind: exclude_seen}]"
	badRules = "rules: [{name: one, kind: filter, keep: item.avialable}]"
)

var silent = slog.New(slog.DiscardHandler)

// hour lets no tick of a Live come in between a test's own reloads.
const hour = time.Hour

func write(t *testing.T, path, text string) {
	t.Helper()
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
}

func TestLiveFollowsItsFile(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	write(t, path, oneRule)
	var logged bytes.Buffer
	l, err := OpenLive(path, hour, slog.New(slog.NewTextHandler(&logged, nil)))
	require.NoError(t, err)
	defer l.Close()
	assert.Equal(t, []string{"one", "two"}, l.Current().Names())

	changed, err := l.Reload()
	require.NoError(t, err)
	assert.False(t, changed)

	write(t, path, twoRules)
	changed, err = l.Reload()
	require.NoError(t, err)
	assert.True(t, changed)
	assert.Equal(t, []string{"one", "two", "three"}, l.Current().Names())
	served := l.Current()

	for range 3 {
		write(t, path, badRules)
		changed, err = l.Reload()
		require.ErrorContains(t, err, path)
		require.ErrorContains(t, err, "did you mean item.available?")
		assert.True(t, IsBadRules(err))
		assert.Equal(t, err, l.LastError())
		assert.False(t, changed)
		assert.Same(t, served, l.Current())
	}
	assert.Equal(t, 1, strings.Count(logged.String(), "the old ones stay"), "the same trouble is told once")

	require.NoError(t, os.Remove(path))
	_, err = l.Reload()
	require.ErrorIs(t, err, os.ErrNotExist)
	assert.False(t, IsBadRules(err))
	assert.Same(t, served, l.Current())
	write(t, path, badRules)
	_, err = l.Reload()
	assert.True(t, IsBadRules(err), "back, and as bad as before")

	write(t, path, twoRules)
	_, err = l.Reload()
	require.NoError(t, err)
	require.NoError(t, l.LastError())
}

// TestLiveOnAConfigMap swaps the symbolic link above the file, as a kubelet does: the path keeps its name, and size and
// time of what it leads to may be equal.
func TestLiveOnAConfigMap(t *testing.T) {
	dir := t.TempDir()
	for version, text := range map[string]string{"v1": oneRule, "v2": strings.Replace(oneRule, "one", "new", 1)} {
		require.NoError(t, os.Mkdir(filepath.Join(dir, version), 0o700))
		file := filepath.Join(dir, version, "rules.yaml")
		write(t, file, text)
		require.NoError(t, os.Chtimes(file, now, now))
	}
	link := func(version string) {
		require.NoError(t, os.Symlink(version, filepath.Join(dir, "next")))
		require.NoError(t, os.Rename(filepath.Join(dir, "next"), filepath.Join(dir, "..data")))
	}
	link("v1")
	require.NoError(t, os.Symlink(filepath.Join("..data", "rules.yaml"), filepath.Join(dir, "rules.yaml")))
	l, err := OpenLive(filepath.Join(dir, "rules.yaml"), hour, silent)
	require.NoError(t, err)
	defer l.Close()
	link("v2")
	changed, err := l.Reload()
	require.NoError(t, err)
	assert.True(t, changed)
	assert.Equal(t, []string{"new", "two"}, l.Current().Names())
}

func TestLivePolls(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	write(t, path, oneRule)
	l, err := OpenLive(path, time.Millisecond, silent)
	require.NoError(t, err)
	defer l.Close()
	write(t, path, twoRules)
	require.Eventually(t, func() bool { return len(l.Current().Names()) == 3 }, 10*time.Second, time.Millisecond)
	l.Close()
	l.Close()
}

func TestOpenLiveRefuses(t *testing.T) {
	path := filepath.Join(t.TempDir(), "rules.yaml")
	_, err := OpenLive(path, hour, silent)
	require.ErrorIs(t, err, os.ErrNotExist)
	write(t, path, badRules)
	_, err = OpenLive(path, hour, silent)
	require.True(t, IsBadRules(err))
	write(t, path, oneRule)
	_, err = OpenLive(path, 0, silent)
	require.ErrorContains(t, err, "give a duration such as 2s")
}

func TestLiveWithoutFile(t *testing.T) {
	l, err := OpenLive("", 0, silent)
	require.NoError(t, err)
	defer l.Close()
	assert.Same(t, Default(), l.Current())
	changed, err := l.Reload()
	require.NoError(t, err)
	assert.False(t, changed)
}
