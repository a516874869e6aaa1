package towers

import (
	"hash/fnv"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/stretchr/testify/require"
)

// naiveBuckets is AppendQueryBuckets from its definition.
func naiveBuckets(text string, buckets int) []int32 {
	text = text[:min(len(text), maxQueryBytes)]
	words := strings.FieldsFunc(text, func(r rune) bool { return !unicode.IsLetter(r) && !unicode.IsDigit(r) })
	var all []int32
	add := func(kind, feature string) {
		h := fnv.New64a()
		_, _ = h.Write([]byte(kind + feature))
		all = append(all, bucketOf(h.Sum64(), uint64(buckets-1)))
	}
	for _, word := range words[:min(len(words), maxQueryWords)] {
		var kept []rune
		size := 1
		for _, r := range word {
			if size > maxTokenBytes {
				break
			}
			kept = append(kept, unicode.ToLower(r))
			size += len(string(unicode.ToLower(r)))
		}
		marked := []rune("<" + string(kept) + ">")
		add("w", string(marked))
		for at := range marked {
			for n := 3; n <= 5 && at+n <= len(marked); n++ {
				add("g", string(marked[at:at+n]))
			}
		}
	}
	return all
}

func TestQueryBuckets(t *testing.T) {
	for _, text := range []string{
		"", "?!", "a", "Tent", "Toy Story (1995)", "chef's knife", "Amélie 三十", "  x  ", "\xff\xfetent\xff", "ǅ", "İstanbul",
		strings.Repeat("x", 200), strings.Repeat("日", 100), strings.Repeat("ab ", 100), strings.Repeat("word ", 1<<18),
	} {
		require.Equal(t, naiveBuckets(text, 1<<12), AppendQueryBuckets(nil, text, 1<<12), "%.40q", text)
		words := strings.Join(QueryWords(text), " ")
		require.Equal(t, AppendQueryBuckets(nil, words, 1<<12), AppendQueryBuckets(nil, text, 1<<12), "%.40q", text)
	}
	require.Equal(t, AppendQueryBuckets(nil, "tent", 1<<20), AppendQueryBuckets(nil, " TENT!", 1<<20))
	require.Len(t, AppendQueryBuckets(nil, "art", 1<<20), 1+3+2+1, "the word, <ar art rt>, <art art>, <art>")
	require.Len(t, AppendQueryBuckets(nil, strings.Repeat("y", 1<<20), 1<<10), 1+64+63+62, "a word is cut")
}

func FuzzQueryBuckets(f *testing.F) {
	f.Add("Toy Story (1995)")
	f.Add("\xff三十 \u0130")
	f.Fuzz(func(t *testing.T, text string) {
		got := AppendQueryBuckets(nil, text, 256)
		require.Equal(t, naiveBuckets(text, 256), got)
		require.LessOrEqual(t, len(got), maxQueryWords*(3*maxTokenBytes+1))
	})
}

func testQueryWeights(dim int) *QueryWeights {
	rng := rand.New(rand.NewPCG(1, 9))
	known := make([]bool, 64)
	for b := range known {
		known[b] = rng.IntN(4) > 0
	}
	w := NewQueryWeights(dim, known)
	for i := range w.Embedding {
		w.Embedding[i] = float32(rng.NormFloat64())
	}
	for i := range w.Weight {
		w.Weight[i] = 1 - rng.Float32()
	}
	w.Length = 3
	return w
}

