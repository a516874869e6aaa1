package tables

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"

	"github.com/freshet/freshet/pipelines/offline/dataset/tablefile"
)

// Mapping says which files of a folder hold what, and how. It is what a mapping file has, and what stands behind the name of a format.
type Mapping struct {
	// About says in a line what data this is, for people.
	About string `yaml:"about"`
	// Marks are files by which a folder is known to be of this format, all of them; none is known by its files if there are none.
	Marks []string `yaml:"marks"`
	// Interactions and Items are tables that are read one after the other.
	Interactions []Source `yaml:"interactions"`
	Items        []Source `yaml:"items"`
}

// Source is one table in a file or more.
type Source struct {
	// Files are patterns of paths below the folder; Except are those that they name too many.
	Files  []string `yaml:"files"`
	Except []string `yaml:"except"`
	// Optional files need not be there.
	Optional bool `yaml:"optional"`
	// Header names the columns where no line does. Separator parts cells; quotes is doubled, escaped or none. Both are found out
	// where they are not said.
	Header    []string `yaml:"header"`
	Separator string   `yaml:"separator"`
	Quotes    string   `yaml:"quotes"`
	// Explode is the key of a list of objects in JSON lines, each of which is a row: its columns are called EXPLODE.KEY.
	Explode string `yaml:"explode"`
	// Parts takes a column apart, by what stands between its parts, and each part by a pattern whose groups are columns: a row for each.
	Parts *Parts `yaml:"parts"`
	// Columns are fields by the name of their column, or the names of several, for lists. An empty name leaves the field out.
	Columns map[string]Names `yaml:"columns"`
	// Set gives fields a value that no column has; Values says what a field's values mean: value to meaning.
	Set    map[string]string            `yaml:"set"`
	Values map[string]map[string]string `yaml:"values"`
	// Times and Lists say how moments and lists are written, by field; see parseClock and listForm. Zone is where clocks stood that say
	// none; UTC by default.
	Times map[string]string `yaml:"times"`
	Lists map[string]string `yaml:"lists"`
	Zone  string            `yaml:"zone"`
	// Nulls are words that mean that there is no value.
	Nulls []string `yaml:"nulls"`
	// Newest: of rows about one item the newest by occurred_at is taken; without it an item has one row.
	Newest bool `yaml:"newest"`
	// Pivot says that a row holds one property of an item.
	Pivot *Pivot `yaml:"pivot"`
}

// Parts is how a column is taken apart.
type Parts struct {
	Column    string `yaml:"column"`
	Separator string `yaml:"separator"`
	Pattern   string `yaml:"pattern"`
}

// Pivot names the columns of a table of properties: one row has an item's property, its value, and perhaps since when; the newest
// holds. The properties of Keep are columns, called as they are, beside the key and the time.
type Pivot struct {
	Key   string   `yaml:"key"`
	Name  string   `yaml:"name"`
	Value string   `yaml:"value"`
	Since string   `yaml:"since"`
	Keep  []string `yaml:"keep"`
}

// Names are one name or several.
type Names []string

// UnmarshalYAML takes a text or a list.
func (n *Names) UnmarshalYAML(node *yaml.Node) error {
	if node.Kind == yaml.ScalarNode {
		*n = Names{node.Value}
		return nil
	}
	return node.Decode((*[]string)(n))
}

// MarshalYAML is the inverse of UnmarshalYAML.
func (n Names) MarshalYAML() (any, error) {
	if len(n) == 1 {
		return n[0], nil
	}
	return []string(n), nil
}

//go:embed formats/*.yaml
var formatFiles embed.FS

// Formats are the names of the mappings that Freshet has.
func Formats() []string {
	entries, err := formatFiles.ReadDir("formats")
	if err != nil {
		panic(err) // it is built in
	}
	names := make([]string, len(entries))
	for i, e := range entries {
		names[i] = strings.TrimSuffix(e.Name(), ".yaml")
	}
	return names
}

// FormatText is the mapping file that stands behind the name of a format.
func FormatText(name string) ([]byte, error) {
	if !slices.Contains(Formats(), name) {
		return nil, fmt.Errorf("format is %q: choose one of %s", name, strings.Join(Formats(), ", "))
	}
	return formatFiles.ReadFile("formats/" + name + ".yaml")
}

// NamedMapping gives the mapping of a format.
func NamedMapping(name string) (Mapping, error) {
	text, err := FormatText(name)
	if err != nil {
		return Mapping{}, err
	}
	return parseMapping(text)
}

// DetectFormat tells the format of a folder by files that no other has.
func DetectFormat(dir string) (name string, known bool) {
	for _, name := range Formats() {
		m, err := NamedMapping(name)
		if err != nil || len(m.Marks) == 0 {
			continue
		}
		missing := slices.ContainsFunc(m.Marks, func(mark string) bool {
			found, err := fs.Glob(os.DirFS(dir), mark)
			return err != nil || len(found) == 0
		})
		if !missing {
			return name, true
		}
	}
	return "", false
}

