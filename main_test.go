package main

import (
	"bytes"
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/commands"
)

const module = "github.com/freshet/freshet"

// rooms says what of the project the packages of a folder may import, beside what lies inside their own folders. The longest
// folder that fits a package counts, and a folder stands for all below it.
var rooms = map[string][]string{
	".":               {"pipelines/commands"},
	"schemas":         {},
	"schemas/generic": {"schemas/internal/avro"},
	"services":        {"schemas", "services"},
	"services/filter": {"schemas"},
	// Rules know nothing of the index, nor the index of rules: conditions stand between.
	"services/candidates": {"schemas", "services/calls", "services/filter"},
	"services/rules":      {"schemas", "services/filter", "services/ranking"},
	"producers":           {"schemas"},
	"producers/kafkaio":   {"schemas/secure"},
	"consumers":           {"schemas", "services", "consumers/stream", "consumers/decoding", "producers/kafkaio"},
	"consumers/decoding":  {"schemas", "consumers/stream"},
	"consumers/stream":    {"schemas", "producers/kafkaio", "consumers/stream/partition"},
	// The three rooms below stream: what both ways of reading stand on, the way without a group, and the aid of their tests.
	"consumers/stream/partition":  {"producers/kafkaio"},
	"consumers/stream/replay":     {"producers/kafkaio", "consumers/stream/partition"},
	"consumers/stream/streamtest": {"producers/kafkaio", "infra/embedded"},
	"infra":                       {"infra"},
	"docs":                        {"pipelines/commands"}, // its tests: what the documents show and name is there

	"pipelines/commands": {"schemas", "services", "producers", "consumers", "infra/embedded", "pipelines"},
	"pipelines/settings": {
		"schemas", "services", "producers", "consumers", "pipelines/topics", "pipelines/online/recall", "pipelines/offline/training",
	},
	"pipelines/topics":        {"schemas", "services", "producers", "consumers/stream"},
	"pipelines/online":        {"schemas", "services", "producers", "consumers", "pipelines/online", "pipelines/settings", "pipelines/topics"},
	"pipelines/online/recall": {"schemas", "services", "producers", "consumers/stream", "pipelines/topics"},
	"pipelines/offline":       {"schemas", "services", "producers", "consumers/stream", "pipelines/offline"},
	// It asks the parts that serve, as they are configured.
	"pipelines/offline/evaluation/funnel": {"schemas", "services", "consumers/catalogue", "pipelines/offline", "pipelines/settings"},
	"pipelines/offline/columnar":          {},
	"pipelines/proof": {
		"schemas", "services", "producers", "consumers", "infra/embedded", "pipelines/online", "pipelines/offline", "pipelines/proof",
		"pipelines/settings", "pipelines/topics",
	},
}

// aids are what tests may import beyond their room.
var aids = []string{"consumers/stream/streamtest", "infra/embedded", "infra/grafana", "infra/local", "services/towers/towertest"}

// owners says which folders alone may import a library or a package, tests apart: a server's client has one room that knows
// its ways.
var owners = map[string][]string{
	"github.com/segmentio/kafka-go":       {"producers", "consumers/stream", "pipelines/topics", "pipelines/proof/bench"},
	"github.com/redis/go-redis":           {"services/redisdb", "services/profiles", "services/items", "pipelines/proof/bench", "infra/embedded"},
	"github.com/milvus-io/milvus-sdk-go":  {"services/candidates", "pipelines/proof/bench"},
	"github.com/milvus-io/milvus-proto":   {"services/candidates", "infra/embedded", "infra/local"},
	"github.com/twmb/franz-go/pkg/kgo":    {"producers/kafkaio", "consumers/stream/streamtest", "infra/embedded", "infra/local"},
	"github.com/twmb/franz-go/pkg/sr":     {"schemas", "infra/embedded"},
	"github.com/twmb/franz-go/pkg/kfake":  {"infra/embedded"},
	"github.com/alicebob/miniredis":       {"infra/embedded"},
	"github.com/expr-lang/expr":           {"services/rules"},
	"github.com/yalue/onnxruntime_go":     {"services/towers/onnxruntime"},
	"github.com/alecthomas/kong":          {"pipelines/commands"},
	"github.com/linkedin/goavro":          {"schemas/generic", "pipelines/offline/dataset/tables"},
	"github.com/stretchr/testify":         {},
	module + "/services/towers/towertest": {},
	module + "/pipelines/commands":        {"."},
}

// entries are what the repository's root holds beside dot-files and what git ignores.
var entries = []string{
	"CHANGELOG.md", "CONTRIBUTING.md", "DESIGN.md", "LICENSE", "README.md", "SECURITY.md", "Taskfile.yml", "freshet.example.yaml",
	"consumers", "docs", "findings", "infra", "pipelines", "producers", "schemas", "services", "go.mod", "go.sum", "main.go", "main_test.go",
}

