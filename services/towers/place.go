package towers

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// Place is a folder to write a bundle to.
//
// What stands there already decides. Nothing, or an empty folder: the bundle is written. A bundle: its own files are replaced, all at
// once, and kept as Previous; other files that somebody laid beside them stay. Anything else is refused, by the names of the files,
// with an error that IsOccupied. A symbolic link is followed, and stays one.
//
// At no moment is there no whole bundle. On Linux the two change places in one step, and a reader that was in the midst of the
// earlier one is refused by a checksum instead of mixing the two, and may load again:
//
//	.bundle.new-1 = new, bundle = old    →   bundle.previous = new, bundle = old   →   bundle = new, bundle.previous = old
//
// Where the system cannot exchange folders, the old one has the name bundle.previous alone for a moment. Whatever the machine's end
// cuts off, what is found under either name is a whole bundle.
type Place struct {
	Dir string
	// Replace keeps nothing of the bundle that is there. One that was kept earlier stays.
	Replace bool
}

// previousSuffix makes the name under which the bundle before is kept.
const previousSuffix = ".previous"

// ownFiles are the names that a bundle's files may have.
var ownFiles = []string{manifestFile, itemFile, userFile, vocabularyFile, queryFile, foreignItemFile, foreignUserFile}

// Check says before anything costly is done whether the bundle can be written. Writing it checks again.
func (p Place) Check() error {
	dir, err := p.resolve()
	if err != nil {
		return err
	}
	found, err := p.check(dir)
	if err != nil {
		return err
	}
	within := dir
	if !found.is(emptyFolder) {
		within = filepath.Dir(dir)
	}
	for { // the parents that are not there yet are made later
		_, err := os.Stat(within)
		if !errors.Is(err, fs.ErrNotExist) || filepath.Dir(within) == within {
			break
		}
		within = filepath.Dir(within)
	}
	probe, err := os.MkdirTemp(within, ".freshet-probe-")
	if err != nil {
		return fmt.Errorf("preparing to write the bundle %s: %w", p.Dir, err)
	}
	return os.Remove(probe)
}

// resolve follows links, also one whose target is not there yet.
func (p Place) resolve() (string, error) {
	dir, err := filepath.Abs(p.Dir)
	if err != nil {
		return "", fmt.Errorf("finding the folder of the bundle: %w", err)
	}
	const mostLinks = 40 // as the kernel
	for range mostLinks {
		if parent, err := filepath.EvalSymlinks(filepath.Dir(dir)); err == nil {
			dir = filepath.Join(parent, filepath.Base(dir)) // before a ".." in the link's target is taken by the letter
		}
		target, err := os.Readlink(dir)
		if err != nil {
			return dir, nil //nolint:nilerr // no link, or nothing
		}
		if !filepath.IsAbs(target) {
			target = filepath.Join(filepath.Dir(dir), target)
		}
		dir = target
	}
	return "", refuse(occupied, p.Dir, remedyElsewhere, "is a symbolic link that leads to itself")
}

// standing is what stands under a name.
type standing struct {
	kind folderKind
	// others are the names in a bundle's folder that are none of its files.
	others []string
	mode   fs.FileMode
}

type folderKind uint8

const (
	nothing folderKind = iota
	emptyFolder
	damagedBundle // its files by name, but they cannot be loaded
	wholeBundle
)

func (s standing) is(k folderKind) bool { return s.kind == k }

const remedyElsewhere = "name another folder for the bundle"

