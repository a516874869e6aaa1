package page

import (
	"bytes"
	"fmt"
	"html"
	"math/rand/v2"
	"regexp"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/offline/evaluation"
	"github.com/freshet/freshet/schemas"
)

const hostile = `<script>alert(1)</script>"'><img src=x onerror=alert(1)>{{.}}`

// byChance is a scorer with a name of its own.
type byChance struct {
	evaluation.Random
	name string
}

func (s byChance) Name() string { return s.name }

// report is a small one with everything in it.
func report(t *testing.T) (*evaluation.Report, []evaluation.Past) {
	t.Helper()
	r := rand.New(rand.NewPCG(1, 2))
	items := make([]schemas.ItemChange, 40)
	for i := range items {
		items[i] = schemas.ItemChange{ItemID: strconv.Itoa(i), Title: hostile + strconv.Itoa(i), Categories: []string{strconv.Itoa(i % 3)}}
	}
	var cases []dataset.Case
	for u := range 90 {
		order := r.Perm(40)
		one := dataset.Case{User: int32(u), Targets: []int32{int32(order[0]), int32(order[1])}, Type: schemas.View, At: time.Hour.Milliseconds() * 200 * int64(1+u%3)}
		for _, item := range order[2 : 2+r.IntN(15)] {
			one.History = append(one.History, int32(item))
		}
		if u%2 == 0 {
			one.Type = schemas.Purchase
			one.Tied = []int32{int32(order[39])}
		}
		cases = append(cases, one)
	}
	catalogue := evaluation.NewCatalogue(items, [][]int32{{0, 0, 0, 1, 2, 3}, {4, 5}})
	catalogue.Users = []string{hostile}
	scorers := []evaluation.Scorer{
		byChance{evaluation.Random{Seed: 1}, hostile}, byChance{evaluation.Random{Seed: 2}, "popularity"}, byChance{evaluation.Random{Seed: 3}, "transitions"},
	}
	c := evaluation.DefaultConfig()
	c.K, c.Resamples, c.Samples, c.Against = 5, 100, 3, "popularity"
	c.At = []int{1, 5, 10, 40}
	done, err := evaluation.Evaluate(t.Context(), cases, catalogue, scorers, c)
	require.NoError(t, err)
	at := time.Date(2026, time.November, 28, 12, 0, 0, 0, time.UTC)
	done.Subject = &evaluation.Subject{At: at, Model: hostile, Bundle: hostile, Data: hostile, Split: hostile}
	done.Baselines = []evaluation.Chosen{{Scorer: hostile, Setting: hostile, About: hostile, Cases: 7, Of: 9, Tried: []evaluation.Tried{{Setting: hostile}}}}
	done.LeftOut = []evaluation.LeftOut{{Name: hostile, Why: hostile}}
	done.Waterfall = []evaluation.Loss{{Stage: "model", Hits: 40, Share: 40. / 90}, {Stage: hostile, Hits: 31, Share: 31. / 90}}
	done.Earlier, err = evaluation.Compare(hostile, done.Run(), "this run", done.Run(), evaluation.Comparing{Resamples: 50})
	require.NoError(t, err)
	var past []evaluation.Past
	for i := range 3 {
		past = append(past, evaluation.Past{Name: hostile, At: at.Add(time.Duration(i) * time.Hour), Model: hostile, K: 5, Of: done.Scorers[i].At})
	}
	return done, past
}

func written(t *testing.T, r *evaluation.Report, past []evaluation.Past) string {
	t.Helper()
	var b bytes.Buffer
	require.NoError(t, Write(&b, r, past))
	return b.String()
}

// shows is a short failure where the page lacks something.
func shows(t *testing.T, text, what string) {
	t.Helper()
	require.GreaterOrEqual(t, strings.Index(text, what), 0, "the page lacks %q", what)
}

