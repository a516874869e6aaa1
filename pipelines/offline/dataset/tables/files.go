package tables

import (
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// part is one file of a table.
type part struct {
	path string
	// name is what people call it: the path below the folder.
	name string
	// partitions are columns whose value stands in the path, as Hive lays tables out: day=2026-01-31. A value that is null is absent.
	partitions map[string]string
	columns    []string // their names, in the order of the path
}

// The extensions that tables of the usual names may have, compressed or not.
var (
	tableForms = []string{".csv", ".tsv", ".txt", ".parquet", ".pq", ".jsonl", ".ndjson", ".json", ".avro"}
	packings   = []string{"", ".gz", ".zst", ".bz2"}
)

// usual tells whether a file is called as a table of that stem: interactions.csv.gz, a folder interactions or interactions.parquet.
// numbered says that it is one of several: interactions-0001.csv.
func usual(name, stem string) (is, numbered bool) {
	rest, found := strings.CutPrefix(name, stem)
	if !found {
		return false, false
	}
	for _, packing := range packings {
		bare, packed := strings.CutSuffix(rest, packing)
		if !packed {
			continue
		}
		if bare == "" && packing == "" {
			return true, false
		}
		for _, form := range tableForms {
			if middle, ok := strings.CutSuffix(bare, form); ok {
				return middle == "" || isNumber.MatchString(middle), middle != ""
			}
		}
	}
	return false, false
}

// isNumber tells what several files of one table have behind its name: a number, a date, or part-0001.
var isNumber = regexp.MustCompile(`^[-_.](part[-_.]?)?[0-9][-_.0-9A-Za-z]*$`)

// usualFiles finds the table of a stem: a file, a folder of parts, or numbered files. None is no error.
func usualFiles(dir, stem string) ([]string, error) {
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, err
	}
	var whole, numbered []string
	for _, e := range entries {
		is, one := usual(e.Name(), stem)
		if is && one && !e.IsDir() {
			numbered = append(numbered, e.Name())
		} else if is {
			whole = append(whole, e.Name())
		}
	}
	if len(whole) == 0 {
		return numbered, nil
	}
	if more := slices.Concat(whole[1:], numbered); len(more) > 0 {
		return nil, fmt.Errorf("%s has %s and %s: take one away", dir, whole[0], more[0])
	}
	return whole, nil
}

// partsOf finds the files that patterns name, those of folders by their paths. Names that begin with _ or . are never data.
func partsOf(dir string, patterns, except []string) ([]part, error) {
	var parts []part
	seen := map[string]bool{}
	for _, pattern := range patterns {
		if strings.Contains(pattern, "**") {
			return nil, fmt.Errorf("the pattern %q has **, which is not known: name the folder, whose files are all read", pattern)
		}
		if !filepath.IsLocal(pattern) && pattern != "." {
			return nil, fmt.Errorf("the pattern %q leaves the folder: name files below it", pattern)
		}
		found, err := fs.Glob(os.DirFS(dir), path.Clean(filepath.ToSlash(pattern)))
		if err != nil {
			return nil, fmt.Errorf("the pattern %q: %w", pattern, err)
		}
		for _, name := range found {
			if seen[name] || matchesAny(except, name) || name != "." && hidden(path.Base(name)) {
				continue
			}
			seen[name] = true
			more, err := walk(dir, name)
			if err != nil {
				return nil, err
			}
			parts = append(parts, more...)
		}
	}
	return parts, nil
}

func matchesAny(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(pattern string) bool {
		matches, _ := path.Match(pattern, name)
		return matches
	})
}

func hidden(name string) bool { return strings.HasPrefix(name, "_") || strings.HasPrefix(name, ".") }

// mostParts bounds how many files one table has.
const mostParts = 100_000