// look tells what stands under a name, and refuses what a bundle must not take the place of.
func look(dir string) (standing, error) {
	info, err := os.Stat(dir)
	if errors.Is(err, fs.ErrNotExist) {
		return standing{}, nil
	}
	if err != nil {
		return standing{}, fmt.Errorf("looking at the folder of the bundle: %w", err)
	}
	if !info.IsDir() {
		return standing{}, refuse(occupied, dir, remedyElsewhere, "is a file")
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return standing{}, fmt.Errorf("looking into the folder of the bundle: %w", err)
	}
	found := standing{kind: emptyFolder, mode: info.Mode().Perm()}
	if len(entries) == 0 {
		return found, nil
	}
	tower := false
	for _, e := range entries {
		if !isOwn(e) {
			found.others = append(found.others, e.Name())
		} else if e.Name() != manifestFile {
			tower = true
		}
	}
	// Its own files alone, without a manifest that says so, are a bundle that was cut off or damaged.
	if !saysBundle(dir) && (!tower || len(found.others) > 0) {
		names := found.others
		if len(names) == 0 {
			names = []string{manifestFile} // of something else: web pages have one
		}
		return standing{}, refuse(occupied, dir, remedyElsewhere, "holds files that are no bundle's: %s", someOf(names))
	}
	found.kind = damagedBundle
	if verifyAll(dir) == nil {
		found.kind = wholeBundle
	}
	return found, nil
}

func isOwn(e fs.DirEntry) bool { return !e.IsDir() && slices.Contains(ownFiles, e.Name()) }

// someOf names the first few.
func someOf(names []string) string {
	const most = 5
	if more := len(names) - most; more > 0 {
		return fmt.Sprintf("%q and %d more", names[:most], more)
	}
	return fmt.Sprintf("%q", names)
}

// saysBundle tells a bundle's manifest, of whatever version, from other files of that name.
func saysBundle(dir string) bool {
	content, err := readFile(filepath.Join(dir, manifestFile), maxManifestBytes)
	if err != nil {
		return false
	}
	var m struct {
		Format string `json:"format"`
	}
	return json.Unmarshal(content, &m) == nil && m.Format == bundleFormat
}

// verifyAll holds every file of a bundle against its checksum.
func verifyAll(dir string) error {
	m, err := LoadManifest(dir)
	if err != nil {
		return err
	}
	for name := range m.Checksums {
		if !slices.Contains(ownFiles, name) {
			return refuse(corrupted, filepath.Join(dir, manifestFile), remedyTrainAgain, "lists %q, which no bundle has", name)
		}
		if _, err := m.readVerified(dir, name); err != nil {
			return err
		}
	}
	return nil
}

// check refuses what must stay, under the bundle's name and under that of the one before.
func (p Place) check(dir string) (standing, error) {
	found, err := look(dir)
	if err != nil || found.is(nothing) || found.is(emptyFolder) {
		return found, err
	}
	if isMountPoint(dir) {
		return found, refuse(occupied, dir, "name a folder within it", "is a mount point, which cannot change places with a new bundle")
	}
	if !p.Replace {
		before, err := look(dir + previousSuffix)
		if err == nil && len(before.others) > 0 {
			err = refuse(occupied, dir+previousSuffix, "move them elsewhere, or keep no earlier bundle (--replace)",
				"holds files that are no bundle's: %s", someOf(before.others))
		}
		if err != nil {
			return found, fmt.Errorf("making room for the bundle before: %w", err)
		}
	}
	return found, nil
}

// write writes a bundle's files.
func (p Place) write(files map[string][]byte) error {
	dir, err := p.resolve()
	if err != nil {
		return err
	}
	parent, base := filepath.Split(dir)
	if err := os.MkdirAll(parent, 0o755); err != nil {
		return fmt.Errorf("making the bundle's parent folder: %w", err)
	}
	// Of two that write here at once, each sees the other's bundle as the one before.
	defer lockFolder(parent)()
	found, err := p.check(dir)
	if err != nil {
		return err
	}
	defer syncFolder(parent)
	if found.is(emptyFolder) { // it may be a mount point, or the folder that somebody's shell is in
		return writeFiles(dir, files)
	}
	fresh, err := os.MkdirTemp(parent, "."+base+".new-")
	if err != nil {
		return fmt.Errorf("making a folder for the new bundle: %w", err)
	}
	if err := writeFiles(fresh, files); err != nil {
		return errors.Join(err, removeBundle(fresh))
	}
	if found.is(nothing) {
		found.mode = 0o755 // other users' processes serve what this one trained
	}
	if err := os.Chmod(fresh, found.mode); err != nil {
		return errors.Join(fmt.Errorf("opening the new bundle to readers: %w", err), removeBundle(fresh))
	}
	if err := p.move(fresh, dir, found); err != nil {
		return fmt.Errorf("moving the new bundle to %s: %w", dir, err)
	}
	return nil
}

