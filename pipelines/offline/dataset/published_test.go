package dataset

import (
	"testing"

	"github.com/stretchr/testify/require"
)

var s3recFiles = map[string]string{
	"Toys.txt":                  "1 1 2 3 4\n2 2 4 1\n",
	"Toys_item2attributes.json": `{"1": [7, 8], "4": [8]}`,
}

func TestReadS3Rec(t *testing.T) {
	s, err := ReadS3Rec(write(t, s3recFiles))
	require.NoError(t, err)
	require.Equal(t, [][]int32{{0, 1}, {1}}, s.Train)
	require.Equal(t, [][]int32{{0, 1, 2}, {1, 3}}, s.Known)
	require.Equal(t, []Case{
		{User: 0, History: []int32{0, 1}, Targets: []int32{2}},
		{User: 1, History: []int32{1}, Targets: []int32{3}},
	}, s.Validation)
	require.Equal(t, []Case{
		{User: 0, History: []int32{0, 1, 2}, Targets: []int32{3}},
		{User: 1, History: []int32{1, 3}, Targets: []int32{0}},
	}, s.Test)
	require.False(t, s.IncludeSeen)
	require.Len(t, s.Items, 4)
	require.Equal(t, []string{"7", "8"}, s.Items[0].Tags)
	require.Empty(t, s.Items[1].Tags)
	require.Equal(t, "4", s.Items[3].ItemID)
}

var sessionFiles = map[string]string{
	"shop.train.txt": "1 2\n3 4 5\n1 3\n2 2\n1 4\n5 4\n3 1\n2 5\n1 1\n4 3\n1 5\n2 3\n5 1\n3 3\n4 5\n2 4\n1 2\n5 2\n4 1\n1 2 3\n",
	"shop.test.txt":  "1 2\t1\n1\t2\n",
}

func TestReadSessions(t *testing.T) {
	s, err := ReadSessions(write(t, sessionFiles))
	require.NoError(t, err)
	require.Len(t, s.Train, 19, "of 20 sessions the newest twentieth is validation")
	require.Len(t, s.Known, 20)
	require.Equal(t, []Case{
		{User: 19, History: []int32{0}, Targets: []int32{1}},
		{User: 19, History: []int32{0, 1}, Targets: []int32{2}},
	}, s.Validation)
	require.Equal(t, []Case{
		{User: 20, History: []int32{0, 1}, Targets: []int32{0}},
		{User: 21, History: []int32{0}, Targets: []int32{1}},
	}, s.Test)
	require.True(t, s.IncludeSeen)
	require.Len(t, s.Items, 5)
}

func TestPublishedFormatsRefuse(t *testing.T) {
	for name, c := range map[string]struct {
		read       func(string) (*Sequences, error)
		files      map[string]string
		file, text string
		want       string
	}{
		"S3-Rec: too short a row":    {ReadS3Rec, s3recFiles, "Toys.txt", "1 1 2\n", "Toys.txt:1: 3 fields"},
		"S3-Rec: no number":          {ReadS3Rec, s3recFiles, "Toys.txt", "1 1 2 x\n", `item "x"`},
		"S3-Rec: number out of hand": {ReadS3Rec, s3recFiles, "Toys.txt", "1 1 2 2000000000\n", `item "2000000000"`},
		"S3-Rec: attributes":         {ReadS3Rec, s3recFiles, "Toys_item2attributes.json", "{", "decoding Toys_item2attributes.json"},
		"S3-Rec: two data sets":      {ReadS3Rec, s3recFiles, "Games_item2attributes.json", "{}", "2 files"},
		"sessions: no answer":        {ReadSessions, sessionFiles, "shop.test.txt", "1\n", "shop.test.txt:1: 1 fields"},
		"sessions: two data sets":    {ReadSessions, sessionFiles, "other.train.txt", "1 2\n", "2 files"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := c.read(write(t, with(c.files, c.file, c.text)))
			require.ErrorContains(t, err, c.want)
		})
	}
}

func TestDetectFormat(t *testing.T) {
	for want, files := range map[string]map[string]string{
		"gsasrec": splitFiles, "s3rec": s3recFiles, "sessions": sessionFiles, MovieLensFormat: {"ratings.csv": ""},
	} {
		got, err := DetectFormat(write(t, files))
		require.NoError(t, err)
		require.Equal(t, want, got)
	}
	_, err := DetectFormat(t.TempDir())
	require.ErrorContains(t, err, "--format")
}

func TestRandomSplit(t *testing.T) {
	dir := publicData(t, "ml-100k")
	s, err := ReadRandomSplit(dir)
	require.NoError(t, err)
	require.Len(t, s.Test, 20_000)
	require.Len(t, s.Validation, 5_000)
	known := 0
	for _, row := range s.Known {
		known += len(row)
	}
	require.Equal(t, 80_000, known)
	all, err := ReadMovieLens(dir)
	require.NoError(t, err)
	rated := make([][]int32, len(all.Users)) // whatever the stars were
	for _, e := range all.Events {
		rated[e.User] = append(rated[e.User], e.Item)
	}
	for _, c := range s.Test {
		require.Subset(t, rated[c.User], c.History)
		require.NotContains(t, c.History, c.Targets[0])
	}
}

func TestHideItems(t *testing.T) {
	s, err := ReadS3Rec(write(t, s3recFiles))
	require.NoError(t, err)
	s.HideItems(0.5, 3)
	known := map[int32]bool{}
	for _, row := range s.Known {
		for _, item := range row {
			known[item] = true
		}
	}
	require.LessOrEqual(t, len(known), 2, "half of four items are hidden")
	for _, row := range s.Train {
		for _, item := range row {
			require.True(t, known[item])
		}
	}
	for _, c := range s.Validation {
		require.True(t, known[c.Targets[0]], "validation asks for known items")
	}
	for _, c := range s.Test {
		require.False(t, known[c.Targets[0]], "the test asks for hidden items")
	}
	again, err := ReadS3Rec(write(t, s3recFiles))
	require.NoError(t, err)
	again.HideItems(0.5, 3)
	require.Equal(t, s, again, "the same seed hides the same")
}

func TestReadPublicData(t *testing.T) {
	for name, want := range map[string]struct {
		format             string
		items, known, test int
	}{
		"beauty":     {"s3rec", 12_101, 22_363, 22_363},
		"diginetica": {"sessions", 43_097, 186_670, 60_858},
		"ml-1m":      {"gsasrec", 3_416, 6_040, 6_040},
	} {
		t.Run(name, func(t *testing.T) {
			dir := publicData(t, name)
			format, err := DetectFormat(dir)
			require.NoError(t, err)
			require.Equal(t, want.format, format)
			s, err := ReadFormat(format, dir)
			require.NoError(t, err)
			require.Len(t, s.Items, want.items)
			require.Len(t, s.Known, want.known)
			require.Len(t, s.Test, want.test)
		})
	}
	_, err := ReadFormat("nonsense", t.TempDir())
	require.ErrorContains(t, err, "choose one of gsasrec, random, s3rec, sessions")
}
