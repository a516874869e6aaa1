package towers

import (
	"math"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

func tokensOf(f *ItemFeatures) []string {
	var got []string
	f.Tokens(func(tok []byte) { got = append(got, string(tok)) })
	return got
}

func TestTokens(t *testing.T) {
	day := time.Date(1995, 7, 1, 0, 0, 0, 0, time.UTC)
	cases := map[string]struct {
		f    ItemFeatures
		want []string
	}{
		"nothing": {ItemFeatures{ItemID: "x"}, nil},
		"everything": {
			ItemFeatures{Title: "Toy Story (1995)", Description: "A toy's tale", Brand: " Pixar ", Categories: []string{"Comedy", " "},
				Tags: []string{"Pixar Animation"}, Price: new(10.0), PublishedAt: day},
			[]string{"category:comedy", "tag:pixar animation", "brand:pixar", "price:6", "year:1995", "decade:199",
				"title:toy", "title:story", "text:a", "text:toy", "text:s", "text:tale"},
		},
		"other scripts":   {ItemFeatures{Title: "Amélie 三十"}, []string{"title:amélie", "title:三十"}},
		"a year apart":    {ItemFeatures{Title: "1984", PublishedAt: day}, []string{"year:1995", "decade:199", "title:1984"}},
		"free":            {ItemFeatures{Price: new(0.0)}, []string{"price:-100"}},
		"no price at all": {ItemFeatures{Price: new(math.NaN())}, nil},
		"negative price":  {ItemFeatures{Price: new(-1.0)}, nil},
		"long word":       {ItemFeatures{Title: strings.Repeat("x", 1000)}, []string{"title:" + strings.Repeat("x", maxTokenBytes)}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) { require.Equal(t, c.want, tokensOf(&c.f)) })
	}
	require.Len(t, tokensOf(&ItemFeatures{Title: strings.Repeat("word ", 1<<18)}), maxTitleWords)
}

func TestFeaturesOf(t *testing.T) {
	c := schemas.ItemChange{ItemID: "i", Title: "t", Description: "d", Brand: "b", Categories: []string{"c"}, Tags: []string{"g"},
		Price: new(2.0), PublishedAt: time.Unix(5, 0)}
	require.Equal(t, ItemFeatures{ItemID: "i", Title: "t", Description: "d", Brand: "b", Categories: []string{"c"},
		Tags: []string{"g"}, Price: c.Price, PublishedAt: c.PublishedAt}, FeaturesOf(&c))
}

func TestBuildVocabulary(t *testing.T) {
	items := []ItemFeatures{
		{Title: "the the cat", Categories: []string{"X"}}, {Title: "the dog", Categories: []string{"X"}}, {Title: "dog dog"},
	}
	require.Equal(t, []string{"category:x", "title:dog", "title:the"},
		BuildVocabulary(items, VocabularyConfig{MinItems: 2, MaxWordShare: 1, MaxTokens: 10}))
	require.Equal(t, []string{"category:x"},
		BuildVocabulary(items, VocabularyConfig{MinItems: 2, MaxWordShare: 1, MaxTokens: 1}))

	var many []ItemFeatures
	for range 100 {
		many = append(many, ItemFeatures{Title: "the", Categories: []string{"X"}})
	}
	many = append(many, ItemFeatures{Title: "cat"}, ItemFeatures{Title: "cat"})
	require.Equal(t, []string{"category:x", "title:cat"}, BuildVocabulary(many, DefaultVocabularyConfig()))
}

func TestVocabularyConfigValidate(t *testing.T) {
	require.NoError(t, DefaultVocabularyConfig().Validate())
	for field, c := range map[string]VocabularyConfig{
		"min_items":      {MinItems: 0, MaxWordShare: 1, MaxTokens: 1},
		"max_word_share": {MinItems: 1, MaxWordShare: math.NaN(), MaxTokens: 1},
		"max_tokens":     {MinItems: 1, MaxWordShare: 1},
	} {
		require.ErrorContains(t, c.Validate(), field)
	}
}

func TestItemEncode(t *testing.T) {
	tower := NewItemTower("v", &ItemWeights{
		Dim: 2, IDs: []string{"known"}, ID: []float32{10, 20},
		Tokens: []string{"category:a", "category:b"}, Content: []float32{1, 2, 3, 6},
	})
	cases := map[string]struct {
		f    ItemFeatures
		want []float32
	}{
		"id and content":     {ItemFeatures{ItemID: "known", Categories: []string{"a", "b"}}, []float32{12, 24}},
		"id alone":           {ItemFeatures{ItemID: "known"}, []float32{10, 20}},
		"content alone":      {ItemFeatures{ItemID: "new", Categories: []string{"B"}}, []float32{3, 6}},
		"twice the same":     {ItemFeatures{ItemID: "new", Categories: []string{"a", "a", "b"}}, []float32{2, 4}},
		"unknown ignored":    {ItemFeatures{ItemID: "new", Categories: []string{"a", "z"}}, []float32{1, 2}},
		"nothing known":      {ItemFeatures{ItemID: "new", Categories: []string{"z"}}, []float32{0, 0}},
		"nothing whatsoever": {ItemFeatures{}, []float32{0, 0}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := []float32{-1, -1}
			tower.Encode(got, &c.f)
			require.Equal(t, c.want, got)
		})
	}
	require.True(t, tower.Knows("known"))
	require.False(t, tower.Knows("new"))
}

func TestItemEncodeConcurrently(t *testing.T) {
	b := testBundle(1)
	tower := NewItemTower("v", b.Items)
	want := make([][]float32, len(catalogue))
	for i := range catalogue {
		want[i] = make([]float32, 8)
		tower.Encode(want[i], &catalogue[i])
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got := make([]float32, 8)
			for n := range 300 {
				i := n % len(catalogue)
				tower.Encode(got, &catalogue[i])
				if !equalBits(want[i], got) {
					t.Error("two goroutines disturbed each other")
				}
			}
		})
	}
	wg.Wait()
}

func TestCountsForTaste(t *testing.T) {
	want := map[schemas.InteractionType]bool{
		schemas.UnknownInteraction: false, schemas.Impression: false, schemas.View: true, schemas.Click: true,
		schemas.Like: true, schemas.Dislike: false, schemas.AddToCart: true, schemas.Purchase: true, schemas.Rating: true,
		schemas.Complete: true, schemas.Hide: false,
	}
	for typ, counts := range want {
		require.Equal(t, counts, CountsForTaste(typ), "type %d", typ)
	}
}

// FuzzTokens holds that no item makes Tokens panic or emit an empty or overlong token.
func FuzzTokens(f *testing.F) {
	f.Add("Toy Story (1995)", "Comedy", 3.5, int64(804556800))
	f.Add("\xff\xfe", " \t", -1.0, int64(-1<<62))
	f.Fuzz(func(t *testing.T, text, label string, p float64, at int64) {
		item := ItemFeatures{Title: text, Description: text, Brand: label, Categories: []string{label}, Tags: []string{text},
			Price: &p, PublishedAt: time.Unix(at, 0)}
		item.Tokens(func(tok []byte) {
			field, value, ok := strings.Cut(string(tok), ":")
			if !ok || field == "" || value == "" || len(value) > maxTokenBytes+3 {
				t.Fatalf("token %q", tok)
			}
		})
	})
}

func BenchmarkItemEncode(b *testing.B) {
	tower := NewItemTower("v", testBundle(1).Items)
	dst := make([]float32, 8)
	b.ReportAllocs()
	for b.Loop() {
		tower.Encode(dst, &catalogue[0])
	}
}
