package tuning

import (
	"bytes"
	"context"
	"encoding/csv"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"
	"go.yaml.in/yaml/v3"

	"github.com/freshet/freshet/pipelines/offline/training"
	"github.com/freshet/freshet/services/towers"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// rings is a small world with an order to learn.
func rings() training.Input {
	in := training.Input{}
	for i := range 20 {
		in.Items = append(in.Items, towers.ItemFeatures{ItemID: fmt.Sprint(i)})
	}
	for u := range 80 {
		var seq []int32
		for j := range 4 + u%4 {
			seq = append(seq, int32((u*7+j)%20))
		}
		in.Sequences = append(in.Sequences, seq)
	}
	return in
}

func small() training.Config {
	c := training.DefaultConfig()
	c.Dim, c.Layers, c.Epochs, c.Workers, c.ValidationUsers = 8, 1, 6, 1, 30
	return c
}

func smallSearch(folder string) Config {
	return Config{
		Space: Space{
			"learning_rate": {Min: 0.002, Max: 0.05, Log: true}, "dim": {Values: []float64{4, 8}}, "mixture.uniform": {Min: 0.1, Max: 1},
		},
		Method: Halving, Trials: 7, Seed: 3, Folder: folder,
	}
}

// timeless is the trials without what depends on the clock.
func timeless(trials []Trial) []Trial {
	var all []Trial
	for _, t := range trials {
		t.Seconds = 0
		all = append(all, t)
	}
	return all
}

func TestSearch(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "out")
	o, err := Search(t.Context(), rings(), small(), smallSearch(folder), func(Step) {})
	require.NoError(t, err)
	require.Equal(t, []Rung{{7, 2}, {2, 6}}, o.Rungs)
	require.Len(t, o.Trials, 9)
	require.False(t, o.Stopped)

	// The finalists are the best of the first rung, and lead.
	first, last := map[int]float64{}, map[int]bool{}
	for i, trial := range o.Trials {
		require.Equal(t, i < 2, trial.Epochs == 6)
		if trial.Epochs == 6 {
			last[trial.Number] = true
		} else {
			first[trial.Number] = trial.WholeNDCG
		}
	}
	require.Len(t, first, 7)
	for number, ndcg := range first {
		for finalist := range last {
			require.True(t, last[number] || ndcg <= first[finalist])
		}
	}
	require.GreaterOrEqual(t, o.Trials[0].WholeNDCG, o.Trials[1].WholeNDCG)

	// The best recipe, as a configuration, comes to the same figures.
	require.NoError(t, o.Write(folder))
	text, err := os.ReadFile(filepath.Join(folder, "best.yaml"))
	require.NoError(t, err)
	best := struct{ Training training.Config }{}
	require.NoError(t, yaml.Unmarshal(text, &best))
	require.InDelta(t, o.Trials[0].Values["learning_rate"], best.Training.LearningRate, 0)
	_, result, err := training.Train(t.Context(), rings(), best.Training, nil)
	require.NoError(t, err)
	require.InDelta(t, o.Trials[0].NDCG, result.NDCG, 0)

	table, err := os.Open(filepath.Join(folder, "trials.csv"))
	require.NoError(t, err)
	defer table.Close()
	rows, err := csv.NewReader(table).ReadAll()
	require.NoError(t, err)
	require.Len(t, rows, 10)
	require.Equal(t, []string{"trial", "epochs", "dim", "learning_rate", "mixture.uniform"}, rows[0][:5])

	picture, err := os.ReadFile(filepath.Join(folder, "trials.svg"))
	require.NoError(t, err)
	requireXML(t, picture)
	require.Equal(t, 3*9, bytes.Count(picture, []byte("</title></circle>")), "each trial in each panel")
}

func requireXML(t *testing.T, text []byte) {
	t.Helper()
	d := xml.NewDecoder(bytes.NewReader(text))
	for {
		if _, err := d.Token(); errors.Is(err, io.EOF) {
			return
		} else if err != nil {
			require.NoError(t, err)
		}
	}
}

