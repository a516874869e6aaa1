package interchange

import (
	"encoding/json"
	"math/rand/v2"
	"os"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

var catalogue = []towers.ItemFeatures{
	{ItemID: "a", Title: "Toy Story", Categories: []string{"Comedy", "Children"}},
	{ItemID: "b", Title: "Another Story", Categories: []string{"Comedy"}},
	{ItemID: "c", Title: "Heat", Categories: []string{"Action"}, Brand: "WB"},
	{ItemID: "d"},
}

// shapes are what is exported in tests: odd and even sizes, depths, heads, inputs.
var shapes = []towertest.Shape{
	{Dim: 1, Layers: 1, Seed: 1},
	{Dim: 5, Layers: 1, Seed: 2},
	{Dim: 16, Layers: 2, Seed: 3},
	{Dim: 12, Layers: 2, Heads: 3, Seed: 4},
	{Dim: 64, Layers: 3, Heads: 2, Seed: 5},
	{Dim: 16, Layers: 2, Seed: 6, Reads: towers.Inputs{Kinds: []schemas.InteractionType{schemas.View, schemas.Hide}}},
	{Dim: 5, Layers: 2, Seed: 7, Reads: towers.Inputs{Gaps: true}},
	{Dim: 12, Layers: 2, Heads: 3, Seed: 8, Reads: towertest.Everything},
}

// jittered makes a bundle's weights differ from those that training begins with: gains of 1 and biases of 0 would hide one that is
// left out.
func jittered(s towertest.Shape) *towers.Bundle {
	s.Unknown = map[string]bool{"c": true}
	b := towertest.Bundle(s, catalogue)
	rng := rand.New(rand.NewPCG(s.Seed, 2))
	for _, head := range b.Users {
		for i := range head.Flat {
			head.Flat[i] += float32(rng.NormFloat64() * 0.05)
		}
	}
	return b
}

func writeBundle(t *testing.T, s towertest.Shape) string {
	t.Helper()
	dir := t.TempDir() + "/bundle"
	_, err := towers.WriteBundle(dir, jittered(s))
	require.NoError(t, err)
	return dir
}

func TestExportWritesFourFiles(t *testing.T) {
	bundle, out := writeBundle(t, shapes[3]), t.TempDir()+"/deep/out"
	written, err := Export(bundle, out, "1.2.3")
	require.NoError(t, err)
	require.Len(t, written, 4)
	var first [][]byte
	for _, w := range written {
		content, err := os.ReadFile(w.Path)
		require.NoError(t, err)
		require.Len(t, content, w.Bytes)
		first = append(first, content)
	}
	var vocabulary Vocabulary
	require.NoError(t, json.Unmarshal(first[3], &vocabulary))
	require.Equal(t, []string{"a", "b", "d"}, vocabulary.IDs)
	require.Contains(t, vocabulary.Tokens, "category:comedy")
	require.Equal(t, len(catalogue), vocabulary.Data.Items)

	_, err = Export(bundle, out, "1.2.3")
	require.NoError(t, err, "an earlier export is replaced")
	for i, w := range written {
		content, err := os.ReadFile(w.Path)
		require.NoError(t, err)
		require.Equal(t, first[i], content)
	}
	left, err := filepath.Glob(out + "/*.new")
	require.NoError(t, err)
	require.Empty(t, left)
}

func TestExportRefuses(t *testing.T) {
	_, err := Export(t.TempDir()+"/none", t.TempDir(), "")
	require.True(t, towers.IsMissing(err))
	file := t.TempDir() + "/file"
	require.NoError(t, os.WriteFile(file, nil, 0o600))
	_, err = Export(writeBundle(t, shapes[0]), file, "")
	require.ErrorContains(t, err, "making the folder to export to")
}
