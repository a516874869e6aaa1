package funnel

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/freshet/freshet/consumers/catalogue"
	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/ranking"
	"github.com/freshet/freshet/services/recommender"
	"github.com/freshet/freshet/services/redisdb"
	"github.com/freshet/freshet/services/rules"
	"github.com/freshet/freshet/services/towers"
)

// world is Redis and Milvus filled for one run, and the recommender over them.
type world struct {
	items     *items.Store
	profiles  *profiles.Store
	index     *candidates.Index
	service   *recommender.Service
	itemTower *towers.ItemTower
	userTower *towers.UserTower
	closers   []func(context.Context) error
}

// Prefix begins the names of all that a run makes.
const Prefix = "freshet-evaluation"

// patience bounds each call of a run: what is slow because much is asked at once must not look like a server that is away.
const patience = 30 * time.Second

// isolate gives the settings names of the run's own.
func isolate(s settings.Settings) settings.Settings {
	name := Prefix + "-" + strings.ToLower(rand.Text()[:10])
	s.Profiles.KeyPrefix, s.Items.KeyPrefix = name, name
	s.Milvus.Collection = strings.ReplaceAll(name, "-", "_")
	s.Milvus.Alias = s.Milvus.Collection + "_live"
	s.Milvus.CallTimeout = max(s.Milvus.CallTimeout, patience)
	s.Redis.ReadTimeout, s.Redis.WriteTimeout = max(s.Redis.ReadTimeout, patience), max(s.Redis.WriteTimeout, patience)
	s.Recommender.StageTimeout = max(s.Recommender.StageTimeout, patience)
	s.Recommender.MaxDeadline = max(s.Recommender.MaxDeadline, 10*patience)
	s.Recommender.DefaultDeadline = s.Recommender.MaxDeadline
	return s
}

// open connects to Redis and Milvus. On an error everything that was opened is closed again.
func open(ctx context.Context, s settings.Settings, log *slog.Logger) (w *world, err error) {
	w = &world{}
	defer func() {
		if err != nil {
			err = errors.Join(err, w.close(ctx))
		}
	}()
	if w.itemTower, err = towers.LoadItemTower(s.Bundle); err != nil {
		return w, err
	}
	if w.userTower, err = towers.LoadUserTower(s.Bundle); err != nil {
		return w, err
	}
	s = isolate(s)
	rdb, err := redisdb.Connect(ctx, s.Redis)
	if err != nil {
		return w, err
	}
	w.closers = append(w.closers, func(ctx context.Context) error {
		_, err := redisdb.Remove(ctx, rdb, redisdb.EscapePattern(s.Items.KeyPrefix)+"*")
		return errors.Join(err, rdb.Close())
	})
	live := []*towers.UserTower{w.userTower}
	loaded := func() []*towers.UserTower { return live }
	w.items = items.New(rdb, s.Items)
	w.profiles = profiles.New(rdb, w.items, loaded, s.Profiles)
	if w.index, err = candidates.Connect(ctx, s.Milvus); err != nil {
		return w, err
	}
	model := w.itemTower.Version()
	w.closers = append(w.closers, func(ctx context.Context) error {
		err := w.index.Discard(ctx, model)
		if candidates.IsNotFound(err) {
			err = nil
		}
		return errors.Join(err, w.index.Close())
	})
	set, err := rules.OpenLive(s.RulesFile, time.Hour, log)
	if err != nil {
		return w, err
	}
	w.closers = append(w.closers, func(context.Context) error { set.Close(); return nil })
	inForce := set.Current() // one set for all cases
	w.service = recommender.New(recommender.Parts{
		Profiles: w.profiles, Items: w.items, Index: w.index, Ranker: ranking.NewLinear(s.Ranking), Towers: loaded,
		Rules: func() *rules.Set { return inForce }, Limits: s.Limits,
	}, s.Recommender, log)
	w.closers = append(w.closers, func(context.Context) error { w.service.Close(); return nil })
	return w, nil
}

// close removes what the run made, and gives the connections back; the last opened first.
func (w *world) close(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*patience)
	defer cancel()
	var errs []error
	for _, v := range slices.Backward(w.closers) {
		errs = append(errs, v(ctx))
	}
	w.closers = nil
	return errors.Join(errs...)
}

