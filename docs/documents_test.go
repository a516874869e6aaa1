package docs

import (
	"bytes"
	"errors"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/alecthomas/kong"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/freshet/freshet/pipelines/commands"
)

// documents are the project's pages, by their paths.
func documents(t *testing.T) (all []string) {
	t.Helper()
	for _, pattern := range []string{"*.md", "docs/*.md", "docs/*/*.md", "findings/*.md", "infra/*/*.md"} {
		found, err := filepath.Glob(pattern)
		require.NoError(t, err)
		all = append(all, found...)
	}
	require.Greater(t, len(all), 20, "the patterns find documents")
	return all
}

// block is a fenced part of a document.
type block struct {
	document, language, text string
}

var fence = regexp.MustCompile("(?ms)^```([a-z]*)\n(.*?)^```$")

func blocks(t *testing.T) (all []block) {
	t.Helper()
	for _, d := range documents(t) {
		for _, found := range fence.FindAllStringSubmatch(readDocument(t, d), -1) {
			all = append(all, block{d, found[1], found[2]})
		}
	}
	return all
}

// languages says of each language of fenced blocks who holds what is shown in it.
var languages = map[string]string{
	"sh":         "TestCommandsOfTheDocuments and TestCommandsThatAreShownRun",
	"go":         "TestGoOfTheDocumentsCompiles",
	"yaml":       "TestYAMLOfTheDocuments",
	"text":       "what is drawn, and the demo's output: TestTheDemoPrintsWhatIsShown",
	"python":     "infra/interop runs it: the towers of docs/onnx.md, the client of docs/clients.md; Milvus's grants are those of permissions.yaml",
	"java":       "infra/interop/java has it",
	"properties": "infra/interop/java has it",
	"redis":      "infra/permissions/permissions.yaml has the words",
}

func TestEveryBlockSaysWhatItIsWrittenIn(t *testing.T) {
	seen := map[string]bool{}
	for _, b := range blocks(t) {
		if languages[b.language] == "" {
			t.Errorf("%s: a block is of language %q: put one behind its fence that is in languages\n%s", b.document, b.language, b.text)
		}
		seen[b.language] = true
	}
	for language := range languages {
		require.True(t, seen[language], "no block is of language %s: take it from the list", language)
	}
	for _, d := range documents(t) {
		require.Equal(t, 2*len(fence.FindAllString(readDocument(t, d), -1)), strings.Count(readDocument(t, d), "```"), "%s: fences come in pairs", d)
	}
}

// shellLines parts a script into its commands, each a list of words with assignments in front. It knows the shell that documents
// need: quotes, $( ), comments, lines that go on, && and pipes; no more.
func shellLines(script string) (all [][]string) {
	var words []string
	var word strings.Builder
	inWord, quote, depth := false, rune(0), 0
	endWord := func() {
		if inWord {
			words = append(words, word.String())
		}
		word.Reset()
		inWord = false
	}
	end := func() {
		endWord()
		if len(words) > 0 {
			all = append(all, words)
		}
		words = nil
	}
	runes := []rune(strings.ReplaceAll(script, "\\\n", " "))
	for i := 0; i < len(runes); i++ {
		r := runes[i]
		switch {
		case quote != 0 && r == quote:
			quote = 0
		case quote != 0:
			word.WriteRune(r)
		case r == '(':
			depth++
			word.WriteRune(r)
		case r == ')':
			depth--
			word.WriteRune(r)
		case depth > 0:
			word.WriteRune(r)
		case r == '"' || r == '\'':
			quote, inWord = r, true
		case r == '#' && !inWord:
			for i+1 < len(runes) && runes[i+1] != '\n' {
				i++
			}
		case r == '\n' || r == '&' || r == '|' || r == ';':
			end()
		case r == ' ':
			endWord()
		default:
			word.WriteRune(r)
			inWord = true
		}
	}
	end()
	return all
}