func TestQueryEncode(t *testing.T) {
	known := make([]bool, 1<<16)
	word := func(text string) int32 { return AppendQueryBuckets(nil, text, len(known))[0] }
	for _, text := range []string{"tent", "lamp", "stove", "zero"} {
		known[word(text)] = true
	}
	w := NewQueryWeights(2, known)
	w.Length = 10
	set := func(text string, weight, x, y float32) {
		r := w.Row[word(text)]
		w.Weight[r], w.Embedding[2*r], w.Embedding[2*r+1] = weight, x, y
	}
	set("tent", 1, 3, 4)
	set("lamp", 2, -1.5, -2)
	set("stove", 3, 5, 0)
	set("zero", 1, 0, 0)
	tower := NewQueryTower("v", w)
	cases := map[string]struct {
		text  string
		known bool
		want  []float32
	}{
		"one word":                   {"tent", true, []float32{6, 8}},
		"case and marks":             {"the TENT!", true, []float32{6, 8}},
		"weighed":                    {"tent stove", true, []float32{18 / float32(math.Hypot(18, 4)) * 10, 4 / float32(math.Hypot(18, 4)) * 10}},
		"nothing known":              {"boat", false, []float32{0, 0}},
		"nothing at all":             {"", false, []float32{0, 0}},
		"opposites":                  {"tent lamp", false, []float32{0, 0}},
		"an embedding of zero alone": {"zero", false, []float32{0, 0}},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			got := []float32{-1, -1}
			require.Equal(t, c.known, tower.Encode(got, c.text))
			require.InDeltaSlice(t, c.want, got, 1e-5)
		})
	}
}

func TestQueryEncodeDoesNotAllocate(t *testing.T) {
	if raceEnabled {
		t.Skip("the race detector's pool forgets on purpose")
	}
	tower, dst := NewQueryTower("v", testQueryWeights(8)), make([]float32, 8)
	long := strings.Repeat("word ", 1000)
	tower.Encode(dst, long)
	require.Zero(t, testing.AllocsPerRun(100, func() { tower.Encode(dst, long) }))
}

func TestQueryEncodeConcurrently(t *testing.T) {
	tower := NewQueryTower("v", testQueryWeights(8))
	texts := []string{"tent", "sleeping bag", "stove and lamp"}
	want := make([][]float32, len(texts))
	for i, text := range texts {
		want[i] = make([]float32, 8)
		tower.Encode(want[i], text)
	}
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			got := make([]float32, 8)
			for n := range 300 {
				tower.Encode(got, texts[n%len(texts)])
				if !equalBits(want[n%len(texts)], got) {
					t.Error("two goroutines disturbed each other")
				}
			}
		})
	}
	wg.Wait()
}

func writeQueryBundle(t *testing.T) (string, Manifest) {
	t.Helper()
	b := testBundle(1)
	b.Queries = testQueryWeights(8)
	dir := filepath.Join(t.TempDir(), "bundle")
	m, err := WriteBundle(dir, b)
	require.NoError(t, err)
	return dir, m
}

func TestQueryTowerTravelsInTheBundle(t *testing.T) {
	dir, m := writeQueryBundle(t)
	_, without := writeTestBundle(t, 1)
	require.NotEqual(t, without.Version, m.Version, "other weights are another version")
	require.NoError(t, loadBoth(dir))
	tower, err := LoadQueryTower(dir)
	require.NoError(t, err)
	require.Equal(t, m.Version, tower.Version())
	require.Equal(t, 8, tower.Dim())
	require.Equal(t, testQueryWeights(8), tower.w)

	b := testBundle(1)
	b.Queries = testQueryWeights(4)
	_, err = WriteBundle(t.TempDir()+"/b", b)
	require.ErrorContains(t, err, "query tower 4: train them together")
}

// A bundle of an earlier release has no query tower, and is no worse for all else.
func TestBundleWithoutAQueryTower(t *testing.T) {
	dir, _ := writeTestBundle(t, 1)
	require.NoError(t, loadBoth(dir))
	_, err := LoadQueryTower(dir)
	require.True(t, IsAbsent(err), "%v", err)
	require.False(t, IsMissing(err), "nothing that the manifest lists is missing")
	require.ErrorContains(t, err, "has no query tower; train it again")
}