// ReadMapping reads a mapping file.
func ReadMapping(path string) (Mapping, error) {
	text, err := os.ReadFile(path)
	if err != nil {
		return Mapping{}, fmt.Errorf("reading the mapping: %w", err)
	}
	m, err := parseMapping(text)
	if err != nil {
		return m, fmt.Errorf("reading the mapping %s: %w", path, err)
	}
	return m, nil
}

func parseMapping(text []byte) (m Mapping, err error) {
	d := yaml.NewDecoder(bytes.NewReader(text))
	d.KnownFields(true)
	if err := d.Decode(&m); err != nil && !errors.Is(err, io.EOF) {
		return m, err
	}
	if len(m.Interactions) == 0 {
		return m, errors.New("interactions: name a source of them")
	}
	for i := range m.Interactions {
		if err := m.Interactions[i].check(interactionsFile); err != nil {
			return m, fmt.Errorf("interactions[%d]: %w", i, err)
		}
	}
	for i := range m.Items {
		if err := m.Items[i].check(itemsFile); err != nil {
			return m, fmt.Errorf("items[%d]: %w", i, err)
		}
	}
	return m, nil
}

// check says what of a source makes no sense.
func (s *Source) check(table string) error {
	if len(s.Files) == 0 {
		return errors.New("files: name them")
	}
	if err := s.checkFields(table); err != nil {
		return err
	}
	for _, field := range keysOf(s.Values) {
		for _, value := range keysOf(s.Values[field]) {
			if err := checkMeaning(field, s.Values[field][value]); err != nil {
				return fmt.Errorf("values: %s: %s: %w", field, value, err)
			}
		}
	}
	for _, field := range keysOf(s.Set) {
		if err := checkMeaning(field, s.Set[field]); err != nil {
			return fmt.Errorf("set: %s: %w", field, err)
		}
	}
	for field, text := range s.Times {
		if _, err := parseClock(text); err != nil {
			return fmt.Errorf("times: %s: %w", field, err)
		}
	}
	if _, err := s.location(); err != nil {
		return err
	}
	if _, err := s.how(); err != nil {
		return err
	}
	if p := s.Parts; p != nil {
		if _, err := p.compile(); err != nil {
			return err
		}
	}
	if (s.Newest || s.Pivot != nil) && table != itemsFile {
		return errors.New("newest and pivot are for items")
	}
	return nil
}

// checkFields holds that what is said of fields can be said of them.
func (s *Source) checkFields(table string) error {
	fields := fieldsOf(table)
	for part, keys := range map[string][]string{
		"columns": keysOf(s.Columns), "set": keysOf(s.Set), "values": keysOf(s.Values), "times": keysOf(s.Times), "lists": keysOf(s.Lists),
	} {
		for _, field := range keys {
			kind, known := fields[field]
			switch {
			case !known:
				return fmt.Errorf("%s: %q is no field of the %s: choose from %s", part, field, table, strings.Join(namesIn(table), ", "))
			case part == "times" && kind != aTime:
				return fmt.Errorf("times: %s is no time", field)
			case part == "lists" && kind != aList:
				return fmt.Errorf("lists: %s is no list", field)
			case part == "columns" && len(s.Columns[field]) > 1 && kind != aList:
				return fmt.Errorf("columns: %s has several columns, and is no list", field)
			}
		}
	}
	return nil
}

func (s *Source) location() (*time.Location, error) {
	if s.Zone == "" {
		return nil, nil //nolint:nilnil // none is told, which is UTC
	}
	zone, err := time.LoadLocation(s.Zone)
	if err != nil {
		return nil, fmt.Errorf("zone is %q: give UTC, or a name such as Europe/Berlin: %w", s.Zone, err)
	}
	return zone, nil
}

// how is what the files' reader must know.
func (s *Source) how() (how tablefile.How, err error) {
	how.Header, how.Explode = s.Header, s.Explode
	for _, field := range keysOf(s.Columns) {
		for _, column := range s.Columns[field] {
			if strings.Contains(column, ".") {
				how.Paths = append(how.Paths, column)
			}
		}
	}
	if s.Separator != "" {
		r, n := utf8.DecodeRuneInString(s.Separator)
		if n != len(s.Separator) || r == '"' || r == '\n' || r == '\r' {
			return how, fmt.Errorf("separator is %q: give one character", s.Separator)
		}
		how.Separator = r
	}
	switch s.Quotes {
	case "":
	case "doubled":
		how.Quotes = tablefile.Doubled
	case "escaped":
		how.Quotes = tablefile.Escaped
	case "none":
		how.Quotes = tablefile.Literal
	default:
		return how, fmt.Errorf("quotes is %q: give doubled, escaped or none", s.Quotes)
	}
	return how, nil
}

func keysOf[V any](m map[string]V) []string { return slices.Sorted(maps.Keys(m)) }