// walk gives a file, or all files of a folder in the order of their paths.
func walk(dir, name string) (parts []part, err error) {
	root := filepath.Join(dir, filepath.FromSlash(name))
	info, err := os.Stat(root)
	if err != nil {
		return nil, err
	}
	if !info.IsDir() {
		return []part{{path: root, name: name}}, notInLake(filepath.Dir(root))
	}
	if err := notInLake(root); err != nil {
		return nil, err
	}
	err = filepath.WalkDir(root, func(at string, e fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if at != root && hidden(e.Name()) {
			if e.IsDir() {
				return fs.SkipDir
			}
			return nil
		}
		if e.IsDir() {
			if at != root {
				return lakeAt(at)
			}
			return nil
		}
		below, err := filepath.Rel(root, at)
		if err != nil {
			return err
		}
		p := part{path: at, name: path.Join(name, filepath.ToSlash(below)), partitions: map[string]string{}}
		for segment := range strings.SplitSeq(filepath.ToSlash(filepath.Dir(below)), "/") {
			key, value, is := strings.Cut(segment, "=")
			if !is {
				continue
			}
			if plain, err := url.PathUnescape(value); err == nil {
				value = plain
			}
			p.columns = append(p.columns, key)
			if value != "__HIVE_DEFAULT_PARTITION__" && value != "" {
				p.partitions[key] = value
			}
		}
		if parts = append(parts, p); len(parts) > mostParts {
			return fmt.Errorf("%s has more than %d files: part it, or write fewer", name, mostParts)
		}
		return nil
	})
	return parts, err
}

// lakes are the tables whose files are not all data: what was deleted, replaced or compacted lies beside what is.
var lakes = []struct {
	name, mark, export string
	// above: its files lie in folders below the mark, too deep for it to be seen beside them.
	above bool
}{
	{
		"Delta table", "_delta_log",
		"DuckDB: INSTALL delta; LOAD delta; COPY (SELECT * FROM delta_scan('%s')) TO 'interactions.parquet'; " +
			"Spark: spark.read.format('delta').load('%[1]s').write.parquet(...)", true,
	},
	{
		"Iceberg table", "metadata/*.metadata.json",
		"DuckDB: INSTALL iceberg; LOAD iceberg; COPY (SELECT * FROM iceberg_scan('%s')) TO 'interactions.parquet'; " +
			"Spark: spark.read.format('iceberg').load('%[1]s').write.parquet(...)", true,
	},
	{"Hudi table", ".hoodie", "Spark: spark.read.format('hudi').load('%s').write.parquet(...)", true},
	{"Paimon table", "snapshot/snapshot-*", "Spark: spark.read.format('paimon').load('%s').write.parquet(...)", false},
	{
		"Lance data set", "_versions",
		"Python: import lance, pyarrow.parquet; pyarrow.parquet.write_table(lance.dataset('%s').to_table(), ...)", false,
	},
}

// lakeAt refuses a folder that is a table of a lake.
func lakeAt(dir string) error { return lakeAbove(dir, false) }

// lakeAbove looks only for tables whose files may lie deeper, with above.
func lakeAbove(dir string, above bool) error {
	for _, lake := range lakes {
		if above && !lake.above {
			continue
		}
		if found, err := filepath.Glob(filepath.Join(escapeGlob(dir), filepath.FromSlash(lake.mark))); err == nil && len(found) > 0 {
			return fmt.Errorf("%s is a %s (it has %s): its files also hold rows that were deleted or replaced since; "+
				"export what it holds now, by "+lake.export, filepath.Base(dir), lake.name, lake.mark, filepath.Base(dir))
		}
	}
	return nil
}

func escapeGlob(dir string) string {
	return strings.NewReplacer(`\`, `\\`, "*", `\*`, "?", `\?`, "[", `\[`).Replace(dir)
}

// mostUp is how many folders above a file are looked at: partitions lie some folders below their table.
const mostUp = 8

// notInLake refuses a folder that is a table of a lake, or lies in one.
func notInLake(dir string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	if target, err := filepath.EvalSymlinks(dir); err == nil {
		dir = target
	}
	if err := lakeAt(dir); err != nil {
		return err
	}
	for range mostUp {
		dir = filepath.Dir(dir)
		if err := lakeAbove(dir, true); err != nil {
			return err
		}
	}
	return nil
}