func TestShellLines(t *testing.T) {
	for script, want := range map[string][][]string{
		"a b # c\n\nd":                     {{"a", "b"}, {"d"}},
		"a \\\n  b && c | d &\n":           {{"a", "b"}, {"c"}, {"d"}},
		`a "b c" --d='e;f' g#h ""`:         {{"a", "b c", "--d=e;f", "g#h", ""}},
		"export A=$(bash x/y z)  # run it": {{"export", "A=$(bash x/y z)"}},
		"# nothing":                        nil,
	} {
		require.Equal(t, want, shellLines(script), script)
	}
}

// program is this program's command line as kong parses it, without a look at the files that arguments name.
func program(t *testing.T) *kong.Kong {
	t.Helper()
	text := kong.MapperFunc(func(c *kong.DecodeContext, target reflect.Value) error {
		var s string
		if err := c.Scan.PopValueInto("file", &s); err != nil {
			return err
		}
		if target.Kind() == reflect.Slice {
			target.Set(reflect.Append(target, reflect.ValueOf(s)))
			return nil
		}
		target.SetString(s)
		return nil
	})
	p, err := kong.New(&commands.Table{}, commands.Variables(), kong.Name("freshet"), kong.Exit(func(int) {}),
		kong.NamedMapper("existingdir", text), kong.NamedMapper("existingfile", text), kong.NamedMapper("path", text))
	require.NoError(t, err)
	return p
}

// spoken tells what is wrong with words that a text says of this program, such as `topics describe` or `run --embedded`: what is
// left out is no error there, but every command and flag must exist.
func spoken(node *kong.Node, words []string) error {
	for _, w := range words {
		name, _, _ := strings.Cut(strings.TrimLeft(w, "-"), "=")
		switch child := slices.IndexFunc(node.Children, func(c *kong.Node) bool { return c.Name == w }); {
		case strings.HasPrefix(w, "-"):
			if !hasFlag(node, name) {
				return fmt.Errorf("%s has no flag %s", node.FullPath(), w)
			}
		case child >= 0:
			node = node.Children[child]
		case len(node.Children) > 0 && w != "COMMAND":
			return fmt.Errorf("%s has no command %s", node.FullPath(), w)
		}
	}
	return nil
}

func hasFlag(node *kong.Node, name string) bool {
	for _, group := range node.AllFlags(false) {
		if slices.ContainsFunc(group, func(f *kong.Flag) bool { return f.Name == name || f.Short != 0 && string(f.Short) == name }) {
			return true
		}
	}
	return false
}

// shown tells what is wrong with a command line of a document; whole are lines that must be complete.
func shown(t *testing.T, words []string, whole bool) error {
	t.Helper()
	for len(words) > 0 && assignment.MatchString(words[0]) {
		if err := variable(t, words[0]); err != nil {
			return err
		}
		words = words[1:]
	}
	if len(words) == 0 || len(words) == 1 && !whole { // the name of a tool
		return nil
	}
	rest := words[1:]
	switch words[0] {
	case "freshet":
		return ours(t, rest, whole)
	case "export":
		for _, a := range rest {
			if err := variable(t, a); err != nil {
				return err
			}
		}
		return nil
	case "eval":
		return nil
	case "go":
		return golang(t, rest, whole)
	case "task":
		return tasks(t, rest)
	case "bash", "python":
		return exists(rest[0])
	case "pip":
		return exists(rest[len(rest)-1])
	case "docker":
		return compose(t, rest)
	case "kafka-acls.sh", "trec_eval": // programs of others, which tests here know by name only
		return nil
	}
	return fmt.Errorf("nobody here knows the command %s", words[0])
}

func ours(t *testing.T, words []string, whole bool) error {
	t.Helper()
	p := program(t)
	if len(words) == 0 || slices.Contains(words, "--help") || !whole {
		return spoken(p.Model.Node, words)
	}
	_, err := p.Parse(words)
	return err
}