// TestSearchGoesOn stops a search again and again, cuts its last line as a crash would, and comes to the same as without.
func TestSearchGoesOn(t *testing.T) {
	whole, err := Search(t.Context(), rings(), small(), smallSearch(t.TempDir()), func(Step) {})
	require.NoError(t, err)

	folder := t.TempDir()
	trained, searches := 0, 0
	for {
		ctx, cancel := context.WithCancel(t.Context())
		begun := 0
		o, err := Search(ctx, rings(), small(), smallSearch(folder), func(s Step) {
			if s.Done != nil {
				return
			}
			trained++
			if begun++; begun == 4 {
				cancel()
			}
		})
		cancel()
		require.NoError(t, err)
		require.NoError(t, o.Write(folder), "what is done can be seen")
		searches++
		if !o.Stopped {
			require.Equal(t, timeless(whole.Trials), timeless(o.Trials))
			break
		}
		path := filepath.Join(folder, logFile)
		text, err := os.ReadFile(path)
		require.NoError(t, err)
		require.NoError(t, os.WriteFile(path, append(text, `{"trial":5,"epo`...), 0o600))
		require.Less(t, searches, 9)
	}
	require.Equal(t, 3, searches)
	require.Equal(t, 9+2, trained, "none twice but those that were stopped")

	other := smallSearch(folder)
	other.Seed = 4
	_, err = Search(t.Context(), rings(), small(), other, func(Step) {})
	require.ErrorContains(t, err, "the search's seed: 4 now, 3 then")
	require.ErrorContains(t, err, "--out")
}

func TestSearchRefuses(t *testing.T) {
	for says, edit := range map[string]func(*training.Config, *Config){
		"trials is 0":           func(_ *training.Config, c *Config) { c.Trials = 0 },
		`method is "best"`:      func(_ *training.Config, c *Config) { c.Method = "best" },
		"folder is empty":       func(_ *training.Config, c *Config) { c.Folder = "" },
		"no parameters":         func(_ *training.Config, c *Config) { c.Space = nil },
		"validation_users is 0": func(b *training.Config, _ *Config) { b.ValidationUsers = 0 },
		"dropout is":            func(_ *training.Config, c *Config) { c.Space = Space{"dropout": {Values: []float64{1}}} },
	} {
		base, c := small(), smallSearch(t.TempDir())
		edit(&base, &c)
		_, err := Search(t.Context(), rings(), base, c, func(Step) {})
		require.ErrorContains(t, err, says)
	}
}

func TestReadSpace(t *testing.T) {
	s, err := ReadSpace([]byte("learning_rate: {min: 0.001, max: 0.1, log: true}\nlayers: {values: [1, 2]}\n"))
	require.NoError(t, err)
	require.Equal(t, Space{"learning_rate": {Min: 0.001, Max: 0.1, Log: true}, "layers": {Values: []float64{1, 2}}}, s)
	require.NoError(t, DefaultSpace().Validate())
	for text, says := range map[string]string{
		"":                                    "no parameters",
		"rate: {min: 0, max: 1}":              "rate is no setting of training",
		"mixture: {min: 0, max: 1}":           "only plain numbers",
		"mixture.power.x: {min: 0, max: 1}":   "no setting",
		"time_budget: {min: 0, max: 1}":       "only plain numbers",
		"repeats: {values: [0, 1]}":           "only plain numbers",
		"epochs: {values: [1, 2]}":            "epochs cannot be searched",
		"validation_users: {values: [1, 2]}":  "cannot be searched",
		"dim: {min: 4, max: 4}":               "dim is from 4 to 4",
		"dim: {min: .nan, max: 4}":            "dim is from NaN",
		"dim: {min: 4, max: .inf}":            "dim is from 4 to +Inf",
		"dim: {values: [4], max: 4}":          "either",
		"learning_rate: {max: 1, log: true}":  "learning_rate.min is 0",
		"dim: {min: 4, max: 8, step: 2}":      "step",
		"dim: {values: [4]}\n---\ndim: {}\n":  "more than one document",
		"learning_rate: {min: low, max: high": "reading the space",
	} {
		_, err := ReadSpace([]byte(text))
		require.ErrorContains(t, err, says, text)
	}
}