// mostLines is where a file has more than one reason to exist.
const mostLines = 700

// source is a Go file of the project.
type source struct {
	path, folder string
	test         bool
	lines        int
	*ast.File
}

// sources parses the imports and the package comment of every Go file; other modules below the root are left out.
func sources(t *testing.T) []source {
	t.Helper()
	var all []source
	require.NoError(t, filepath.WalkDir(".", func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			_, noModule := os.Stat(filepath.Join(at, "go.mod"))
			if at != "." && (noModule == nil || entry.Name() == "testdata" || strings.HasPrefix(entry.Name(), ".")) {
				return fs.SkipDir
			}
			return nil
		}
		if filepath.Ext(at) != ".go" {
			return nil
		}
		text, err := os.ReadFile(at)
		if err != nil {
			return err
		}
		file, err := parser.ParseFile(token.NewFileSet(), at, text, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		at = filepath.ToSlash(at)
		all = append(all, source{at, path.Dir(at), strings.HasSuffix(at, "_test.go"), bytes.Count(text, []byte("\n")), file})
		return nil
	}))
	require.Greater(t, len(all), 200, "the walk finds the project")
	return all
}

// within says whether a folder or an import path is root or lies below it.
func within(inner, root string) bool { return inner == root || strings.HasPrefix(inner, root+"/") }

func withinAny(inner string, roots []string) bool {
	return slices.ContainsFunc(roots, func(root string) bool { return within(inner, root) })
}

func roomOf(folder string) (room string) {
	for candidate := range rooms {
		if within(folder, candidate) && len(candidate) > len(room) {
			room = candidate
		}
	}
	return room
}

func TestImportsGoOneWay(t *testing.T) {
	for _, f := range sources(t) {
		room := roomOf(f.folder)
		require.NotEmpty(t, room, "%s lies in no room", f.path)
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			inner, ours := strings.CutPrefix(imported, module+"/")
			switch {
			case !ours, within(inner, f.folder), withinAny(inner, rooms[room]):
			case f.test && withinAny(inner, aids):
			case f.test && within(room, "pipelines") && within(inner, "pipelines"): // a wing's tests go the way through the others
			case f.test && within(room, "services/rules") && within(inner, "services/candidates"): // to the index and back
			default:
				t.Errorf("%s imports %s: %s may import only %q", f.path, inner, room, rooms[room])
			}
		}
	}
}

func TestLibrariesHaveTheirRooms(t *testing.T) {
	used := map[string]bool{}
	for _, f := range sources(t) {
		for _, spec := range f.Imports {
			imported, err := strconv.Unquote(spec.Path.Value)
			require.NoError(t, err)
			for library, folders := range owners {
				if !within(imported, library) {
					continue
				}
				used[library] = true
				if !f.test && !withinAny(f.folder, folders) {
					t.Errorf("%s imports %s, which belongs to %q and to tests", f.path, imported, folders)
				}
			}
		}
	}
	for library := range owners {
		require.True(t, used[library], "%s is imported nowhere: take it from the list", library)
	}
}

func TestEveryPackageSaysWhatItIsFor(t *testing.T) {
	comments, programs := map[string]string{}, map[string]bool{}
	for _, f := range sources(t) {
		if f.test {
			continue
		}
		if _, known := comments[f.folder]; !known {
			comments[f.folder] = ""
		}
		programs[f.folder] = f.Name.Name == "main"
		if f.Doc == nil {
			continue
		}
		if programs[f.folder] || path.Base(f.path) == "doc.go" {
			comments[f.folder] += f.Doc.Text()
		} else {
			t.Errorf("%s has a package comment: it belongs into doc.go", f.path)
		}
	}
	for folder, comment := range comments {
		if comment == "" {
			t.Errorf("%s has no package comment: write it in doc.go", folder)
		} else if !programs[folder] {
			require.Contains(t, comment, "import", "%s/doc.go tells what the package may import", folder)
		}
	}
}

// raw are the files of pipelines that format what is no text for people: pictures, files and checksums.
var raw = []string{"pipelines/offline/tuning/svg.go", "pipelines/offline/tuning/report.go", "pipelines/offline/training/fingerprint.go"}