// golang checks the go command as documents use it.
func golang(t *testing.T, words []string, whole bool) error {
	t.Helper()
	if slices.Equal(words, []string{"run", "."}) || len(words) > 2 && words[0] == "run" && words[1] == "." {
		return ours(t, words[2:], whole)
	}
	verb, words := words[0], words[1:]
	switch verb {
	case "run":
		source, err := os.ReadFile(filepath.Join(words[0], "main.go"))
		if err != nil {
			return err
		}
		for _, w := range words[1:] {
			if !bytes.Contains(source, []byte(strconv.Quote(w))) && !bytes.Contains(source, []byte(strconv.Quote(strings.TrimLeft(w, "-")))) {
				return fmt.Errorf("%s/main.go does not know %s", words[0], w)
			}
		}
		return nil
	case "tool":
		file, found := strings.CutPrefix(words[0], "-modfile=")
		if !found {
			return fmt.Errorf("go tool without -modfile")
		}
		pins, err := os.ReadFile(file)
		if err == nil && !bytes.Contains(pins, []byte("/cmd/"+words[1]+"\n")) {
			err = fmt.Errorf("%s pins no tool %s", file, words[1])
		}
		return err
	case "test", "vet", "build", "generate":
		valued := false
		for _, w := range words {
			switch {
			case valued:
				valued = false
			case w == "-update":
			case slices.Contains([]string{"-bench", "-run", "-fuzz"}, w):
				valued = true
			case strings.HasPrefix(w, "-"):
				return fmt.Errorf("go %s: the test does not know %s", verb, w)
			default:
				if err := exists(strings.TrimSuffix(w, "/...")); err != nil {
					return err
				}
			}
		}
		return nil
	}
	return fmt.Errorf("the test does not know go %s", verb)
}

type taskfile struct {
	Vars  map[string]any
	Tasks map[string]struct {
		Cmds, Status []any
		Vars         map[string]any
	}
}

func tasks(t *testing.T, words []string) error {
	t.Helper()
	var file taskfile
	require.NoError(t, yaml.Unmarshal([]byte(readDocument(t, "Taskfile.yml")), &file))
	if words[0] == "--list" {
		return nil
	}
	task, found := file.Tasks[words[0]]
	if !found {
		return fmt.Errorf("Taskfile.yml has no task %s", words[0])
	}
	for i, w := range words[1:] {
		name, _, assigned := strings.Cut(w, "=")
		if w == "--" {
			if !strings.Contains(fmt.Sprint(task.Cmds), "{{.CLI_ARGS}}") {
				return fmt.Errorf("task %s takes no arguments", words[0])
			}
			return nil
		}
		if _, known := task.Vars[name]; !assigned || !known {
			return fmt.Errorf("task %s: what is %q (word %d)", words[0], w, i+2)
		}
	}
	return nil
}

func compose(t *testing.T, words []string) error {
	t.Helper()
	for i, w := range words {
		switch w {
		case "-f":
			if err := exists(words[i+1]); err != nil {
				return err
			}
		case "--profile":
			if !strings.Contains(readDocument(t, "infra/compose/compose.yaml"), "profiles: ["+words[i+1]+"]") {
				return fmt.Errorf("compose.yaml has no profile %s", words[i+1])
			}
		}
	}
	return nil
}

// placeholder is a word that stands for the reader's own, as FOLDER in FOLDER/best.yaml.
var placeholder = regexp.MustCompile(`\b[A-Z]{2,}\b|<.*>|…`)

func exists(path string) error {
	if placeholder.MatchString(path) && !strings.HasSuffix(path, ".md") {
		return nil
	}
	found, err := filepath.Glob(strings.TrimSuffix(path, "/"))
	if err == nil && len(found) == 0 {
		err = fmt.Errorf("there is no %s: %w", path, fs.ErrNotExist)
	}
	return err
}

var (
	assignment = regexp.MustCompile(`^[A-Z][A-Z0-9_]*=`)
	ourNames   = regexp.MustCompile(`FRESHET_[A-Z0-9_]*[A-Z0-9]`)
)

