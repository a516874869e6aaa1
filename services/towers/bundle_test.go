package towers

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"maps"
	"math"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

var catalogue = []ItemFeatures{
	{ItemID: "a", Title: "Toy Story", Categories: []string{"Comedy", "Children"}},
	{ItemID: "b", Title: "Another Story", Categories: []string{"Comedy"}},
	{ItemID: "c", Title: "Heat", Categories: []string{"Action"}, Brand: "WB"},
}

func testBundle(seed uint64) *Bundle {
	rng := rand.New(rand.NewPCG(seed, 0))
	vocabulary := VocabularyConfig{MinItems: 1, MaxWordShare: 1, MaxTokens: 1000}
	items := NewItemWeights(8, []string{"a", "b"}, BuildVocabulary(catalogue, vocabulary))
	items.Randomise(rng)
	users := NewUserWeights(8, 2)
	users.Randomise(rng)
	return &Bundle{
		Created: time.Date(2026, 11, 23, 19, 0, 0, 0, time.UTC), Vocabulary: vocabulary,
		Data: DataRange{Users: 5, Items: 3, Events: 9}, Metrics: map[string]float64{"recall_at_10": 0.25},
		Items: items, Users: []*UserWeights{users},
	}
}

func writeTestBundle(t *testing.T, seed uint64) (string, Manifest) {
	t.Helper()
	dir := filepath.Join(t.TempDir(), "models", "bundle")
	m, err := WriteBundle(dir, testBundle(seed))
	require.NoError(t, err)
	return dir, m
}

func loadBoth(dir string) error {
	if _, err := LoadItemTower(dir); err != nil {
		return err
	}
	_, err := LoadUserTower(dir)
	return err
}

func TestBundleRoundTrip(t *testing.T) {
	b := testBundle(1)
	dir, m := writeTestBundle(t, 1)
	loaded, err := LoadManifest(dir)
	require.NoError(t, err)
	require.Equal(t, m, loaded)
	require.Regexp(t, `^20261123t190000_[0-9a-f]{8}$`, m.Version)

	items, err := LoadItemTower(dir)
	require.NoError(t, err)
	users, err := LoadUserTower(dir)
	require.NoError(t, err)
	require.Equal(t, m.Version, items.Version())
	require.Equal(t, m.Version, users.Version())
	require.Equal(t, b.Items, items.Weights())
	require.Equal(t, b.Users, users.Heads())

	left, err := os.ReadDir(filepath.Dir(dir))
	require.NoError(t, err)
	require.Len(t, left, 1, "only the bundle stays in its parent folder")
}

func TestTowersLoadApart(t *testing.T) {
	dir, _ := writeTestBundle(t, 1)
	require.NoError(t, os.Remove(filepath.Join(dir, userFile)))
	_, err := LoadItemTower(dir)
	require.NoError(t, err)

	dir, _ = writeTestBundle(t, 1)
	require.NoError(t, os.Remove(filepath.Join(dir, itemFile)))
	require.NoError(t, os.Remove(filepath.Join(dir, vocabularyFile)))
	_, err = LoadUserTower(dir)
	require.NoError(t, err)
}

func TestWriteBundleReplaces(t *testing.T) {
	dir, first := writeTestBundle(t, 1)
	second, err := WriteBundle(dir, testBundle(2))
	require.NoError(t, err)
	require.NotEqual(t, first.Version, second.Version)
	users, err := LoadUserTower(dir)
	require.NoError(t, err)
	require.Equal(t, second.Version, users.Version())
}

func TestEqualWeightsGetEqualVersions(t *testing.T) {
	_, first := writeTestBundle(t, 1)
	_, again := writeTestBundle(t, 1)
	require.Equal(t, first, again)
}

func TestWriteBundleRefuses(t *testing.T) {
	b := testBundle(1)
	b.Version = "Not a Version"
	_, err := WriteBundle(t.TempDir()+"/b", b)
	require.ErrorContains(t, err, `"Not a Version"`)
	b = testBundle(1)
	b.Users = []*UserWeights{NewUserWeights(4, 2)}
	_, err = WriteBundle(t.TempDir()+"/b", b)
	require.ErrorContains(t, err, "train both together")
	b.Users = []*UserWeights{NewUserWeights(4, 2), NewUserWeights(4, 1)}
	_, err = WriteBundle(t.TempDir()+"/b", b)
	require.ErrorContains(t, err, "heads of one shape")
}