// TestWhatOthersWroteIsRenderedBeforeItIsPrinted: whatever pipelines and the tree of traces print goes through services/terminal, which
// lets no character through that a terminal obeys.
func TestWhatOthersWroteIsRenderedBeforeItIsPrinted(t *testing.T) {
	printers := map[string]bool{}
	for _, s := range sources(t) {
		if s.test || slices.Contains(raw, s.path) || !within(s.folder, "pipelines") && s.folder != "services/telemetry/collector" {
			continue
		}
		whole, err := parser.ParseFile(token.NewFileSet(), s.path, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(whole, func(n ast.Node) bool {
			called, ok := n.(*ast.SelectorExpr)
			if !ok {
				return true
			}
			of, _ := called.X.(*ast.Ident)
			if of == nil {
				return true
			}
			name := of.Name + "." + called.Sel.Name
			switch {
			case strings.HasPrefix(name, "fmt.Fprint"), strings.HasPrefix(name, "fmt.Print"), name == "table.NewWriter":
				t.Errorf("%s: %s prints as it is: take services/terminal", s.path, name)
			case name == "json.NewEncoder" && s.folder == "pipelines/commands":
				t.Errorf("%s: %s: take terminal.FprintJSON", s.path, name)
			case strings.HasPrefix(name, "terminal."):
				printers[s.folder] = true
			}
			return true
		})
	}
	require.True(t, printers["pipelines/commands"] && printers["pipelines/proof/demo"] && printers["pipelines/offline/evaluation"], "%v", printers)
}

func TestFilesStayShort(t *testing.T) {
	for _, f := range sources(t) {
		if f.lines > mostLines {
			t.Errorf("%s has %d lines, more than %d: part it", f.path, f.lines, mostLines)
		}
	}
}

func TestTheRootHoldsOnlyWhatItShould(t *testing.T) {
	ignore, err := os.ReadFile(".gitignore")
	require.NoError(t, err)
	found, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, entry := range found {
		if strings.HasPrefix(entry.Name(), ".") || slices.Contains(entries, entry.Name()) {
			continue
		}
		ignored := false
		for pattern := range strings.FieldsSeq(string(ignore)) {
			matches, err := path.Match(strings.Trim(pattern, "/"), entry.Name())
			require.NoError(t, err)
			ignored = ignored || matches
		}
		if !ignored {
			t.Errorf("%s does not belong in the root", entry.Name())
		}
	}
}

var update = flag.Bool("update", false, "write the golden file of the help texts anew")

// helpFile lies beside the commands whose flags it shows.
const helpFile = "pipelines/commands/testdata/help.txt"

// each calls visit for every command and group of commands, with its words on the command line.
func each(t *testing.T, visit func(words []string, node *kong.Node)) {
	t.Helper()
	parser, err := kong.New(&commands.Table{}, commands.Variables())
	require.NoError(t, err)
	var walk func(words []string, node *kong.Node)
	walk = func(words []string, node *kong.Node) {
		visit(words, node)
		for _, child := range node.Children {
			walk(append(slices.Clone(words), child.Name), child)
		}
	}
	walk(nil, parser.Model.Node)
}

func TestHelp(t *testing.T) {
	t.Setenv("COLUMNS", "120")
	var all bytes.Buffer
	each(t, func(words []string, _ *kong.Node) {
		var out, errs bytes.Buffer
		var fresh commands.Table
		code := commands.Execute(t.Context(), &fresh, &fresh.Global, append(words, "--help"), commands.Streams{Out: &out, Err: &errs})
		require.Zero(t, code, "%v: %s", words, &errs)
		require.Empty(t, errs.String())
		fmt.Fprintf(&all, "$ %s --help\n%s\n", strings.Join(append([]string{"freshet"}, words...), " "), &out)
	})
	if *update {
		require.NoError(t, os.MkdirAll(filepath.Dir(helpFile), 0o750))
		require.NoError(t, os.WriteFile(helpFile, all.Bytes(), 0o600))
	}
	want, err := os.ReadFile(helpFile)
	require.NoError(t, err)
	require.Equal(t, string(want), all.String(), "run go test . -update")
}

// sentence is a help text that says something.
var sentence = regexp.MustCompile(`^\p{Lu}.{12,}[.;:]`)

func TestEveryCommandAndFlagIsExplained(t *testing.T) {
	each(t, func(words []string, node *kong.Node) {
		name := strings.Join(words, " ")
		if len(words) > 0 {
			require.Regexp(t, sentence, node.Help, "freshet %s", name)
		}
		for _, f := range node.Flags {
			if f.Name != "help" { // which is kong's
				require.Regexp(t, sentence, f.Help, "freshet %s --%s", name, f.Name)
			}
		}
		for _, argument := range node.Positional {
			require.Regexp(t, sentence, argument.Help, "freshet %s %s", name, argument.Name)
		}
	})
}

// TestTheMapHasEveryFolder: each folder with packages stands in DESIGN's map by its name, or below one that does.
func TestTheMapHasEveryFolder(t *testing.T) {
	text, err := os.ReadFile("DESIGN.md")
	require.NoError(t, err)
	_, chart, found := strings.Cut(string(text), "## The rooms\n")
	require.True(t, found)
	chart, _, found = strings.Cut(chart, "## ")
	require.True(t, found)
	for _, f := range sources(t) {
		if f.folder == "." {
			continue
		}
		for name := range strings.SplitSeq(f.folder, "/") {
			require.Contains(t, chart, name+"/", "%s: draw %s into the map of DESIGN.md", f.folder, name)
		}
	}
}
