package towers

import (
	"errors"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"sync"
	"testing"

	"github.com/stretchr/testify/require"
)

// tree lists what is below a folder: files with their content, links with their target, folders with a slash.
func tree(t *testing.T, dir string) map[string]string {
	t.Helper()
	found := map[string]string{}
	require.NoError(t, filepath.WalkDir(dir, func(path string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		name, _ := filepath.Rel(dir, path)
		switch {
		case e.IsDir():
			found[name+"/"] = ""
		case e.Type()&fs.ModeSymlink != 0:
			target, err := os.Readlink(path)
			found[name] = "-> " + target
			return err
		default:
			content, err := os.ReadFile(path)
			found[name] = string(content)
			return err
		}
		return nil
	}))
	return found
}

func put(t *testing.T, path, content string) {
	t.Helper()
	require.NoError(t, os.MkdirAll(filepath.Dir(path), 0o755))
	require.NoError(t, os.WriteFile(path, []byte(content), 0o644))
}

func versionIn(t *testing.T, dir string) string {
	t.Helper()
	m, err := LoadManifest(dir)
	require.NoError(t, err)
	require.NoError(t, loadBoth(dir))
	return m.Version
}

// TestWhatIsNoBundleIsRefused: nothing of what lies there is touched, by Check and by the write alike.
func TestWhatIsNoBundleIsRefused(t *testing.T) {
	cases := map[string]struct {
		lay  func(t *testing.T, dir string)
		says []string
	}{
		"a data folder": {func(t *testing.T, dir string) {
			put(t, dir+"/interactions.csv", "a")
			put(t, dir+"/items.csv", "b")
			put(t, dir+"/sub/notes.txt", "keep")
		}, []string{"interactions.csv", "items.csv", "sub", "no bundle's"}},
		"many files": {func(t *testing.T, dir string) {
			for _, c := range "abcdefgh" {
				put(t, filepath.Join(dir, string(c)), "x")
			}
		}, []string{`"e"] and 3 more`}},
		"a manifest of something else": {func(t *testing.T, dir string) { put(t, dir+"/manifest.json", `{"name":"page"}`) },
			[]string{"manifest.json"}},
		"a tower's file among others, without a manifest": {func(t *testing.T, dir string) {
			put(t, dir+"/"+foreignUserFile, "onnx")
			put(t, dir+"/train.py", "x")
		}, []string{"train.py"}},
		"a folder called as a file of a bundle is": {func(t *testing.T, dir string) { put(t, dir+"/"+itemFile+"/x", "x") },
			[]string{itemFile}},
		"a file": {func(t *testing.T, dir string) { put(t, dir, "x") }, []string{"is a file"}},
		"a link to a folder of files": {func(t *testing.T, dir string) {
			put(t, dir+".real/x", "x")
			require.NoError(t, os.Symlink(dir+".real", dir))
		}, []string{`"x"`}},
		"a link to itself": {func(t *testing.T, dir string) { require.NoError(t, os.Symlink(filepath.Base(dir), dir)) }, []string{"leads to itself"}},
		"a bundle beside a foreign folder of the name for the one before": {func(t *testing.T, dir string) {
			_, err := WriteBundle(dir, testBundle(1))
			require.NoError(t, err)
			put(t, dir+".previous/thesis.tex", "x")
		}, []string{".previous", "thesis.tex"}},
		"a bundle before with a note beside": {func(t *testing.T, dir string) {
			for seed := range uint64(2) {
				_, err := WriteBundle(dir, testBundle(seed))
				require.NoError(t, err)
			}
			put(t, dir+".previous/thesis.tex", "x")
		}, []string{".previous", "thesis.tex"}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			parent := t.TempDir()
			dir := filepath.Join(parent, "out")
			c.lay(t, dir)
			before := tree(t, parent)
			_, writing := WriteBundle(dir, testBundle(9))
			for _, err := range []error{Place{Dir: dir}.Check(), writing} {
				require.True(t, IsOccupied(err), "%v", err)
				for _, says := range c.says {
					require.ErrorContains(t, err, says)
				}
			}
			require.Equal(t, before, tree(t, parent))
		})
	}
}

