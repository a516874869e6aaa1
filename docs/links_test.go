package docs

import (
	"bytes"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

// mostREADME keeps the first page a page: what is longer belongs to docs.
const mostREADME = 200

func TestTheREADMEIsShort(t *testing.T) {
	text, err := os.ReadFile("README.md")
	require.NoError(t, err)
	require.Less(t, bytes.Count(text, []byte("\n")), mostREADME)
}

var (
	links       = regexp.MustCompile(`\]\(([^)\s]*)\)`)
	codeBlocks  = regexp.MustCompile("(?ms)^```.*?^```")
	headings    = regexp.MustCompile(`(?m)^#+ (.*)$`)
	notInAnchor = regexp.MustCompile(`[^\p{L}\p{N} _-]`)
)

// TestLinksOfTheDocumentsLeadSomewhere: to a file, and to a heading of it as GitHub names them.
func TestLinksOfTheDocumentsLeadSomewhere(t *testing.T) {
	anchors := map[string][]string{}
	for _, d := range documents(t) {
		for _, heading := range headings.FindAllStringSubmatch(codeBlocks.ReplaceAllString(readDocument(t, d), ""), -1) {
			plain := notInAnchor.ReplaceAllString(strings.ToLower(heading[1]), "")
			anchors[d] = append(anchors[d], strings.ReplaceAll(plain, " ", "-"))
		}
	}
	seen := 0
	for _, d := range documents(t) {
		for _, link := range links.FindAllStringSubmatch(codeBlocks.ReplaceAllString(readDocument(t, d), ""), -1) {
			file, anchor, _ := strings.Cut(link[1], "#")
			if strings.Contains(file, "://") {
				continue
			}
			seen++
			target := d
			if file != "" {
				target = filepath.Join(filepath.Dir(d), file)
				if _, err := os.Stat(target); err != nil {
					t.Errorf("%s links to %s, which is not there", d, link[1])
				}
			}
			if anchor != "" && !slices.Contains(anchors[target], anchor) {
				t.Errorf("%s links to %s, which has no such heading", d, link[1])
			}
		}
	}
	require.Greater(t, seen, 30, "the expression finds links")
}

func readDocument(t *testing.T, name string) string {
	t.Helper()
	text, err := os.ReadFile(name)
	require.NoError(t, err)
	return string(text)
}