// broken are traces of numbers and templates that went wrong.
var broken = regexp.MustCompile(`NaN|Inf|ZgotmplZ|%!`)

func TestHostileNamesStayText(t *testing.T) {
	r, past := report(t)
	text := written(t, r, past)
	require.Greater(t, strings.Count(text, "&lt;script&gt;"), 30, "they are shown")
	for _, live := range []string{"<script", "<img", "onerror=alert(1)>{{"} {
		require.Negative(t, strings.Index(text, live), live)
	}
	require.Equal(t, text, written(t, r, past), "the same report gives the same page")
}

func TestThePageNeedsNothingElse(t *testing.T) {
	r, past := report(t)
	r.Scorers[0].Name = "towers"
	text := written(t, r, past)
	text = strings.ReplaceAll(text, "url(#hatch)", "")
	require.Empty(t, regexp.MustCompile(`url\(|@import|https?:|\shref=|<link|<iframe`).FindAllString(text, -1))
	require.Empty(t, broken.FindAllString(text, -1))
}

var (
	ids       = regexp.MustCompile(`\sid="([^"]+)"`)
	svgs      = regexp.MustCompile(`<svg [^>]*>`)
	labelled  = regexp.MustCompile(`role="img" aria-labelledby="(\S+) (\S+)"`)
	idOfTitle = `<title id="%s">[^<]+</title>`
)

func TestChartsCanBeReadWithoutSeeingThem(t *testing.T) {
	r, past := report(t)
	text := written(t, r, past)
	seen := map[string]bool{}
	for _, id := range ids.FindAllStringSubmatch(text, -1) {
		require.False(t, seen[id[1]], "%s stands for two things", id[1])
		seen[id[1]] = true
	}
	charts := 0
	for _, svg := range svgs.FindAllString(text, -1) {
		if strings.Contains(svg, `aria-hidden="true"`) {
			continue
		}
		charts++
		by := labelled.FindStringSubmatch(svg)
		require.NotNil(t, by, svg)
		require.True(t, regexp.MustCompile(fmt.Sprintf(idOfTitle, by[1])).MatchString(text), by[1])
		require.True(t, seen[by[2]])
	}
	require.Equal(t, charts, strings.Count(text, "The figures as a table"), "each chart has its figures beside it")
	require.GreaterOrEqual(t, charts, 7)
	for i := range r.Scorers {
		for _, at := range r.Scorers[i].At {
			shows(t, text, at.Recall.String())
		}
		if i == 2 {
			continue // charts of segments show the model, the best baseline and popularity
		}
		for _, s := range r.Scorers[i].Segments {
			shows(t, text, s.NDCG.String())
		}
	}
	for _, p := range past {
		shows(t, text, p.Of[1].NDCG.String())
	}
}

func TestSectionsStandWhereTheReportHasThem(t *testing.T) {
	r, past := report(t)
	headings := map[string]func(){
		"Where hits are lost":        func() { r.Waterfall = nil },
		"Against an earlier run":     func() { r.Earlier = nil },
		"Over 3 runs":                func() { past = past[:1] },
		"Some users in full":         func() { r.Samples = nil },
		"Against popularity, case":   func() { r.Against = "" },
		"is left out":                func() { r.LeftOut = nil },
		"on 7 of 9 validation cases": func() { r.Baselines = nil },
		"k 40 reaches the end of":    func() { r.WholeCatalogue = nil },
		"Decided by lot":             func() { r.Ties = nil },
		"worst to best order":        func() {},
		"By week of the target":      func() { r.Scorers[0].Segments = r.Scorers[0].Segments[:0] },
		"Recall by length":           func() { r.Scorers[0].At = r.Scorers[0].At[:1] },
		`class="subject"`:            func() { r.Subject = nil },
		"precision@5</th>":           func() { several(r, false) },
		"resolved by the paired":     func() { r.Scorers[0].Difference = nil },
		"The best baseline is":       func() { r.Scorers = r.Scorers[:1] },
		"95 % by bootstrap":          func() { r.Resamples = 0 },
		"those that the user has se": func() {},
	}
	whole := written(t, r, past)
	for heading := range headings {
		shows(t, whole, heading)
	}
	for _, take := range headings {
		take()
	}
	rest := written(t, r, past)
	delete(headings, "those that the user has se")
	for heading := range headings {
		require.Negative(t, strings.Index(rest, heading), heading)
	}
	require.Error(t, Write(&bytes.Buffer{}, &evaluation.Report{}, nil))
}