// written is how many item changes or events go in one call.
const written = 1000

// settleEvery is how often settle looks.
const settleEvery = 20 * time.Millisecond

// settle waits until searches see all that was written: an index serves them a moment behind its writes, and what it had not yet
// would look like loss.
func (w *world) settle(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	model := w.itemTower.Version()
	want, err := w.index.Count(ctx, model)
	for err == nil {
		var seen int64
		if seen, err = w.index.CountMatching(ctx, model, ""); err == nil && seen == want {
			return nil
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for searches to see %d rows, of which they see %d: %w", want, seen, ctx.Err())
		case <-time.After(settleEvery):
		}
	}
	return fmt.Errorf("waiting for searches to see what was written: %w", err)
}

// fill writes the catalogue, what is popular, and the histories of the cases.
func (w *world) fill(ctx context.Context, d Data, cases []dataset.Case) error {
	model := w.itemTower.Version()
	if err := w.index.Ensure(ctx, model, w.itemTower.Dim()); err != nil {
		return err
	}
	if err := w.index.SwitchLive(ctx, model); err != nil {
		return err
	}
	indexer := catalogue.NewIndexer(w.items, w.index, w.itemTower)
	for from := 0; from < len(d.Items); from += written {
		var changes []catalogue.Change
		for _, it := range d.Items[from:min(from+written, len(d.Items))] {
			changes = append(changes, catalogue.Change{ItemChange: it})
		}
		failed, err := indexer.Index(ctx, changes)
		for i, e := range failed {
			err = errors.Join(err, fmt.Errorf("item %s: %w", changes[i].ItemID, e))
		}
		if err != nil {
			return fmt.Errorf("writing the catalogue: %w", err)
		}
	}
	counts := map[string]float64{}
	for _, history := range d.Known {
		for _, item := range history {
			counts[d.Items[item].ItemID]++
		}
	}
	if len(counts) > 0 {
		if err := w.items.AddPopularity(ctx, counts, time.Now()); err != nil {
			return fmt.Errorf("counting what is popular: %w", err)
		}
	}
	return w.fillHistories(ctx, d, cases)
}

func user(i int) string { return fmt.Sprint("case", i) }

// timeline is what a case's user did; where the data knows items alone, views a second apart.
func timeline(c *dataset.Case, now time.Time) []dataset.Event {
	if c.Timeline != nil {
		return c.Timeline
	}
	events := make([]dataset.Event, len(c.History))
	for n, item := range c.History {
		at := now.Add(-time.Duration(len(c.History)-n) * time.Second)
		events[n] = dataset.Event{At: at.UnixMilli(), Item: item, Type: schemas.View}
	}
	return events
}

// fillHistories applies the cases' histories.
func (w *world) fillHistories(ctx context.Context, d Data, cases []dataset.Case) error {
	now := time.Now()
	var events []profiles.Event
	offset := int64(0)
	apply := func() error {
		report, err := w.profiles.Apply(ctx, events)
		for _, e := range report.Failed {
			err = errors.Join(err, e)
		}
		events = events[:0]
		return err
	}
	for i := range cases {
		for _, e := range timeline(&cases[i], now) {
			events = append(events, profiles.Event{Offset: offset, Time: now, Interaction: schemas.Interaction{
				EventID: fmt.Sprint("event", offset), UserID: user(i), ItemID: d.Items[e.Item].ItemID,
				Type: e.Type, OccurredAt: time.UnixMilli(e.At),
			}})
			offset++
		}
		if len(events) >= written || i == len(cases)-1 {
			if err := apply(); err != nil {
				return fmt.Errorf("applying the histories: %w", err)
			}
		}
	}
	return nil
}

// ask asks for a page for each case, and follows its target.
func (w *world) ask(ctx context.Context, d Data, cases []dataset.Case, c Config) ([]recommender.Fate, error) {
	requests, targets := make([]schemas.RecommendationRequest, len(cases)), make([]string, len(cases))
	for i := range cases {
		requests[i] = schemas.RecommendationRequest{
			RequestID: user(i), UserID: user(i), Count: int32(c.K), IncludeSeen: c.IncludeSeen,
		}
		targets[i] = d.Items[cases[i].Targets[0]].ItemID
	}
	return w.service.Follow(ctx, requests, targets)
}
