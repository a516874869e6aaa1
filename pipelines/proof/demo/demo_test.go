package demo

import (
	"bytes"
	"context"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"go.uber.org/goleak"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/profiles"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

func discard() *slog.Logger { return slog.New(slog.DiscardHandler) }

// smallOptions are a world that is learnt in seconds and still large enough for every step of the story.
func smallOptions() Options {
	o := DefaultOptions()
	o.World.Users, o.World.Items, o.World.Events = 400, 300, 20_000
	o.TrainingBudget = 3 * time.Minute // early stopping ends it before: a check must not depend on how busy the machine is
	return o
}

// TestDemo tells the whole story: Run fails where a single check does not hold. Then everything keeps running for a second
// terminal until the context ends.
func TestDemo(t *testing.T) {
	if testing.Short() {
		t.Skip("trains a model")
	}
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := &watched{text: "in a second terminal", seen: cancel}
	err := Run(ctx, smallOptions(), out, discard())
	story := out.all.String()
	require.NoError(t, err, "%s", story)
	require.NotContains(t, story, "✗")
	for _, title := range titles() {
		require.Contains(t, story, title)
	}
	for _, held := range []string{
		"gone from the very next reply", "the profile's history is that of the plain fold over the topic",
		"are equal bit for bit", "0 did not",
	} {
		require.Contains(t, story, held)
	}
	require.Regexp(t, `export FRESHET_CONFIG=\S+/freshet\.yaml\n`, story)
	require.True(t, strings.HasSuffix(story, "\nStopping.\n"))
}

// TestDemoOnMovieLens plays in a real data set: ml-latest-small in the folder FRESHET_DATA.
func TestDemoOnMovieLens(t *testing.T) {
	data := os.Getenv("FRESHET_DATA")
	if data == "" || testing.Short() {
		t.Skip("FRESHET_DATA names no folder with ml-latest-small, or -short")
	}
	o := smallOptions()
	o.MovieLens = filepath.Join(data, "ml-latest-small")
	o.Exit = true
	var out bytes.Buffer
	require.NoError(t, Run(t.Context(), o, &out, discard()), "%s", &out)
}

// watched calls seen once when text has been written.
type watched struct {
	all  bytes.Buffer
	text string
	seen func()
	once sync.Once
}

func (w *watched) Write(p []byte) (int, error) {
	n, err := w.all.Write(p)
	if strings.Contains(w.all.String(), w.text) {
		w.once.Do(w.seen)
	}
	return n, err
}

func titles() (all []string) {
	for _, s := range story {
		all = append(all, s.title)
	}
	return all
}

func TestDemoStoppedEarly(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	require.ErrorIs(t, Run(ctx, smallOptions(), io.Discard, discard()), context.Canceled)
}

func TestAFailedCheckFailsTheRun(t *testing.T) {
	var out bytes.Buffer
	c := console{out: &out}
	c.check(true, "one")
	c.check(false, "two of %d", 3)
	require.Equal(t, 1, c.passed)
	require.Equal(t, []string{"two of 3"}, c.failed)
	require.Contains(t, out.String(), "✗")
}

// TestTheComparisonWithTheFold must see every way in which a profile can differ from the plain fold over its events.
func TestTheComparisonWithTheFold(t *testing.T) {
	at := time.UnixMilli(1_700_000_000_000)
	events := func() []schemas.Interaction {
		return []schemas.Interaction{
			{ItemID: "a", Type: schemas.View, OccurredAt: at},
			{ItemID: "b", Type: schemas.Like, OccurredAt: at.Add(time.Second)},
			{ItemID: "c", Type: schemas.Impression, OccurredAt: at.Add(2 * time.Second)},
			{ItemID: "d", Type: schemas.View, OccurredAt: at.Add(3 * time.Second)},
		}
	}
	profile := func() *profiles.Profile {
		counters := make(profiles.Counters, 16)
		counters[schemas.View], counters[schemas.Like], counters[schemas.Impression] = 2, 1, 1
		return &profiles.Profile{Counters: counters, History: []profiles.Entry{
			{ItemID: "d", Type: schemas.View, OccurredAt: at.Add(3 * time.Second)},
			{ItemID: "b", Type: schemas.Like, OccurredAt: at.Add(time.Second)},
			{ItemID: "a", Type: schemas.View, OccurredAt: at},
		}}
	}
	require.True(t, sameHistory(profile(), events()))
	require.True(t, sameCounters(profile(), events()))
	short := profile()
	short.History = short.History[:2]
	require.True(t, sameHistory(short, events()), "a history is bounded")

	for name, spoil := range map[string]func(p *profiles.Profile){
		"empty":           func(p *profiles.Profile) { p.History = nil },
		"an event twice":  func(p *profiles.Profile) { p.History = append(p.History[:1], p.History...) },
		"an event lost":   func(p *profiles.Profile) { p.History = append(p.History[:1], p.History[2:]...) },
		"another order":   func(p *profiles.Profile) { p.History[0], p.History[1] = p.History[1], p.History[0] },
		"another item":    func(p *profiles.Profile) { p.History[1].ItemID = "x" },
		"another type":    func(p *profiles.Profile) { p.History[1].Type = schemas.Hide },
		"another time":    func(p *profiles.Profile) { p.History[2].OccurredAt = at.Add(time.Millisecond) },
		"more than there": func(p *profiles.Profile) { p.History = append(p.History, p.History[2]) },
	} {
		p := profile()
		spoil(p)
		require.False(t, sameHistory(p, events()), name)
	}
	p := profile()
	p.Counters[schemas.View]++
	require.False(t, sameCounters(p, events()))
}