// The page says what its words mean, and how far ties matter.
func TestDefinitionsAndTies(t *testing.T) {
	r, past := report(t)
	text := written(t, r, past)
	for _, d := range r.Definitions.List() {
		shows(t, html.UnescapeString(text), "<dt>"+d.Name+"</dt><dd>"+d.Meaning+".</dd>")
	}
	shows(t, text, "ties: 45 of 90 cases ask for one of several items of one moment. In the table, "+r.Ties.Meaning()+".</p>")
	for i := range r.Scorers {
		require.NotNil(t, r.Scorers[i].TieSpan)
		shows(t, text, "<td>"+r.Scorers[i].TieSpan.NDCG.String()+"</td>")
		shows(t, text, "<td>"+four(r.Scorers[i].MAPAll.Mean))
		r.Scorers[i].TieSpan = nil
	}
	text = written(t, r, past)
	shows(t, text, "the order makes less than 1 % of recall and NDCG")
	require.Negative(t, strings.Index(text, "worst to best order"))
}

func several(r *evaluation.Report, yes bool) {
	for i := range r.Scorers {
		if s := &r.Scorers[i]; !yes {
			s.HitRate, s.MAP = s.Recall, s.MRR
		}
	}
}

// A model that finds nothing still makes a page.
func TestNothingFound(t *testing.T) {
	r, err := evaluation.Evaluate(t.Context(), []dataset.Case{{Targets: []int32{1}}}, evaluation.Catalogue{Items: 2},
		[]evaluation.Scorer{evaluation.NewPopularity(nil, 2)}, evaluation.Config{K: 1, At: []int{2}})
	require.NoError(t, err)
	require.Empty(t, broken.FindAllString(written(t, r, nil), -1))
}

func TestStepsAreRoundAndReachTheHighest(t *testing.T) {
	values, decimals := steps(.43)
	require.InDeltaSlice(t, []float64{0, .1, .2, .3, .4, .5}, values, 1e-12)
	require.Equal(t, 1, decimals)
	r := rand.New(rand.NewPCG(3, 4))
	for range 2000 {
		highest := r.Float64()
		if r.IntN(2) == 0 {
			highest *= .001
		}
		values, decimals := steps(highest)
		last := values[len(values)-1]
		require.GreaterOrEqual(t, last, highest-1e-9)
		require.LessOrEqual(t, len(values), 8)
		require.GreaterOrEqual(t, len(values), 3)
		for _, v := range values {
			shown, err := strconv.ParseFloat(strconv.FormatFloat(v, 'f', decimals, 64), 64)
			require.NoError(t, err)
			require.InDelta(t, v, shown, 1e-9, "no tick is rounded")
		}
	}
}

func TestLabelsDoNotCoverEachOther(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 500 {
		all := make([]line, 1+r.IntN(12))
		for i := range all {
			all[i].labelAt = 20 + 300*r.Float64()
			if r.IntN(3) == 0 {
				all[i].labelAt = 320
			}
		}
		spread(all, 20, 330)
		for i := range all {
			require.GreaterOrEqual(t, all[i].labelAt, 20.)
			require.LessOrEqual(t, all[i].labelAt, 330.)
			for j := range i {
				apart := all[i].labelAt - all[j].labelAt
				require.GreaterOrEqual(t, max(apart, -apart), 17-1e-9)
			}
		}
	}
}
