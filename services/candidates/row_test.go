package candidates_test

import (
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
)

func TestRowOfNamesWhatIsMissing(t *testing.T) {
	r := candidates.RowOf(&schemas.ItemChange{ItemID: "a", Op: schemas.UpsertItem, Available: true}, nil)
	require.True(t, r.Available)
	require.InDelta(t, candidates.NoPrice, r.Price, 0)
	require.Zero(t, r.PublishedAt)
	require.Equal(t, []string{candidates.Everywhere}, r.Regions)
	require.False(t, candidates.RowOf(new(schemas.ItemChange{ItemID: "a", Op: schemas.DeleteItem, Available: true}), nil).Available)
}

func TestFilterDigestSeesEveryFilterField(t *testing.T) {
	base := candidates.Row{ItemID: "a", Vector: []float32{1}, Categories: []string{"x", "y"}, Regions: []string{"DE"}, Brand: "b"}
	digests := map[uint64]string{base.FilterDigest(): "base"}
	for name, change := range map[string]func(*candidates.Row){
		"available":        func(r *candidates.Row) { r.Available = true },
		"price":            func(r *candidates.Row) { r.Price = 1 },
		"published_at":     func(r *candidates.Row) { r.PublishedAt = time.Now().UnixMilli() },
		"brand":            func(r *candidates.Row) { r.Brand = "c" },
		"min_age":          func(r *candidates.Row) { r.MinAge = 18 },
		"categories":       func(r *candidates.Row) { r.Categories = []string{"x"} },
		"one category":     func(r *candidates.Row) { r.Categories = []string{"xy"} },
		"regions":          func(r *candidates.Row) { r.Regions = nil },
		"category, region": func(r *candidates.Row) { r.Categories, r.Regions = []string{"x"}, []string{"y", "DE"} },
	} {
		r := base
		change(&r)
		d := r.FilterDigest()
		require.NotContains(t, digests, d, name)
		digests[d] = name
	}
	same := base
	same.ItemID, same.Vector = "other", nil
	require.Equal(t, base.FilterDigest(), same.FilterDigest())
}

func TestConfigRefusals(t *testing.T) {
	require.NoError(t, candidates.DefaultConfig().Validate())
	for field, change := range map[string]func(*candidates.Config){
		"address":      func(c *candidates.Config) { c.Address = "" },
		"collection":   func(c *candidates.Config) { c.Collection = "a-b" },
		"alias":        func(c *candidates.Config) { c.Alias = "1a" },
		"dial_timeout": func(c *candidates.Config) { c.DialTimeout = 0 },
		"call_timeout": func(c *candidates.Config) { c.CallTimeout = -1 },
		"load_timeout": func(c *candidates.Config) { c.LoadTimeout = 0 },
		"write_rows":   func(c *candidates.Config) { c.WriteRows = 0 },
		"consistency":  func(c *candidates.Config) { c.Consistency = "strong" },
		"hnsw":         func(c *candidates.Config) { c.HNSW.M = 2 },
		"hnsw.ef":      func(c *candidates.Config) { c.HNSW.Ef = 0 },
	} {
		c := candidates.DefaultConfig()
		change(&c)
		require.ErrorContains(t, c.Validate(), field)
	}
}