func TestAnEmptyFolderIsFilled(t *testing.T) {
	dir := t.TempDir()
	before, err := os.Stat(dir)
	require.NoError(t, err)
	require.NoError(t, Place{Dir: dir}.Check())
	m, err := WriteBundle(dir, testBundle(1))
	require.NoError(t, err)
	require.Equal(t, m.Version, versionIn(t, dir))
	after, err := os.Stat(dir)
	require.NoError(t, err)
	require.True(t, os.SameFile(before, after), "a shell that stands in it sees the bundle, and a mount point can be filled")
}

// TestTheBundleBeforeIsKept over four writings: one generation, whole; what else lies in the folder stays there.
func TestTheBundleBeforeIsKept(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bundle")
	var versions []string
	write := func(p Place) {
		t.Helper()
		require.NoError(t, p.Check())
		m, err := p.WriteBundle(testBundle(uint64(len(versions))))
		require.NoError(t, err)
		versions = append(versions, m.Version)
		require.Equal(t, m.Version, versionIn(t, dir))
	}
	write(Place{Dir: dir})
	require.NoDirExists(t, dir+".previous")
	put(t, dir+"/notes.txt", "keep")
	put(t, dir+"/sub/more.txt", "keep too")
	put(t, dir+".checkpoint", "a training's")
	require.NoError(t, os.Symlink("notes.txt", filepath.Join(dir, "link")))
	require.NoError(t, os.Chmod(dir, 0o750))

	for range 2 {
		write(Place{Dir: dir})
		require.Equal(t, versions[len(versions)-2], versionIn(t, dir+".previous"))
	}
	write(Place{Dir: dir, Replace: true})
	require.Equal(t, versions[1], versionIn(t, dir+".previous"), "the one that was kept earlier stays")

	names := func(dir string) []string {
		entries, err := os.ReadDir(dir)
		require.NoError(t, err)
		var names []string
		for _, e := range entries {
			names = append(names, e.Name())
		}
		return names
	}
	require.Equal(t, []string{"bundle", "bundle.checkpoint", "bundle.previous"}, names(filepath.Dir(dir)))
	require.Subset(t, ownFiles, names(dir+".previous"))
	left := tree(t, dir)
	require.Equal(t, "keep", left["notes.txt"])
	require.Equal(t, "keep too", left["sub/more.txt"])
	require.Equal(t, "-> notes.txt", left["link"])
	info, err := os.Stat(dir)
	require.NoError(t, err)
	require.Equal(t, fs.FileMode(0o750), info.Mode().Perm())
}

func TestALinkIsFollowed(t *testing.T) {
	parent := t.TempDir()
	link, dated := filepath.Join(parent, "bundle"), filepath.Join(parent, "bundles", "2026-11-30")
	require.NoError(t, os.Symlink(filepath.Join("bundles", "2026-11-30"), link))
	first, err := WriteBundle(link, testBundle(1)) // its target is not there yet
	require.NoError(t, err)
	second, err := WriteBundle(link, testBundle(2))
	require.NoError(t, err)
	target, err := os.Readlink(link)
	require.NoError(t, err)
	require.Equal(t, filepath.Join("bundles", "2026-11-30"), target)
	require.Equal(t, second.Version, versionIn(t, dated))
	require.Equal(t, second.Version, versionIn(t, link))
	require.Equal(t, first.Version, versionIn(t, dated+".previous"))

	// By way of a link among the parents, ".." is the real folder's.
	require.NoError(t, os.MkdirAll(filepath.Join(parent, "deep", "er"), 0o755))
	require.NoError(t, os.Symlink(filepath.Join(parent, "deep", "er"), filepath.Join(parent, "short")))
	require.NoError(t, os.Symlink(filepath.Join("..", "there"), filepath.Join(parent, "deep", "er", "up")))
	third, err := WriteBundle(filepath.Join(parent, "short", "up"), testBundle(3))
	require.NoError(t, err)
	require.Equal(t, third.Version, versionIn(t, filepath.Join(parent, "deep", "there")))
}