// writeFiles writes the files into a folder, the manifest last: without it there is no bundle.
func writeFiles(dir string, files map[string][]byte) error {
	names := make([]string, 0, len(files))
	for name := range files {
		if name != manifestFile {
			names = append(names, name)
		}
	}
	for _, name := range append(names, manifestFile) {
		if err := writeSynced(filepath.Join(dir, name), files[name]); err != nil {
			return fmt.Errorf("writing %s: %w", name, err)
		}
	}
	syncFolder(dir)
	return nil
}

// move gives the folder fresh the name dir, and what stood there its due.
func (p Place) move(fresh, dir string, found standing) error {
	if found.is(nothing) {
		if err := os.Rename(fresh, dir); err != nil {
			return errors.Join(err, removeBundle(fresh))
		}
		return nil
	}
	previous := dir + previousSuffix
	before, err := look(previous)
	if err != nil {
		return errors.Join(err, removeBundle(fresh))
	}
	// A damaged bundle does not push out a whole one.
	if p.Replace || found.is(damagedBundle) && before.is(wholeBundle) {
		old := fresh + ".old"
		if err := swap(fresh, dir, old); err != nil {
			return errors.Join(err, removeBundle(fresh))
		}
		return errors.Join(takeAlong(old, dir, found.others), removeBundle(old))
	}
	older := ""
	if !before.is(nothing) {
		older = fresh + ".older"
		if err := os.Rename(previous, older); err != nil {
			return errors.Join(err, removeBundle(fresh))
		}
	}
	if err := swap(fresh, dir, previous); err != nil {
		if older != "" {
			err = errors.Join(err, os.Rename(older, previous))
		}
		return errors.Join(err, removeBundle(fresh))
	}
	err = takeAlong(previous, dir, found.others)
	if older != "" {
		err = errors.Join(err, removeBundle(older))
	}
	return err
}

// swap gives fresh the name dir, and what has it now the name old, which is free. When it fails, both are as they were.
func swap(fresh, dir, old string) error {
	if err := os.Rename(fresh, old); err != nil {
		return err
	}
	if exchange(old, dir) == nil {
		return nil
	}
	// Not every system can.
	if err := os.Rename(old, fresh); err != nil {
		return err
	}
	if err := os.Rename(dir, old); err != nil {
		return err
	}
	if err := os.Rename(fresh, dir); err != nil {
		return errors.Join(err, os.Rename(old, dir))
	}
	return nil
}

// takeAlong moves what else lay in a bundle's folder over to the new one.
func takeAlong(from, to string, names []string) error {
	var left []string
	var errs []error
	for _, name := range names {
		if err := os.Rename(filepath.Join(from, name), filepath.Join(to, name)); err != nil {
			left, errs = append(left, name), append(errs, err)
		}
	}
	if len(left) == 0 {
		return nil
	}
	return fmt.Errorf("the new bundle is in place, but %s stayed in %s: %w", strings.Join(left, ", "), from, errors.Join(errs...))
}

// removeBundle removes a bundle's own files, and the folder if nothing else is in it.
func removeBundle(dir string) error {
	for _, name := range ownFiles {
		if err := os.Remove(filepath.Join(dir, name)); err != nil && !errors.Is(err, fs.ErrNotExist) {
			return fmt.Errorf("removing an earlier bundle: %w", err)
		}
	}
	if err := os.Remove(dir); err != nil {
		return fmt.Errorf("removing the folder of an earlier bundle: %w", err)
	}
	return nil
}

// syncFolder has the names in a folder survive a power cut, as far as the system offers that.
func syncFolder(dir string) {
	if f, err := os.Open(dir); err == nil {
		_ = f.Sync()
		_ = f.Close()
	}
}
