package docs

import (
	"encoding/json"
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/infra/embedded/servertest"
)

// TestGoOfTheDocumentsCompiles puts each block of statements into a function, and names what it declares once more.
func TestGoOfTheDocumentsCompiles(t *testing.T) {
	replaced := map[string]string{}
	folder := t.TempDir()
	root, err := filepath.Abs(".")
	require.NoError(t, err)
	var source strings.Builder
	source.WriteString("package documents\nimport (\n\"context\"\n\"time\"\n\"github.com/freshet/freshet/producers\"\n\"github.com/freshet/freshet/schemas\"\n)\nvar _ = time.Now\n")
	number := 0
	for _, b := range blocks(t) {
		if b.language != "go" {
			continue
		}
		number++
		file, err := parser.ParseFile(token.NewFileSet(), b.document, "package p\nfunc f() {\n"+b.text+"\n}", parser.SkipObjectResolution)
		require.NoError(t, err, b.document)
		var names []string
		ast.Inspect(file, func(n ast.Node) bool {
			if declared, ok := n.(*ast.AssignStmt); ok && declared.Tok == token.DEFINE {
				for _, left := range declared.Lhs {
					names = append(names, left.(*ast.Ident).Name)
				}
			}
			return true
		})
		fmt.Fprintf(&source, "func f%d(ctx context.Context) {\n%s\n", number, b.text)
		for _, name := range names {
			fmt.Fprintf(&source, "_ = %s\n", name)
		}
		source.WriteString("}\n")
	}
	require.Positive(t, number)
	snippet := filepath.Join(folder, "snippet.go")
	require.NoError(t, os.WriteFile(snippet, []byte(source.String()), 0o600))
	replaced[filepath.Join(root, "documents", "snippet.go")] = snippet
	overlay, err := json.Marshal(map[string]any{"Replace": replaced})
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(folder, "overlay.json"), overlay, 0o600))
	out, err := exec.CommandContext(t.Context(), "go", "build", "-overlay", filepath.Join(folder, "overlay.json"), "./documents").CombinedOutput()
	require.NoError(t, err, "%s\n%s", out, source.String())
}

// notRun are the commands of this program that a block shows and TestCommandsThatAreShownRun does not run, and who runs them.
var notRun = map[string]string{
	"freshet demo":                       "pipelines/proof/demo and .ci/run",
	"freshet demo --exit":                "pipelines/proof/demo and .ci/run",
	"freshet run":                        "it ends by a signal alone: TestRun… of pipelines/commands",
	"freshet traces":                     "it ends by a signal alone: pipelines/commands/traces_test.go",
	"freshet recommend u1":               "it needs roles that run: pipelines/commands/observed_test.go",
	"freshet import onnx":                "it needs ONNX Runtime and models: pipelines/commands/onnx_test.go",
	"freshet train --data ml-1m":         "it needs the public data set",
	"freshet evaluate --data ml-1m":      "it needs the public data set",
	"freshet train --data beauty":        "it needs the public data set",
	"freshet evaluate --data beauty":     "it needs the public data set",
	"freshet train --data diginetica":    "it needs the public data set",
	"freshet evaluate --data diginetica": "it needs the public data set",
}

// TestCommandsThatAreShownRun runs, in the order of the documents, what their blocks show of this program, on a small shop in the
// folder DIR and on embedded servers.
func TestCommandsThatAreShownRun(t *testing.T) {
	var lines [][]string
	used := map[string]bool{}
	for _, b := range blocks(t) {
		if b.language != "sh" {
			continue
		}
		for _, words := range shellLines(b.text) {
			if len(words) > 2 && slices.Equal(words[:3], []string{"go", "run", "."}) {
				words = append([]string{"freshet"}, words[3:]...)
			}
			if words[0] != "freshet" {
				continue
			}
			line := strings.Join(words, " ")
			kept := true
			for prefix := range notRun {
				if line == prefix || strings.HasPrefix(line, prefix+" ") && len(strings.Fields(prefix)) > 2 {
					used[prefix], kept = true, false
				}
			}
			if kept && !slices.ContainsFunc(lines, func(l []string) bool { return slices.Equal(l, words) }) {
				lines = append(lines, words)
			}
		}
	}
	for prefix := range notRun {
		require.True(t, used[prefix], "no block shows %s: take it from the list", prefix)
	}
	require.Greater(t, len(lines), 9, "%q", lines)

	servers := servertest.StartStack(t)
	t.Chdir(t.TempDir())
	writeShop(t, "DIR")
	for name, value := range map[string]string{
		"KAFKA_BROKERS": servers.Kafka.Addr(), "REDIS_ADDRESSES": servers.Redis.Addresses[0], "MILVUS_ADDRESS": servers.Milvus.Addr(),
		"CONFIG": "", "ADMIN_ADDRESS": "off", "TRAINING_DIM": "8", "TRAINING_EPOCHS": "1", "TRAINING_MAX_WINDOW": "20", "TRAINING_WORKERS": "1",
	} {
		t.Setenv("FRESHET_"+name, value)
	}
	for _, words := range lines {
		for i, w := range words {
			if w == "runs/OLD.run.json.gz" { // a name with the time in it; the first run that was kept
				kept, err := filepath.Glob("runs/*.run.json.gz")
				require.NoError(t, err)
				require.NotEmpty(t, kept)
				words[i] = kept[0]
			}
		}
		code, out, errs := execute(t, words[1:]...)
		require.Zero(t, code, "%s\n%s\n%s", strings.Join(words, " "), out, errs)
		t.Logf("ran %s", strings.Join(words, " "))
	}
}

// writeShop writes tables of interactions and items in which users go through the items one after another.
func writeShop(t *testing.T, folder string) {
	t.Helper()
	require.NoError(t, os.Mkdir(folder, 0o750))
	const users, items, events = 60, 40, 12
	var interactions, catalogue strings.Builder
	interactions.WriteString("user_id,item_id,occurred_at\n")
	for u := range users {
		for e := range events {
			fmt.Fprintf(&interactions, "u%d,i%d,2026-01-%02dT%02d:%02d:00Z\n", u, (u*7+e*(1+u%3))%items, 1+e, u%24, e)
		}
	}
	catalogue.WriteString("item_id,title,categories\n")
	for i := range items {
		fmt.Fprintf(&catalogue, "i%d,Lamp number %d,light\n", i, i)
	}
	require.NoError(t, os.WriteFile(filepath.Join(folder, "interactions.csv"), []byte(interactions.String()), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(folder, "items.csv"), []byte(catalogue.String()), 0o600))
}