// variable tells what is wrong with NAME or NAME=VALUE: a setting must load with that value, any other name must be read somewhere.
func variable(t *testing.T, text string) error {
	t.Helper()
	name, value, assigned := strings.Cut(text, "=")
	if !strings.HasPrefix(name, "FRESHET_") {
		return nil
	}
	if !settingVariables(t)[name] {
		if !strings.Contains(readSources(t), name) {
			return fmt.Errorf("nothing reads %s", name)
		}
		return nil
	}
	if assigned && !strings.HasPrefix(value, "$(") {
		t.Run(name, func(t *testing.T) {
			t.Setenv("FRESHET_CONFIG", "")
			t.Setenv(name, value)
			code, _, errs := execute(t, "config")
			require.Zero(t, code, "%s: %s", text, errs)
		})
	}
	return nil
}

// execute runs a command line in this process.
func execute(t *testing.T, args ...string) (code int, out, errs string) {
	t.Helper()
	var o, e bytes.Buffer
	var fresh commands.Table
	code = commands.Execute(t.Context(), &fresh, &fresh.Global, args, commands.Streams{In: strings.NewReader(""), Out: &o, Err: &e})
	return code, o.String(), e.String()
}

// settingPaths are the settings as in kafka.sasl.user, sections too; the example has them all.
func settingPaths(t *testing.T) []string {
	t.Helper()
	var example map[string]any
	require.NoError(t, yaml.Unmarshal([]byte(readDocument(t, "freshet.example.yaml")), &example))
	var paths []string
	var walk func(prefix string, at map[string]any)
	walk = func(prefix string, at map[string]any) {
		for name, value := range at {
			paths = append(paths, prefix+name)
			if inner, nested := value.(map[string]any); nested {
				walk(prefix+name+".", inner)
			}
		}
	}
	walk("", example)
	return paths
}

func settingVariables(t *testing.T) map[string]bool {
	t.Helper()
	all := map[string]bool{}
	for _, p := range settingPaths(t) {
		all["FRESHET_"+strings.ToUpper(strings.ReplaceAll(p, ".", "_"))] = true
	}
	return all
}

var allSources string

// readSources is the text of what might read a variable: Go, scripts, the Taskfile and Docker Compose's file.
func readSources(t *testing.T) string {
	t.Helper()
	if allSources != "" {
		return allSources
	}
	var text strings.Builder
	require.NoError(t, filepath.WalkDir(".", func(at string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() && slices.Contains([]string{".git", ".cache", "dist", "testdata"}, entry.Name()) {
			return fs.SkipDir
		}
		read := slices.Contains([]string{".go", ".sh", ".py", ".yaml", ".yml"}, filepath.Ext(at)) || filepath.Dir(at) == ".ci"
		if entry.IsDir() || !read || strings.HasPrefix(at, "docs/") {
			return nil
		}
		source, err := os.ReadFile(at)
		text.Write(source)
		return err
	}))
	allSources = text.String()
	return allSources
}

// TestCommandsOfTheDocuments: each command in a block is one, whole and with flags that exist; so is each that a sentence names.
func TestCommandsOfTheDocuments(t *testing.T) {
	seen := 0
	for _, b := range blocks(t) {
		if b.language != "sh" {
			continue
		}
		for _, words := range shellLines(b.text) {
			seen++
			if err := shown(t, words, true); err != nil {
				t.Errorf("%s shows %q: %v", b.document, strings.Join(words, " "), err)
			}
		}
	}
	require.Greater(t, seen, 40, "the documents show commands")
}

var (
	spans      = regexp.MustCompile("`([^`\n]+(?:\n[^`\n]+)?)`")
	commandish = regexp.MustCompile(`^(freshet|go|task|bash|python|docker)( |$)|^FRESHET_\w+=\S* \S`)
	dotted     = regexp.MustCompile(`^([a-z_]+)(\.([a-z_]+|\*))+$`)
	pathlike   = regexp.MustCompile(`^(consumers|docs|findings|infra|pipelines|producers|schemas|services|\.ci)/[\w./*-]*$`)
)