// editFile changes a file and, when honest, the manifest's checksum of it as well.
func editFile(t *testing.T, dir, name string, honest bool, edit func([]byte) []byte) {
	t.Helper()
	path := filepath.Join(dir, name)
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	b = edit(b)
	require.NoError(t, os.WriteFile(path, b, 0o644))
	if honest {
		editManifest(t, dir, func(m *Manifest) { m.Checksums[name] = checksumOf(b) })
	}
}

func editManifest(t *testing.T, dir string, edit func(*Manifest)) {
	t.Helper()
	m, err := LoadManifest(dir)
	require.NoError(t, err)
	edit(&m)
	b, err := json.Marshal(&m)
	require.NoError(t, err)
	require.NoError(t, os.WriteFile(filepath.Join(dir, manifestFile), b, 0o644))
}

func TestLoadRefuses(t *testing.T) {
	cut := func(n int) func([]byte) []byte { return func(b []byte) []byte { return b[:len(b)-n] } }
	cases := map[string]struct {
		spoil func(t *testing.T, dir string)
		is    func(error) bool
		says  string
	}{
		"no bundle": {func(t *testing.T, dir string) { require.NoError(t, os.RemoveAll(dir)) }, IsMissing, "freshet train"},
		"no user tower": {func(t *testing.T, dir string) { require.NoError(t, os.Remove(filepath.Join(dir, userFile))) },
			IsMissing, userFile},
		"manifest is not JSON": {func(t *testing.T, dir string) {
			editFile(t, dir, manifestFile, false, cut(20))
		}, IsCorrupted, manifestFile},
		"another format": {func(t *testing.T, dir string) {
			editManifest(t, dir, func(m *Manifest) { m.Format = "onnx" })
		}, IsUnsupported, `"onnx"`},
		"a later format version": {func(t *testing.T, dir string) {
			editManifest(t, dir, func(m *Manifest) { m.FormatVersion = 9 })
		}, IsUnsupported, "format_version is 9"},
		"a version that no collection can be named after": {func(t *testing.T, dir string) {
			editManifest(t, dir, func(m *Manifest) { m.Version = "a-b" })
		}, IsCorrupted, `"a-b"`},
		"absurd dimensions": {func(t *testing.T, dir string) {
			editManifest(t, dir, func(m *Manifest) { m.Dim = 1 << 30 })
		}, IsCorrupted, "dim 1073741824"},
		"other dimensions than the weights": {func(t *testing.T, dir string) {
			editManifest(t, dir, func(m *Manifest) { m.Dim = 16 })
		}, IsMismatched, "manifest calls for"},
		"more layers than the weights": {func(t *testing.T, dir string) {
			editManifest(t, dir, func(m *Manifest) { m.Layers = 3 })
		}, IsMismatched, "tensors"},
		"another number of items": {func(t *testing.T, dir string) {
			editManifest(t, dir, func(m *Manifest) { m.Features.Items = 7 })
		}, IsMismatched, "lists 2 items"},
		"truncated user tower": {func(t *testing.T, dir string) { editFile(t, dir, userFile, false, cut(5)) },
			IsTruncated, userFile},
		"truncated item tower": {func(t *testing.T, dir string) { editFile(t, dir, itemFile, false, cut(5)) },
			IsTruncated, itemFile},
		"truncated, with a checksum to match": {func(t *testing.T, dir string) {
			editFile(t, dir, userFile, true, cut(5))
		}, IsTruncated, userFile},
		"one bit flipped": {func(t *testing.T, dir string) {
			editFile(t, dir, userFile, false, func(b []byte) []byte { b[len(b)/2] ^= 1; return b })
		}, IsCorrupted, "another bundle"},
		"longer than it was": {func(t *testing.T, dir string) {
			editFile(t, dir, vocabularyFile, false, func(b []byte) []byte { return append(b, 0) })
		}, IsCorrupted, vocabularyFile},
		"user tower of another bundle": {func(t *testing.T, dir string) {
			other, _ := writeTestBundle(t, 2)
			editFile(t, dir, userFile, false, func([]byte) []byte { return mustRead(t, filepath.Join(other, userFile)) })
		}, IsCorrupted, "another bundle"},
		"the two towers swapped": {func(t *testing.T, dir string) {
			other := mustRead(t, filepath.Join(dir, userFile))
			editFile(t, dir, itemFile, true, func([]byte) []byte { return other })
		}, IsMismatched, itemFile},
		"a vocabulary in place of weights": {func(t *testing.T, dir string) {
			other := mustRead(t, filepath.Join(dir, vocabularyFile))
			editFile(t, dir, userFile, true, func([]byte) []byte { return other })
		}, IsUnsupported, "begins with"},
		"a later file version": {func(t *testing.T, dir string) {
			editFile(t, dir, userFile, true, func(b []byte) []byte { b[8] = 9; return b })
		}, IsUnsupported, "format version 9"},
		"not a number": {func(t *testing.T, dir string) {
			editFile(t, dir, userFile, true, func(b []byte) []byte {
				binary.LittleEndian.PutUint32(b[len(b)-4:], math.Float32bits(float32(math.NaN())))
				return b
			})
		}, IsCorrupted, "NaN"},
		"no checksum": {func(t *testing.T, dir string) {
			editManifest(t, dir, func(m *Manifest) {
				maps.DeleteFunc(m.Checksums, func(k string, _ Checksum) bool { return k == userFile })
			})
		}, IsCorrupted, "no checksum"},
	}
	for name, c := range cases {
		t.Run(name, func(t *testing.T) {
			dir, _ := writeTestBundle(t, 1)
			c.spoil(t, dir)
			err := loadBoth(dir)
			require.Error(t, err)
			require.True(t, c.is(err), "%v", err)
			require.True(t, IsRefused(err))
			require.ErrorContains(t, err, c.says)
			kinds := []func(error) bool{IsMissing, IsTruncated, IsCorrupted, IsMismatched, IsUnsupported}
			require.Len(t, slices.DeleteFunc(kinds, func(is func(error) bool) bool { return !is(err) }), 1)
		})
	}
}

