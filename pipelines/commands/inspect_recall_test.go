package commands_test

import (
	"context"
	"math"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

// recallTopic is the topic of the role recall, written to as the role does.
type recallTopic struct {
	t      *testing.T
	name   string
	writer *kafkaio.Writer
	serde  *schemas.Serde[schemas.Recall]
}

func openRecallTopic(t *testing.T) *recallTopic {
	t.Helper()
	s, err := settings.Load(os.Getenv("FRESHET_CONFIG"))
	require.NoError(t, err)
	r := &recallTopic{t: t, name: s.Topics.Recall.Name, writer: kafkaio.NewWriter(s.Kafka, s.Writer, discard())}
	t.Cleanup(func() { require.NoError(t, r.writer.Close(context.WithoutCancel(t.Context()))) })
	r.serde, err = schemas.NewSerde[schemas.Recall](t.Context(), schemas.EmbeddedRegistry(), r.name)
	require.NoError(t, err)
	return r
}

func (r *recallTopic) write(key string, value []byte) {
	r.t.Helper()
	_, err := r.writer.Write(r.t.Context(), kafkaio.Message{Topic: r.name, Partition: kafkaio.AnyPartition, Key: []byte(key), Value: value})
	require.NoError(r.t, err)
}

func (r *recallTopic) row(row schemas.Recall) {
	r.t.Helper()
	r.write(row.Key(), r.serde.Append(nil, &row))
}

// told is a row about a minute of 31 January 2026, of 20 events, 10 of them after a page.
func told(model string, minute int, segment string, k int32, hits, pageHits int64) schemas.Recall {
	at := time.Date(2026, 1, 31, 12, minute, 0, 0, time.UTC)
	share := func(hits, of int64) *float64 {
		x := float64(hits) / float64(of)
		return &x
	}
	zero, one := 0.0, 1.0
	return schemas.Recall{
		ModelVersion: model, WindowStart: at, WindowEnd: at.Add(time.Minute), Segment: segment, K: k, SampleShare: .1,
		Events: 20, Unlisted: 3, EmbeddingHits: hits, EmbeddingRecall: share(hits, 20), EmbeddingLow: &zero, EmbeddingHigh: &one,
		Paged: 10, PageHits: pageHits, PageRecall: share(pageHits, 10), PageLow: &zero, PageHigh: &one,
	}
}

// cells are the rows of a printed table without its head, by their cells.
func cells(table string) (rows [][]string) {
	for line := range strings.Lines(table) {
		inner, isRow := strings.CutPrefix(strings.TrimSpace(line), "│")
		if !isRow {
			continue
		}
		var row []string
		for cell := range strings.SplitSeq(strings.TrimSuffix(inner, "│"), "│") {
			row = append(row, strings.TrimSpace(cell))
		}
		rows = append(rows, row)
	}
	return rows[min(1, len(rows)):]
}

func TestInspectRecall(t *testing.T) {
	install(t)
	inspect := func(flags ...string) outcome {
		return execute(t.Context(), "", append([]string{"inspect", "recall"}, flags...)...)
	}
	require.Contains(t, inspect().err, "run `freshet topics create`")
	require.Zero(t, execute(t.Context(), "", "topics", "create").code)
	const none = "there are no rows: start `freshet run recall`, and publish interactions"
	o := inspect()
	require.Equal(t, 1, o.code)
	require.Contains(t, o.err, none)

	topic := openRecallTopic(t)
	for _, model := range []string{"m2", "m1"} { // which is not the order of the table
		for _, minute := range []int{2, 0, 1} {
			for _, segment := range []string{schemas.SegmentNew, schemas.SegmentAll} {
				topic.row(told(model, minute, segment, 10, int64(minute+1), 0))
				topic.row(told(model, minute, segment, 50, int64(minute+10), 1))
			}
		}
	}
	topic.row(told("m1", 2, schemas.SegmentAll, 10, 20, 10)) // that window once more: its key overwrites
	silent := told("m1", 2, schemas.SegmentAll, 50, 0, 0)    // an interval of nothing is no interval
	silent.Events, silent.Unlisted, silent.Paged = 0, 0, 0
	silent.EmbeddingRecall, silent.EmbeddingLow, silent.EmbeddingHigh = nil, nil, nil
	silent.PageRecall, silent.PageLow, silent.PageHigh = nil, nil, nil
	topic.row(silent)
	gone := told("m3", 0, schemas.SegmentAll, 10, 1, 1)
	topic.row(gone)
	topic.write(gone.Key(), nil)
	topic.write("poison", []byte("no record"))
	senseless := told("m1", 3, schemas.SegmentAll, 10, 1, 1)
	senseless.EmbeddingHits = senseless.Events + 1
	topic.row(senseless)

	window := func(minute string) string { return "2026-01-31 12:0" + minute + ":00 + 1m0s" }
	row := func(model, minute, k, recall, page string) []string {
		return []string{model, window(minute), k, "20", "3", recall + " (0.0000-1.0000)", "10", page + " (0.0000-1.0000)"}
	}
	last := [][]string{
		row("m1", "2", "10", "1.0000", "1.0000"), {"m1", window("2"), "50", "0", "0", "", "0", ""},
		row("m2", "2", "10", "0.1500", "0.0000"), row("m2", "2", "50", "0.6000", "0.1000"),
	}
	before := func(model string) [][]string {
		return [][]string{
			row(model, "0", "10", "0.0500", "0.0000"), row(model, "0", "50", "0.5000", "0.1000"),
			row(model, "1", "10", "0.1000", "0.0000"), row(model, "1", "50", "0.5500", "0.1000"),
		}
	}
	for name, c := range map[string]struct {
		flags []string
		want  [][]string
	}{
		"all that there is":             {nil, concat(before("m1"), last[:2], before("m2"), last[2:])},
		"the last window of each model": {[]string{"--last", "1"}, last},
		"the last two":                  {[]string{"--last", "2"}, concat(before("m1")[2:], last[:2], before("m2")[2:], last[2:])},
		"new users": {[]string{"--last", "1", "--segment", "new"}, [][]string{
			row("m1", "2", "10", "0.1500", "0.0000"), row("m1", "2", "50", "0.6000", "0.1000"),
			row("m2", "2", "10", "0.1500", "0.0000"), row("m2", "2", "50", "0.6000", "0.1000"),
		}},
	} {
		t.Run(name, func(t *testing.T) {
			o := inspect(c.flags...)
			require.Zero(t, o.code, "%s", o.err)
			require.Equal(t, c.want, cells(o.out), "%s", o.out)
			for _, head := range []string{"model", "recall of embedding", "with page", "recall of page"} {
				require.Contains(t, o.out, head)
			}
		})
	}
	for name, c := range map[string]struct {
		flags []string
		code  int
		want  string
	}{
		"no windows":          {[]string{"--last", "0"}, 2, "--last is 0: give at least 1"},
		"unknown segment":     {[]string{"--segment", "old"}, 2, "--segment"},
		"a segment with none": {[]string{"--segment", "known"}, 1, none},
	} {
		t.Run(name, func(t *testing.T) {
			o := inspect(c.flags...)
			require.Equal(t, c.code, o.code, "%s", o.err)
			require.Contains(t, o.err, c.want)
			require.Empty(t, o.out)
		})
	}
}

func concat(parts ...[][]string) (all [][]string) {
	for _, p := range parts {
		all = append(all, p...)
	}
	return all
}

// TestInspectRecallOfTheRole: what `freshet run recall` finds is what the command shows.
func TestInspectRecallOfTheRole(t *testing.T) {
	install(t)
	for name, value := range map[string]string{"PERIOD": "1s", "DELAY": "100ms", "SAMPLE_SHARE": "1", "AT": "1,60"} {
		t.Setenv("FRESHET_RECALL_"+name, value)
	}
	movieLens := writeMovieLens(t)
	items, interactions := jsonLines(t, movieLens)
	require.Zero(t, execute(t.Context(), "", "topics", "create").code)
	trained := execute(t.Context(), "", "train", "--data", movieLens, "--epochs", "1")
	require.Zero(t, trained.code, "%s", trained.err)
	require.Zero(t, execute(t.Context(), items, "publish", "items").code)
	log, stop := background(t, "run", "recall")
	awaitReady(t, log)
	require.Zero(t, execute(t.Context(), interactions, "publish", "interactions").code)

	// A film is new to its viewer each time, and one of the first 60 wherever there is an embedding, which the first event makes.
	events, hits := 0, 0
	require.Eventually(t, func() bool {
		o := execute(t.Context(), "", "inspect", "recall")
		events, hits = 0, 0
		for _, row := range cells(o.out) {
			require.Contains(t, trained.out, row[0], "it is the model that was trained")
			require.Equal(t, []string{"0", ""}, row[6:], "nobody asked for a page")
			n, err := strconv.Atoi(row[3])
			require.NoError(t, err)
			found, err := strconv.ParseFloat(strings.Fields(row[5])[0], 64)
			require.NoError(t, err)
			if row[2] == "60" {
				events, hits = events+n, hits+int(math.Round(found*float64(n)))
			}
		}
		return events == 12*viewers
	}, patience, 10*time.Millisecond, "%d events were asked for", events)
	require.Equal(t, 11*viewers, hits)
	ended := stop()
	require.Zero(t, ended.code, "%s", ended.err)
}