// TestWhatTheDocumentsNameExists: commands, flags, variables, settings and files that a sentence names in code spans. CHANGELOG
// tells of what was, and may name what went away.
func TestWhatTheDocumentsNameExists(t *testing.T) {
	flags := map[string]bool{"help": true}
	require.NoError(t, kong.Visit(program(t).Model, func(node kong.Visitable, next kong.Next) error {
		if f, is := node.(*kong.Flag); is {
			flags[f.Name] = true
		}
		return next(nil)
	}))
	foreign := []string{"--resource-pattern-type"} // kafka-acls.sh's
	paths := settingPaths(t)
	seen := map[string]int{}
	wrong := func(document, span string, err error) {
		if err != nil {
			t.Errorf("%s names `%s`: %v", document, span, err)
		}
	}
	for _, d := range documents(t) {
		if d == "CHANGELOG.md" {
			continue
		}
		for _, found := range spans.FindAllStringSubmatch(fence.ReplaceAllString(readDocument(t, d), ""), -1) {
			span := strings.ReplaceAll(strings.ReplaceAll(found[1], "\n", " "), `\|`, "|")
			for _, name := range ourNames.FindAllString(span, -1) {
				seen["variables"]++
				if !strings.Contains(span, name+"_…") {
					wrong(d, span, variable(t, name))
				}
			}
			head, _, _ := strings.Cut(span, ".")
			switch {
			case commandish.MatchString(span):
				seen["commands"]++
				for _, words := range shellLines(span) {
					wrong(d, span, shown(t, words, false))
				}
			case strings.HasPrefix(span, "--"):
				seen["flags"]++
				name, _, _ := strings.Cut(strings.Fields(span)[0], "=")
				if !flags[strings.TrimPrefix(name, "--")] && !slices.Contains(foreign, name) {
					wrong(d, span, errors.New("no command has such a flag"))
				}
			case dotted.MatchString(span) && slices.Contains(paths, head) && !strings.HasSuffix(span, ".yaml"):
				seen["settings"]++
				expression := regexp.MustCompile("^" + strings.ReplaceAll(regexp.QuoteMeta(span), `\*`, "[a-z_]+") + "$")
				if !slices.ContainsFunc(paths, expression.MatchString) {
					wrong(d, span, errors.New("freshet.example.yaml has no such setting"))
				}
			case pathlike.MatchString(span):
				seen["files"]++
				wrong(d, span, exists(span))
			}
		}
	}
	for kind, least := range map[string]int{"commands": 60, "flags": 30, "settings": 20, "files": 20, "variables": 10} {
		require.Greater(t, seen[kind], least, kind)
	}
	t.Logf("%v", seen)
}

// TestTheTableOfCommandsIsWhole: docs/commands.md has a line for each command, and none for others.
func TestTheTableOfCommandsIsWhole(t *testing.T) {
	told := map[string]bool{}
	for _, row := range regexp.MustCompile("(?m)^\\| `([^`]*)` \\|").FindAllStringSubmatch(readDocument(t, "docs/commands.md"), -1) {
		words := strings.Fields(strings.ReplaceAll(row[1], `\|`, "|"))
		told[words[0]] = true
		for alternative := range strings.SplitSeq(strings.Join(words[1:min(2, len(words))], ""), "|") {
			line := slices.DeleteFunc([]string{words[0], alternative}, func(w string) bool { return w == "" || strings.HasPrefix(w, "[") })
			require.NoError(t, spoken(program(t).Model.Node, line), row[1])
		}
	}
	for _, command := range program(t).Model.Children {
		require.True(t, told[command.Name], "docs/commands.md does not tell of %s", command.Name)
		delete(told, command.Name)
	}
	require.Empty(t, told, "docs/commands.md tells of what is no command")
}

// TestYAMLOfTheDocuments: a configuration loads, strictly. A mapping of tables is held where mappings are read, in
// pipelines/offline/dataset/tables.
func TestYAMLOfTheDocuments(t *testing.T) {
	mappings := 0
	for _, b := range blocks(t) {
		if b.language != "yaml" {
			continue
		}
		if b.document == "docs/data.md" {
			mappings++
			continue
		}
		path := filepath.Join(t.TempDir(), "freshet.yaml")
		require.NoError(t, os.WriteFile(path, []byte(b.text), 0o600))
		code, _, errs := execute(t, "config", "--config", path)
		require.Zero(t, code, "%s: %s", b.document, errs)
	}
	require.Equal(t, 1, mappings)
}

