package rules

import (
	"flag"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"go.yaml.in/yaml/v3"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/ranking"
)

var update = flag.Bool("update", false, "rewrite the want sections of testdata/cases")

// scriptRequest is the request section of a case.
type scriptRequest struct {
	Surface string
	Region  string
	Age     *int32
	Count   int
	Explain bool
	Seen    []string
	Include bool `yaml:"include_seen"`
	Exclude []string
	Filter  string
}

func (s scriptRequest) request(t *testing.T) *Request {
	r := &Request{
		UserID: "ann", Surface: s.Surface, Region: s.Region, Age: s.Age, Now: now, IncludeSeen: s.Include, Count: s.Count,
		Explain: s.Explain, Exclude: map[string]struct{}{},
		Seen: func(id string) bool { return slices.Contains(s.Seen, id) },
	}
	for _, id := range s.Exclude {
		r.Exclude[id] = struct{}{}
	}
	if s.Filter != "" {
		f, err := CompileFilter(s.Filter)
		require.NoError(t, err)
		r.Filter = f
	}
	return r
}

// scriptItem is a line of the candidates section. What a case does not name is as for an item that nothing speaks against.
type scriptItem struct {
	ID         string
	Score      float32
	Title      string
	Categories []string
	Tags       []string
	Brand      string
	Price      *float64
	Regions    []string
	AgeDays    float64 `yaml:"age_days"`
	MinAge     int32   `yaml:"min_age"`
	Gone       bool
	Deleted    bool
}

func (s scriptItem) candidate() ranking.Candidate {
	it := &schemas.ItemChange{
		ItemID: s.ID, Op: schemas.UpsertItem, Title: s.Title, Categories: s.Categories, Tags: s.Tags, Brand: s.Brand, Price: s.Price,
		Available: !s.Gone, Regions: s.Regions, MinAge: s.MinAge,
		PublishedAt: now.Add(-time.Duration(s.AgeDays * float64(24*time.Hour))),
	}
	if s.Deleted {
		it.Op = schemas.DeleteItem
	}
	return ranking.Candidate{Item: it, Retrieval: s.Score, Score: s.Score, Source: "retrieval"}
}

var sectionMark = regexp.MustCompile(`(?m)^-- (\w+) --\n`)

// sections cuts a case at its "-- name --" lines; what stands before the first one is its comment.
func sections(text string) map[string]string {
	marks := sectionMark.FindAllStringSubmatchIndex(text, -1)
	out := map[string]string{}
	for i, m := range marks {
		end := len(text)
		if i+1 < len(marks) {
			end = marks[i+1][0]
		}
		out[text[m[2]:m[3]]] = text[m[1]:end]
	}
	return out
}

// TestCases runs the scripted cases of testdata/cases: rules, a request and ranked candidates, and what comes of them. A case
// without rules uses the default ones.
func TestCases(t *testing.T) {
	files, err := filepath.Glob("testdata/cases/*.txt")
	require.NoError(t, err)
	require.NotEmpty(t, files)
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			text, err := os.ReadFile(file)
			require.NoError(t, err)
			parts := sections(string(text))
			got := runCase(t, parts)
			if *update {
				before, _, _ := strings.Cut(string(text), "-- want --\n")
				require.NoError(t, os.WriteFile(file, []byte(before+"-- want --\n"+got), 0o600))
				return
			}
			assert.Equal(t, parts["want"], got, "run go test -update if this is as it should be")
		})
	}
}

func runCase(t *testing.T, parts map[string]string) string {
	set := Default()
	if source, ok := parts["rules"]; ok {
		var err error
		set, err = Parse([]byte(source))
		require.NoError(t, err)
	}
	var req scriptRequest
	require.NoError(t, yaml.Unmarshal([]byte(parts["request"]), &req))
	var items []scriptItem
	require.NoError(t, yaml.Unmarshal([]byte(parts["candidates"]), &items))
	ranked := make([]ranking.Candidate, len(items))
	for i, it := range items {
		ranked[i] = it.candidate()
	}
	ranking.Sort(ranked)
	r := req.request(t)
	var b strings.Builder
	fmt.Fprintf(&b, "pushdown: %s\n", pushdown(set, r))
	if pinned := set.Pinned(r); pinned != nil {
		fmt.Fprintf(&b, "pinned: %s\n", strings.Join(pinned, ", "))
	}
	page, steps := set.Apply(r, ranked)
	for i, c := range page {
		if i == r.Count && r.Count > 0 {
			b.WriteString("below the page:\n")
		}
		fmt.Fprintf(&b, "%2d %-10s %.4g", i+1, c.Item.ItemID, c.Score)
		if len(c.Reasons) > 0 {
			fmt.Fprintf(&b, "  (%s)", strings.Join(c.Reasons, ", "))
		}
		b.WriteString("\n")
	}
	b.WriteString("waterfall:\n")
	for i, s := range steps {
		fmt.Fprintf(&b, "   %-24s %d -> %d\n", s.Stage, s.In, s.Out)
		require.True(t, i == 0 || steps[i-1].Out == s.In, "the waterfall has a gap")
	}
	require.Equal(t, len(page), int(steps[len(steps)-1].Out))
	return b.String()
}
