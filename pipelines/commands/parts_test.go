package commands_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/services/towers"
)

// writeInteractions makes a folder of the format events.
func writeInteractions(t *testing.T, rows []string) (dir string) {
	t.Helper()
	dir = t.TempDir()
	text := "user_id,item_id,type,occurred_at\n" + strings.Join(rows, "")
	require.NoError(t, os.WriteFile(filepath.Join(dir, "interactions.csv"), []byte(text), 0o600))
	return dir
}

// groceries are users who buy five favourites again and again, and impressions, which say nothing.
func groceries() (rows []string) {
	lots := rand.New(rand.NewPCG(3, 0))
	for u := range 40 {
		favourites := lots.Perm(60)[:5]
		at := 1_700_000_000_000
		for range 30 {
			at += 1 + lots.IntN(1e8)
			rows = append(rows, fmt.Sprintf("u%d,g%d,purchase,%d\n", u, favourites[lots.IntN(5)], at),
				fmt.Sprintf("u%d,g%d,impression,%d\n", u, lots.IntN(60), at+1))
		}
	}
	return rows
}

// baskets are bought on two days, by chance; the rows of a basket are sorted by item.
func baskets() (rows []string) {
	lots := rand.New(rand.NewPCG(5, 0))
	for u := range 60 {
		for day := range 2 {
			for item := range 40 {
				if lots.IntN(6) == 0 {
					rows = append(rows, fmt.Sprintf("u%d,p%02d,purchase,2024-01-%d\n", u, item, 10+7*day+u%5))
				}
			}
		}
	}
	for i := range rows {
		rows[i] = strings.TrimSuffix(rows[i], "\n") + "T00:00:00Z\n"
	}
	return rows
}

var (
	wasRead = regexp.MustCompile(`(?m)^(\d+) events (?:were read|are for training by the protocol.*):$`)
	became  = regexp.MustCompile(`(?m)^ +(\d+) are (.*)$`)
)

// accounted gives what a training says of its events, and holds that it adds up.
func accounted(t *testing.T, text string) (read int, all map[string]int) {
	t.Helper()
	head := wasRead.FindStringSubmatch(text)
	require.NotNil(t, head, text)
	read, err := strconv.Atoi(head[1])
	require.NoError(t, err)
	sum := 0
	all = map[string]int{}
	for _, line := range became.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(line[1])
		require.NoError(t, err)
		sum += n
		all[line[2]] = n
	}
	require.Equal(t, read, sum, text)
	return read, all
}

func beginning(t *testing.T, all map[string]int, with string) int {
	t.Helper()
	for what, n := range all {
		if strings.HasPrefix(what, with) {
			return n
		}
	}
	t.Fatalf("nothing %s in %v", with, all)
	return 0
}

func TestTrainAsksForRepeats(t *testing.T) {
	bundle := configure(t, nowhere, nowhere, nowhere)
	dir := writeInteractions(t, groceries())
	o := execute(t.Context(), "", "train", "--data", dir)
	require.Zero(t, o.code, o.err)
	require.Regexp(t, `\d\d\.\d % of the choices are of items that the user had before. Such items are targets too`, o.err)
	read, all := accounted(t, o.err)
	require.Equal(t, 2400, read)
	require.Equal(t, 40, beginning(t, all, "held back as test targets: each user's last choice"))
	behind := beginning(t, all, "held back with them")
	require.GreaterOrEqual(t, behind, 40, "an impression each")
	require.Less(t, behind, 120, "and hardly anything else")
	past := .85 * float64(2400-40-behind)
	require.InDelta(t, .15/.85*past, beginning(t, all, "held back because they are later than the oldest 85 % (--past)"), 3)
	require.InDelta(t, past/2, beginning(t, all, "impressions"), 40)
	learnt, validation := beginning(t, all, "trained on, from 2023-11-14"), beginning(t, all, "held back for validation")
	require.GreaterOrEqual(t, validation, 20)
	require.InDelta(t, past/2, learnt+validation, 40)
	manifest, err := towers.LoadManifest(bundle)
	require.NoError(t, err)
	require.Equal(t, learnt, manifest.Data.Events)
	require.Equal(t, "ask", manifest.Data.Repeats)
	require.Contains(t, o.err, manifest.Data.To.Format("2006-01-02 15:04:05"))
	require.Contains(t, string(manifest.Recipe), `"repeats": true`)

	o = execute(t.Context(), "", "evaluate", "--data", dir)
	require.Zero(t, o.code, o.err)
	require.Contains(t, o.out, "40 cases, all 60 items ranked, with seen ones")
	require.Contains(t, o.out, "session popularity")
	require.NotContains(t, o.err, "before", "as the bundle was trained")
	o = execute(t.Context(), "", "evaluate", "--data", dir, "--repeats", "skip")
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, "train it")

	o = execute(t.Context(), "", "train", "--data", dir, "--repeats", "skip")
	require.Zero(t, o.code, o.err)
	require.NotContains(t, o.err, "had before")
	_, all = accounted(t, o.err)
	require.Less(t, beginning(t, all, "trained on"), 600, "what follows the last new item is most of it, and is told")
	beginning(t, all, "held back as test targets: each user's last new item")
	o = execute(t.Context(), "", "evaluate", "--data", dir)
	require.Zero(t, o.code, o.err)
	require.Contains(t, o.out, "without seen ones", "as the bundle was trained")
	o = execute(t.Context(), "", "evaluate", "--data", dir, "--repeats", "ask")
	require.Zero(t, o.code, o.err)
	require.Contains(t, o.err, "was trained with --repeats skip, and is asked with --repeats ask")

	t.Run("split by time", func(t *testing.T) {
		o := execute(t.Context(), "", "train", "--data", dir, "--split", "time", "--all")
		require.Zero(t, o.code, o.err)
		_, all := accounted(t, o.err)
		beginning(t, all, "held back as test targets: each user's first choice after the cut")
		require.InDelta(t, .85*1200, beginning(t, all, "trained on"), 30)
		o = execute(t.Context(), "", "evaluate", "--data", dir, "--split", "time")
		require.Zero(t, o.code, o.err)
		require.Contains(t, o.out, "with seen ones")
	})
	t.Run("tune", func(t *testing.T) {
		o := execute(t.Context(), "", "tune", "--data", dir, "--trials", "1", "--epochs", "1", "-o", filepath.Join(t.TempDir(), "tuned"))
		require.Zero(t, o.code, o.err)
		_, all := accounted(t, o.err)
		require.Equal(t, learnt+validation, beginning(t, all, "for training and validation"))
	})
}