// TestADamagedBundleMakesWay, but does not push out the whole one before.
func TestADamagedBundleMakesWay(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bundle")
	_, err := WriteBundle(dir, testBundle(1))
	require.NoError(t, err)
	require.NoError(t, os.Remove(filepath.Join(dir, manifestFile)))
	second, err := WriteBundle(dir, testBundle(2))
	require.NoError(t, err)
	require.Equal(t, second.Version, versionIn(t, dir))
	require.FileExists(t, filepath.Join(dir+".previous", userFile), "nothing whole was there: it may be worth something")
	_, err = WriteBundle(dir, testBundle(3))
	require.NoError(t, err)
	require.Equal(t, second.Version, versionIn(t, dir+".previous"))

	editFile(t, dir, userFile, false, func(b []byte) []byte { return b[:9] })
	fourth, err := WriteBundle(dir, testBundle(4))
	require.NoError(t, err)
	require.Equal(t, fourth.Version, versionIn(t, dir))
	require.Equal(t, second.Version, versionIn(t, dir+".previous"))
}

// TestThereIsAlwaysABundle: readers find a whole one at every moment, while two write.
func TestThereIsAlwaysABundle(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "bundle")
	_, err := WriteBundle(dir, testBundle(0))
	require.NoError(t, err)
	if errors.Is(exchange(dir, dir), errors.ErrUnsupported) {
		t.Skip("this system cannot exchange folders")
	}
	put(t, dir+"/notes.txt", "keep")
	done := make(chan struct{})
	var writers, readers sync.WaitGroup
	for w := range uint64(2) {
		writers.Go(func() {
			for i := range uint64(15) {
				if _, err := (Place{Dir: dir, Replace: i%3 == 0}).WriteBundle(testBundle(100*w + i)); err != nil {
					t.Errorf("writer %d: %v", w, err)
				}
			}
		})
	}
	readers.Go(func() {
		for {
			if _, err := LoadManifest(dir); err != nil {
				t.Errorf("no bundle: %v", err)
			}
			// Files of two bundles may meet in one reader, who is told so, and finds one a moment later.
			if err := loadBoth(dir); err != nil && !IsCorrupted(err) && !IsTruncated(err) {
				t.Errorf("no whole bundle: %v", err)
			}
			select {
			case <-done:
				return
			default:
			}
		}
	})
	writers.Wait()
	close(done)
	readers.Wait()
	require.NotEqual(t, versionIn(t, dir), versionIn(t, dir+".previous"))
	require.FileExists(t, dir+"/notes.txt")
	entries, err := os.ReadDir(filepath.Dir(dir))
	require.NoError(t, err)
	require.Len(t, entries, 2, "nothing else is left: %v", entries)
}

// TestAWriteThatIsCutOff between any two steps leaves a whole bundle under its name or under that of the one before, and the next
// write goes on from there.
func TestAWriteThatIsCutOff(t *testing.T) {
	lay := func(t *testing.T) (dir, fresh string) {
		dir = filepath.Join(t.TempDir(), "bundle")
		_, err := WriteBundle(dir, testBundle(1))
		require.NoError(t, err)
		fresh = filepath.Join(filepath.Dir(dir), ".bundle.new-1")
		_, err = WriteBundle(fresh, testBundle(2))
		require.NoError(t, err)
		return dir, fresh
	}
	steps := map[string]func(dir, fresh string) error{
		"before the first":       func(string, string) error { return nil },
		"before the exchange":    func(dir, fresh string) error { return os.Rename(fresh, dir+".previous") },
		"where none is possible": func(dir, _ string) error { return os.Rename(dir, dir+".previous") },
		"after the exchange":     func(dir, fresh string) error { return swap(fresh, dir, dir+".previous") },
	}
	for name, until := range steps {
		t.Run(name, func(t *testing.T) {
			dir, fresh := lay(t)
			require.NoError(t, until(dir, fresh))
			require.True(t, slices.ContainsFunc([]string{dir, dir + ".previous"}, func(d string) bool { return loadBoth(d) == nil }))
			if _, err := LoadManifest(dir); err != nil {
				require.True(t, IsMissing(err))
				require.ErrorContains(t, err, "bundle.previous holds an earlier one")
			}
			m, err := WriteBundle(dir, testBundle(3))
			require.NoError(t, err)
			require.Equal(t, m.Version, versionIn(t, dir))
			versionIn(t, dir+".previous")
		})
	}
}