func mustRead(t *testing.T, path string) []byte {
	t.Helper()
	b, err := os.ReadFile(path)
	require.NoError(t, err)
	return b
}

// FuzzDecodeTensors holds that hostile bytes give a refusal or finite tensors that encode to the same bytes.
func FuzzDecodeTensors(f *testing.F) {
	good := encodeTensors(headTensors(testBundle(1).Users))
	f.Add(good)
	f.Add(good[:len(good)/2])
	f.Add(good[:headBytes])
	f.Add([]byte{})
	f.Add(append([]byte(weightsMagic), 1, 0, 255, 255, 255, 255))
	huge := append([]byte(weightsMagic), 1, 0, 1, 0, 0, 0, 1, 0, 0, 0, 'x')
	f.Add(append(huge, 255, 255, 255, 255, 255, 255, 255, 255))
	f.Fuzz(func(t *testing.T, b []byte) {
		ts, err := decodeTensors("fuzz", b)
		if err != nil {
			require.True(t, IsRefused(err))
			return
		}
		require.Equal(t, b, encodeTensors(ts))
	})
}

// FuzzDecodeLists holds the same for vocabularies.
func FuzzDecodeLists(f *testing.F) {
	f.Add(encodeLists([]string{"a", "b"}, []string{"x:y"}))
	f.Add(encodeLists(nil, nil))
	f.Add(append([]byte(vocabularyMagic), 1, 0, 2, 0, 0, 0, 255, 255, 255, 255))
	f.Fuzz(func(t *testing.T, b []byte) {
		lists, err := decodeLists("fuzz", b, 2)
		if err != nil {
			require.True(t, IsRefused(err))
			return
		}
		require.Equal(t, b, encodeLists(lists...))
	})
}

func TestBundleWithHeads(t *testing.T) {
	b := testBundle(1)
	b.Users = nil
	for k := range 2 {
		head := NewUserWeights(4, 2)
		head.Randomise(rand.New(rand.NewPCG(5, uint64(k))))
		b.Users = append(b.Users, head)
	}
	dir := filepath.Join(t.TempDir(), "bundle")
	m, err := WriteBundle(dir, b)
	require.NoError(t, err)
	require.Equal(t, 8, m.Dim)
	require.Equal(t, 2, m.Heads)
	users, err := LoadUserTower(dir)
	require.NoError(t, err)
	require.Equal(t, b.Users, users.Heads())

	editFile(t, dir, manifestFile, false, func(raw []byte) []byte {
		return bytes.Replace(raw, []byte(`"heads": 2`), []byte(`"heads": 3`), 1)
	})
	_, err = LoadUserTower(dir)
	require.ErrorContains(t, err, "3 heads cannot share dim 8")
}