func TestLoadQueryTowerRefuses(t *testing.T) {
	rewrite := func(change func(ts []tensor)) func(*testing.T, string) {
		return func(t *testing.T, dir string) {
			editFile(t, dir, queryFile, true, func([]byte) []byte {
				ts := testQueryWeights(8).tensors()
				change(ts)
				return encodeTensors(ts)
			})
		}
	}
	buckets := func(n int) func(ts []tensor) {
		return func(ts []tensor) { ts[0].cols, ts[0].data = n, ts[0].data[:n] }
	}
	cases := map[string]struct {
		spoil func(t *testing.T, dir string)
		is    func(error) bool
		says  string
	}{
		"no bundle": {func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(dir)) }, IsMissing, "freshet train"},
		"listed and not there": {func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, queryFile))) },
			IsMissing, queryFile},
		"truncated": {func(t *testing.T, dir string) {
			editFile(t, dir, queryFile, false, func(b []byte) []byte { return b[:len(b)-1] })
		}, IsTruncated, queryFile},
		"one bit flipped": {func(t *testing.T, dir string) {
			editFile(t, dir, queryFile, false, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		}, IsCorrupted, "another bundle"},
		"another tower": {func(t *testing.T, dir string) {
			other := mustRead(t, filepath.Join(dir, userFile))
			editFile(t, dir, queryFile, true, func([]byte) []byte { return other })
		}, IsMismatched, queryFile},
		"no tensor": {func(t *testing.T, dir string) {
			editFile(t, dir, queryFile, true, func([]byte) []byte { return encodeTensors(nil) })
		}, IsMismatched, "holds 0 tensors"},
		"another dim": {rewrite(func(ts []tensor) { ts[1].cols, ts[1].data = 4, ts[1].data[:4*ts[1].rows] }),
			IsMismatched, `calls for "embeddings"`},
		"more weights than embeddings": {rewrite(func(ts []tensor) { ts[1].rows, ts[1].data = 3, ts[1].data[:3*8] }),
			IsMismatched, "of 3 x 8"},
		"buckets that are no power of two": {rewrite(buckets(63)), IsCorrupted, "63 buckets"},
		"no buckets":                       {rewrite(buckets(0)), IsCorrupted, "0 buckets"},
		"a weight below zero":              {rewrite(func(ts []tensor) { ts[0].data[5] = -1 }), IsCorrupted, "weight -1 for bucket 5"},
		"no length":                        {rewrite(func(ts []tensor) { ts[2].data[0] = 0 }), IsCorrupted, "length 0"},
		"an absurd length":                 {rewrite(func(ts []tensor) { ts[2].data[0] = 1e30 }), IsCorrupted, "length 1e+30"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir, _ := writeQueryBundle(t)
			c.spoil(t, dir)
			_, err := LoadQueryTower(dir)
			require.Error(t, err)
			require.True(t, c.is(err), "%v", err)
			require.True(t, IsRefused(err))
			require.False(t, IsAbsent(err))
			require.ErrorContains(t, err, c.says)
		})
	}
}

// FuzzDecodeQueryWeights holds that hostile bytes give a refusal or a tower that works.
func FuzzDecodeQueryWeights(f *testing.F) {
	good := encodeTensors(testQueryWeights(2).tensors())
	f.Add(good)
	f.Add(good[:len(good)-3])
	f.Add(encodeTensors([]tensor{{"weights", 1 << 31, 0, nil}, {"embeddings", 0, 2, nil}, {"length", 1, 1, []float32{1}}}))
	f.Add([]byte{})
	f.Fuzz(func(t *testing.T, b []byte) {
		w, err := decodeQueryWeights("fuzz", b, 2)
		if err != nil {
			require.True(t, IsRefused(err))
			return
		}
		dst := make([]float32, 2)
		NewQueryTower("v", w).Encode(dst, "a tent")
		for _, v := range dst {
			require.False(t, math.IsNaN(float64(v)) || math.IsInf(float64(v), 0), "%v", dst)
		}
	})
}

func BenchmarkQueryEncode(b *testing.B) {
	tower, dst := NewQueryTower("v", testQueryWeights(64)), make([]float32, 64)
	b.ReportAllocs()
	for b.Loop() {
		tower.Encode(dst, "silent harbour tnet")
	}
}