func TestDrawsFillTheSpace(t *testing.T) {
	s := Space{"learning_rate": {Min: 0.001, Max: 0.1, Log: true}, "dropout": {Min: 0.1, Max: 0.3}, "layers": {Min: 1, Max: 3},
		"dim": {Values: []float64{8, 16}}}
	const draws = 2000
	below, eights := 0, 0
	layers := map[float64]int{}
	for n := range draws {
		v := s.draw(1, n)
		require.Equal(t, v, s.draw(1, n))
		require.True(t, v["learning_rate"] >= 0.001 && v["learning_rate"] <= 0.1)
		require.True(t, v["dropout"] >= 0.1 && v["dropout"] <= 0.3)
		layers[v["layers"]]++
		if v["learning_rate"] < 0.01 {
			below++
		}
		if v["dim"] == 8 {
			eights++
		}
		c, err := v.apply(training.DefaultConfig())
		require.NoError(t, err)
		require.InDelta(t, v["dropout"], c.Dropout, 0)
		require.Equal(t, int(v["dim"]), c.Dim)
		require.Equal(t, v, s.of(c))
	}
	require.InDelta(t, 0.5, float64(below)/draws, 0.06, "as many in the lower decade as in the upper")
	require.InDelta(t, 0.5, float64(eights)/draws, 0.06)
	require.Len(t, layers, 3)
	require.NotEqual(t, s.draw(1, 1), s.draw(2, 1))
}

func TestRungs(t *testing.T) {
	for _, c := range []struct {
		method         string
		trials, epochs int
		want           []Rung
	}{
		{Random, 20, 14, []Rung{{20, 14}}},
		{Halving, 27, 54, []Rung{{27, 2}, {9, 6}, {3, 18}, {1, 54}}},
		{Halving, 27, 14, []Rung{{27, 5}, {9, 14}}},
		{Halving, 4, 100, []Rung{{4, 33}, {1, 100}}},
		{Halving, 2, 100, []Rung{{2, 100}}},
		{Halving, 30, 5, []Rung{{30, 5}}},
		{Halving, 1, 1, []Rung{{1, 1}}},
	} {
		require.Equal(t, c.want, Rungs(c.method, c.trials, c.epochs), "%+v", c)
	}
}

// TestPictureOfOddOutcomes: nothing done, one trial, figures that are all the same.
func TestPictureOfOddOutcomes(t *testing.T) {
	space := DefaultSpace()
	o := &Outcome{Rungs: []Rung{{2, 1}}, Names: space.names(), space: space}
	requireXML(t, o.SVG())
	for n := range 2 {
		o.Trials = append(o.Trials, Trial{Number: n, Epochs: 1, Values: space.of(training.DefaultConfig()), NDCG: 0.5})
		picture := o.SVG()
		requireXML(t, picture)
		require.NotContains(t, string(picture), "NaN")
		require.NotContains(t, string(picture), "Inf")
	}
}

func FuzzReadSpace(f *testing.F) {
	f.Add("learning_rate: {min: 0.001, max: 0.1, log: true}\nmixture.power: {values: [0, 1]}")
	f.Add("dim: {min: -1e300, max: 1e300}")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := ReadSpace([]byte(text))
		if err != nil {
			return
		}
		for name, v := range s.draw(1, 1) {
			require.False(t, math.IsNaN(v), name)
		}
	})
}

func FuzzLog(f *testing.F) {
	f.Add([]byte(`{"fingerprint":{"dim":"8"}}` + "\n" + `{"trial":1,"epochs":2,"values":{"dim":8}}` + "\n" + `{"tri`))
	f.Add([]byte("{}\n{}\n[]\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		head, trials, whole, err := parseLog(text)
		if err != nil {
			require.True(t, strings.HasPrefix(err.Error(), "line "))
			return
		}
		require.LessOrEqual(t, whole, len(text))
		again, same, length, err := parseLog(text[:whole])
		require.NoError(t, err)
		require.Equal(t, whole, length)
		require.Equal(t, head, again)
		require.Equal(t, trials, same)
	})
}

// TestAFileThatIsNoSearchsStays, although it has the name of a search's.
func TestAFileThatIsNoSearchsStays(t *testing.T) {
	folder := t.TempDir()
	path := filepath.Join(folder, logFile)
	require.NoError(t, os.WriteFile(path, []byte("notes without an end of line"), 0o600))
	_, err := openLog(folder, nil)
	require.ErrorContains(t, err, "name another --out")
	content, err := os.ReadFile(path)
	require.NoError(t, err)
	require.Equal(t, "notes without an end of line", string(content))
}