func TestTrainDrawsTies(t *testing.T) {
	bundle := configure(t, nowhere, nowhere, nowhere)
	rows := baskets()
	sorted := writeInteractions(t, rows)
	rand.New(rand.NewPCG(1, 1)).Shuffle(len(rows), func(i, j int) { rows[i], rows[j] = rows[j], rows[i] })
	shuffled := writeInteractions(t, rows)
	weights := func(dir string, arguments ...string) (map[string]towers.Checksum, string) {
		o := execute(t.Context(), "", append([]string{"train", "--replace", "--data", dir}, arguments...)...)
		require.Zero(t, o.code, o.err)
		manifest, err := towers.LoadManifest(bundle)
		require.NoError(t, err)
		return manifest.Checksums, o.err
	}
	one, text := weights(sorted)
	accounted(t, text)
	require.NotContains(t, text, "Such items are targets")
	other, _ := weights(shuffled)
	require.Equal(t, one, other, "the order of the rows decides nothing")
	o := execute(t.Context(), "", "evaluate", "--data", sorted)
	require.Zero(t, o.code, o.err)
	seeded, _ := weights(shuffled, "--tie-seed", "7")
	require.NotEqual(t, one, seeded)
	o = execute(t.Context(), "", "train", "--data", sorted, "--from", bundle, "-o", filepath.Join(t.TempDir(), "warm"))
	require.Zero(t, o.code, o.err)
	require.Contains(t, o.err, "with --tie-seed 7 instead of 1, and may have learnt the targets of")
	o = execute(t.Context(), "", "evaluate", "--data", sorted)
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, "was trained with --tie-seed 7")
	o = execute(t.Context(), "", "evaluate", "--data", sorted, "--tie-seed", "7")
	require.Zero(t, o.code, o.err)
	require.Equal(t, 2, execute(t.Context(), "", "train", "--data", sorted, "--tie-seed", "0").code)
}

func TestTrainTellsPublishedParts(t *testing.T) {
	configure(t, nowhere, nowhere, nowhere)
	dir := t.TempDir()
	var rows strings.Builder
	for u := range 30 {
		fmt.Fprintf(&rows, "%d %d %d %d %d\n", u+1, u%7+1, u%5+8, u%3+13, u%2+16)
	}
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Toys.txt"), []byte(rows.String()), 0o600))
	require.NoError(t, os.WriteFile(filepath.Join(dir, "Toys_item2attributes.json"), []byte(`{"1": [7]}`), 0o600))
	o := execute(t.Context(), "", "train", "--data", dir)
	require.Zero(t, o.code, o.err)
	read, all := accounted(t, o.err)
	require.Equal(t, 90, read)
	require.Equal(t, 30, beginning(t, all, "held back for validation by the protocol"))
	require.Equal(t, 60, beginning(t, all, "trained on"))

	o = execute(t.Context(), "", "train", "--data", dir, "--cold", "0.3", "--all")
	require.Zero(t, o.code, o.err)
	read, all = accounted(t, o.err)
	require.Equal(t, 90, read)
	require.Positive(t, beginning(t, all, "of hidden items (--cold)"))

	for _, arguments := range [][]string{{"--repeats", "ask"}, {"--tie-seed", "2"}} {
		o = execute(t.Context(), "", append([]string{"train", "--data", dir}, arguments...)...)
		require.Equal(t, 2, o.code)
		require.Contains(t, o.err, "s3rec is published with an order and questions of its own")
	}
}
