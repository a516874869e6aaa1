package settings

import (
	"flag"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"reflect"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"
)

var update = flag.Bool("update", false, "write freshet.example.yaml anew")

const (
	root        = "../.."
	module      = "github.com/freshet/freshet/"
	exampleFile = root + "/freshet.example.yaml"
)

// exampleHead opens the file.
const exampleHead = `# Freshet's configuration, with all defaults. Copy what you want to change to a file of your own; what a file leaves out
# keeps its default:
#
#   freshet run --config freshet.yaml        or        export FRESHET_CONFIG=freshet.yaml
#
# An environment variable overrides each setting: its path in capitals, as in FRESHET_KAFKA_BROKERS=kafka-1:9092,kafka-2:9092
# or FRESHET_CONSUMERS_GROUP=freshet. Durations are written as 250ms, 1m30s, 720h. ` + "`freshet config`" + ` prints what is in force.
`

func TestExampleFile(t *testing.T) {
	want := example(t)
	if *update {
		require.NoError(t, os.WriteFile(exampleFile, []byte(want), 0o600))
	}
	got, err := os.ReadFile(exampleFile)
	require.NoError(t, err)
	require.Equal(t, want, string(got), "run go generate ./pipelines/settings")
}

func TestExampleHoldsTheDefaults(t *testing.T) {
	s, err := Load(exampleFile)
	require.NoError(t, err)
	require.Equal(t, Default(), s)

	// Equal values do not show that each key is there.
	text, err := os.ReadFile(exampleFile)
	require.NoError(t, err)
	var file map[string]any
	require.NoError(t, yaml.Unmarshal(text, &file))
	for _, f := range leaves(reflect.ValueOf(Default())) {
		at := any(file)
		for key := range strings.SplitSeq(f.path, ".") {
			section, _ := at.(map[string]any)
			require.Contains(t, section, key, "%s", f.path)
			at = section[key]
		}
	}
}

// example renders the defaults with the Go comments of their fields.
func example(t *testing.T) string {
	w := &exampleWriter{t: t, explained: map[reflect.Type]bool{}, docs: map[string]map[string]docs{}}
	w.out.WriteString(exampleHead)
	w.section(reflect.ValueOf(Default()), 0)
	return w.out.String()
}

// exampleWriter writes a section after the other. What a type's fields mean is told where the type occurs first.
type exampleWriter struct {
	t         *testing.T
	out       strings.Builder
	explained map[reflect.Type]bool
	docs      map[string]map[string]docs // by package and type
}

// docs are the comments of a struct and of its fields.
type docs struct {
	itself string
	fields map[string]string
}

func (w *exampleWriter) section(v reflect.Value, depth int) {
	known := w.explained[v.Type()]
	w.explained[v.Type()] = true
	of := w.docsOf(v.Type())
	for i := range v.NumField() {
		f, field := v.Type().Field(i), v.Field(i)
		if !f.IsExported() {
			continue
		}
		if f.Anonymous {
			w.section(field, depth)
			continue
		}
		comment, about := of.fields[f.Name], []reflect.Type{v.Type()}
		if comment == "" && f.Type.Name() == f.Name {
			comment, about = w.docsOf(f.Type).itself, append(about, f.Type)
		}
		if depth == 0 {
			w.out.WriteByte('\n')
		}
		if !known {
			w.comment(withKeys(comment, depth > 0, about), depth)
		}
		if f.Tag.Get("secret") == "true" {
			w.comment("A secret: give it in the environment or in a file of its own; it is never printed.", depth)
		}
		if field.Kind() == reflect.Struct {
			w.line(depth, yamlName(f)+":")
			w.section(field, depth+1)
			continue
		}
		w.line(depth, yamlName(f)+": "+scalar(w.t, field))
	}
}

func (w *exampleWriter) line(depth int, text string) {
	fmt.Fprintf(&w.out, "%s%s\n", strings.Repeat("  ", depth), text)
}

// comment wraps text to the width of the repository.
func (w *exampleWriter) comment(text string, depth int) {
	const width = 120
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && 2*depth+len("# ")+len(line)+1+len(word) > width {
			w.line(depth, "# "+line)
			line = ""
		}
		line = strings.TrimPrefix(line+" "+word, " ")
	}
	if line != "" {
		w.line(depth, "# "+line)
	}
}

var word = regexp.MustCompile(`\w+`)

// withKeys replaces the names of the structs' fields by the file's keys. Where words are not told from names by a capital
// inside (Kafka, the server, and Kafka, the field), only the first word is taken for a name unless all are.
func withKeys(text string, all bool, structs []reflect.Type) string {
	names := map[string]string{}
	var collect func(reflect.Type)
	collect = func(s reflect.Type) {
		for f := range s.Fields() {
			if f.Anonymous {
				collect(f.Type)
			} else {
				names[f.Name] = yamlName(f)
			}
		}
	}
	for _, s := range structs {
		collect(s)
	}
	first := true
	return word.ReplaceAllStringFunc(text, func(w string) string {
		key, known := names[w]
		known = known && (all || first || strings.Contains(key, "_"))
		first = false
		if known {
			return key
		}
		return w
	})
}

// scalar renders a value as the shortest YAML.
func scalar(t *testing.T, v reflect.Value) string {
	if d, ok := reflect.TypeAssert[time.Duration](v); ok {
		text := d.String()
		for _, zero := range []string{"m0s", "h0m"} {
			if strings.HasSuffix(text, zero) {
				text = text[:len(text)-2]
			}
		}
		return text
	}
	if v.Kind() == reflect.Slice {
		parts := make([]string, v.Len())
		for i := range parts {
			parts[i] = scalar(t, v.Index(i))
		}
		return "[" + strings.Join(parts, ", ") + "]"
	}
	text, err := yaml.Marshal(v.Interface())
	require.NoError(t, err)
	return strings.TrimSuffix(string(text), "\n")
}

// docsOf reads the comments of a type from its source.
func (w *exampleWriter) docsOf(of reflect.Type) docs {
	folder, ours := strings.CutPrefix(of.PkgPath(), module)
	if !ours {
		return docs{}
	}
	if w.docs[folder] == nil {
		w.docs[folder] = w.read(filepath.Join(root, folder))
	}
	return w.docs[folder][of.Name()]
}

func (w *exampleWriter) read(folder string) map[string]docs {
	files, err := filepath.Glob(filepath.Join(folder, "*.go"))
	require.NoError(w.t, err)
	out := map[string]docs{}
	for _, file := range files {
		tree, err := parser.ParseFile(token.NewFileSet(), file, nil, parser.ParseComments|parser.SkipObjectResolution)
		require.NoError(w.t, err)
		for _, d := range tree.Decls {
			if types, ok := d.(*ast.GenDecl); ok && types.Tok == token.TYPE {
				for _, spec := range types.Specs {
					readType(out, types, spec.(*ast.TypeSpec))
				}
			}
		}
	}
	return out
}

func readType(out map[string]docs, d *ast.GenDecl, spec *ast.TypeSpec) {
	s, ok := spec.Type.(*ast.StructType)
	if !ok {
		return
	}
	found := docs{itself: d.Doc.Text(), fields: map[string]string{}}
	for _, field := range s.Fields.List {
		for _, name := range field.Names {
			found.fields[name.Name] = field.Doc.Text()
		}
	}
	out[spec.Name.Name] = found
}