// TestTheDemoPrintsWhatIsShown: each checked line of a step in docs/demo.md is one that the demo's source prints, and README shows
// lines of docs/demo.md, shortened by … at the most.
func TestTheDemoPrintsWhatIsShown(t *testing.T) {
	var claims []*regexp.Regexp
	files, err := filepath.Glob("pipelines/proof/demo/*.go")
	require.NoError(t, err)
	verb := regexp.MustCompile(`%[-+\\.\d]*[a-zA-Z]`) // as QuoteMeta leaves it
	for _, f := range files {
		parsed, err := parser.ParseFile(token.NewFileSet(), f, nil, parser.SkipObjectResolution)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			if literal, ok := n.(*ast.BasicLit); ok && literal.Kind == token.STRING && !strings.HasSuffix(f, "_test.go") {
				format, err := strconv.Unquote(literal.Value)
				require.NoError(t, err)
				if !utf8.ValidString(format) { // the bytes of the poison event
					return true
				}
				claims = append(claims, regexp.MustCompile("^"+verb.ReplaceAllString(regexp.QuoteMeta(format), ".+")+"$"))
			}
			return true
		})
	}
	mark, title := regexp.MustCompile(`(?m)^   ✓ (.*)$`), regexp.MustCompile(`(?m)^\d+\. (.*)$`)
	var whole string
	for _, b := range blocks(t) {
		if b.document == "docs/demo.md" && b.language == "text" {
			whole += b.text
		}
	}
	found := append(mark.FindAllStringSubmatch(whole, -1), title.FindAllStringSubmatch(whole, -1)...)
	require.Greater(t, len(found), 15)
	for _, line := range found {
		if !slices.ContainsFunc(claims, func(c *regexp.Regexp) bool { return len(c.String()) > 12 && c.MatchString(line[1]) }) {
			t.Errorf("docs/demo.md shows %q, which the demo does not print", line[1])
		}
	}
	seen := 0
	for _, b := range blocks(t) {
		if b.document != "README.md" || !strings.Contains(b.text, "✓") {
			continue
		}
		for line := range strings.Lines(b.text) {
			seen++
			line = strings.TrimRight(line, "\n")
			if !regexp.MustCompile("(?m)^" + strings.ReplaceAll(regexp.QuoteMeta(line), "…", ".+") + "$").MatchString(whole) {
				t.Errorf("README.md shows %q, which docs/demo.md does not", line)
			}
		}
	}
	require.Greater(t, seen, 9)
}

// TestTheChangelogIsByVersion: what is not released stands on top, each release has a date, and versions and dates go down.
func TestTheChangelogIsByVersion(t *testing.T) {
	titles := regexp.MustCompile(`(?m)^## (.*)$`).FindAllStringSubmatch(readDocument(t, "CHANGELOG.md"), -1)
	require.Equal(t, "Unreleased", titles[0][1])
	require.Greater(t, len(titles), 1)
	form := regexp.MustCompile(`^(\d+)\.(\d+)\.(\d+) - (\d{4}-\d{2}-\d{2})$`)
	var above []int
	date := "9999-99-99"
	for _, title := range titles[1:] {
		parts := form.FindStringSubmatch(title[1])
		require.NotNil(t, parts, "## %s: write it as ## 1.2.3 - 2026-12-31", title[1])
		var version []int
		for _, part := range parts[1:4] {
			n, err := strconv.Atoi(part)
			require.NoError(t, err)
			version = append(version, n)
		}
		require.True(t, above == nil || slices.Compare(version, above) < 0, "%s stands below an earlier version", title[1])
		require.LessOrEqual(t, parts[4], date, "%s is younger than the version above it", title[1])
		above, date = version, parts[4]
	}
	for _, section := range regexp.MustCompile(`(?m)^### (.*)$`).FindAllStringSubmatch(readDocument(t, "CHANGELOG.md"), -1) {
		require.Contains(t, []string{"Upgrading", "Added", "Changed", "Deprecated", "Removed", "Fixed", "Security"}, section[1])
	}
}
