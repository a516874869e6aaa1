package terminal_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"
	"unicode"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/services/terminal"
)

func TestText(t *testing.T) {
	for in, want := range map[string]string{
		"":            "",
		"Lamp, 12 cm": "Lamp, 12 cm",
		"Größe 日本語 ملف 🛋️ a\u00a0b": "Größe 日本語 ملف 🛋️ a\u00a0b",
		`a\b`:                          `a\b`,
		"\x1b[2Jgone":                  `\x1b[2Jgone`,
		"a\rb\nc\td":                   `a\rb\nc\td`,
		"\u202eevil":                   `\u202eevil`,
		"a\u2028b\u200bc\u0085d\u009b": `a\u2028b\u200bc\u0085d\u009b`,
		"\x7f\x00\x9b":                 `\x7f\x00\x9b`,
		"\U000e0041tag":                `\U000e0041tag`,
		"�":                            "�",
	} {
		require.Equal(t, want, terminal.Text(in), "%q", in)
	}
}

func FuzzText(f *testing.F) {
	f.Add("\x1b[2J\u202e\n\t\xff日本")
	f.Fuzz(func(t *testing.T, s string) {
		shown := terminal.Text(s)
		for _, r := range shown {
			require.True(t, unicode.IsGraphic(r), "%q has %q", shown, r)
		}
		require.Equal(t, shown, terminal.Text(shown), "once is enough")
		var b bytes.Buffer
		require.NoError(t, terminal.FprintJSON(&b, s))
		for _, r := range strings.TrimSuffix(b.String(), "\n") {
			require.True(t, unicode.IsGraphic(r), "%q has %q", b.String(), r)
		}
		var back, plain string
		require.NoError(t, json.Unmarshal(b.Bytes(), &back))
		text, err := json.Marshal(s)
		require.NoError(t, err)
		require.NoError(t, json.Unmarshal(text, &plain))
		require.Equal(t, plain, back, "JSON stays JSON, and means the same")
	})
}

type named string

type spoken struct{ name string }

func (s spoken) String() string { return s.name }

func TestFprintf(t *testing.T) {
	const evil = "\x1b[2J\n"
	var b bytes.Buffer
	_, err := terminal.Fprintf(&b, "%s|%v|%-12s|%.3q|%5d|%*d|%s|%v|%v|%v|%s\n",
		evil, errors.New(evil), evil, evil, 7, 3, 8, named(evil), spoken{evil}, []string{evil}, time.Second, terminal.Block("a\nb"))
	require.NoError(t, err)
	require.Equal(t, `\x1b[2J\n|\x1b[2J\n|\x1b[2J\n       |"\x1b[2"|    7|  8|\x1b[2J\n|\x1b[2J\n|[\x1b[2J\n]|1s|`+"a\nb\n", b.String())
	b.Reset()
	_, err = terminal.Fprintln(&b, "id", evil, 3, nil)
	require.NoError(t, err)
	require.Equal(t, "id \\x1b[2J\\n 3 <nil>\n", b.String())
	require.Equal(t, `a \t`, terminal.Sprintf("a %s", "\t"))
}

func TestPrintError(t *testing.T) {
	var b bytes.Buffer
	terminal.PrintError(&b, "freshet:", errors.Join(fmt.Errorf("decoding %s", "\x1b[31m"), errors.New("a\nfreshet: all is well")))
	require.Equal(t, "freshet: decoding \\x1b[31m\n  a\n  freshet: all is well\n", b.String())
}

func TestTable(t *testing.T) {
	var b bytes.Buffer
	table := terminal.NewTable(&b, terminal.Row{"item", "\u202eid"})
	table.AppendRow(terminal.Row{"a\nb", 1})
	table.AppendSeparator()
	table.AppendRows([]terminal.Row{{named("\x1b]0;title\a"), errors.New("\x1b")}})
	require.Equal(t, strings.TrimSpace(table.Render()), strings.TrimSpace(b.String()))
	require.Contains(t, b.String(), `a\nb `)
	require.Contains(t, b.String(), `\u202eid`)
	require.Contains(t, b.String(), `\x1b]0;title\a`)
	for _, r := range strings.ReplaceAll(b.String(), "\n", "") {
		require.True(t, unicode.IsGraphic(r), "%q", r)
	}
	require.Equal(t, 7, strings.Count(b.String(), "\n"), "a value makes no line of its own: %s", b.String())
}

func TestJSON(t *testing.T) {
	var b bytes.Buffer
	require.NoError(t, terminal.FprintJSON(&b, map[string]string{"title": "\u202ea\u009b\x7f\U000e0041ü\x1b"}))
	require.Equal(t, []byte("{\n  \"title\": \"\\u202ea\\u009b\\u007f\\udb40\\udc41ü\\u001b\"\n}\n"), b.Bytes()) //nolint:testifylint // escapes count
}
