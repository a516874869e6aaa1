package bench

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/redisdb"
	"github.com/freshet/freshet/services/towers"
)

// makeTemplates has the real stores write users with full histories and items with vectors, and reads them back.
func (m *memory) makeTemplates(ctx context.Context) error {
	m.Users, m.Items = templates, templates
	w, err := m.makeWorld(m.Users * m.base.Profiles.HistoryLength)
	if err != nil {
		return err
	}
	const trial = "-templates"
	if err := m.storeItems(ctx, w, trial); err != nil {
		return err
	}
	if err := m.applyHistories(ctx, w, trial); err != nil {
		return err
	}
	prefix := m.settings(trial).Profiles.KeyPrefix
	for i := range templates {
		user := specimen{hashKind: "profile", valueKind: "seen", ttl: true}
		if err := m.read(ctx, &user, prefix, w.Users[i].ID); err != nil {
			return err
		}
		item := specimen{hashKind: "vectors", valueKind: "item"}
		if err := m.read(ctx, &item, prefix, w.Items[i].ItemID); err != nil {
			return err
		}
		m.users, m.items = append(m.users, user), append(m.items, item)
	}
	return nil
}

// applyHistories gives each user as many events as a profile keeps, of items drawn round and round.
func (m *memory) applyHistories(ctx context.Context, w *world, trial string) error {
	m.say("writing %d full profiles…", m.Users)
	store := m.profiles(w, trial)
	begin := time.Now().Add(-24 * time.Hour)
	var offset int64
	for u := range w.Users {
		events := make([]profiles.Event, m.base.Profiles.HistoryLength)
		for i := range events {
			events[i] = profiles.Event{
				Interaction: schemas.Interaction{
					EventID: fmt.Sprintf("bench-%d", offset), UserID: w.Users[u].ID, ItemID: w.Items[(7*u+i)%len(w.Items)].ItemID,
					Type: schemas.View, OccurredAt: begin.Add(time.Duration(offset) * time.Millisecond),
				},
				Partition: int32(u % m.base.Topics.Interactions.Partitions), Offset: offset, EndOffset: offset + 1, Time: time.Now(),
			}
			offset++
		}
		report, err := store.Apply(ctx, events)
		for _, failed := range report.Failed {
			err = errors.Join(err, failed)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (m *memory) read(ctx context.Context, e *specimen, prefix, id string) (err error) {
	if e.hash, err = m.rdb.HGetAll(ctx, redisdb.Key(prefix, id, e.hashKind)).Result(); err != nil {
		return fmt.Errorf("reading a template: %w", err)
	}
	if e.value, err = m.rdb.Get(ctx, redisdb.Key(prefix, id, e.valueKind)).Result(); err != nil {
		return fmt.Errorf("reading a template: %w", err)
	}
	e.valueBytes = int64(len(e.value))
	for _, value := range e.hash {
		e.valueBytes += int64(len(value))
	}
	return nil
}

// The traffic that the roles see before their memory is read.
const (
	memoryEvents  = 20_000
	memoryCallers = 8
)

// rolesMemory runs all roles with towers that know so many items, gives them something to do, and returns the resident memory
// that they hold, and the weight of their towers, in bytes.
func (m *memory) rolesMemory(ctx context.Context, size int) (resident, weights float64, err error) {
	m.say("%d: running the roles…", size)
	w, err := m.makeWorld(memoryEvents)
	if err != nil {
		return 0, 0, err
	}
	if weights, err = m.writeLargeBundle(w, size); err != nil {
		return 0, 0, err
	}
	w.itemTower, w.userTower = nil, nil // the roles load their own
	before := settledBytes()
	s := m.settings(fmt.Sprintf("_%d", size))
	r, err := m.start(ctx, s, online.AllRoles()...)
	if err != nil {
		return 0, 0, err
	}
	defer func() { err = errors.Join(err, r.stop()) }()
	if err := m.traffic(ctx, w); err != nil {
		return 0, 0, err
	}
	return float64(settledBytes() - before), weights, nil
}

// writeLargeBundle writes towers with an embedding for each of size items, the world's own among them.
func (m *memory) writeLargeBundle(w *world, size int) (bytes float64, err error) {
	b := m.randomTowers(w.Dataset)
	for i := len(b.Items.IDs); i < size; i++ {
		b.Items.IDs = append(b.Items.IDs, fmt.Sprintf("%010d", i))
		for range b.Items.Dim {
			b.Items.ID = append(b.Items.ID, float32(i%97)/97)
		}
	}
	for _, id := range b.Items.IDs {
		bytes += float64(len(id))
	}
	const float = 4
	bytes += float * float64(len(b.Items.ID)+len(b.Items.Content))
	for _, head := range b.Users {
		bytes += float * float64(len(head.Flat))
	}
	_, err = towers.WriteBundle(m.settings("").Bundle, b)
	return bytes, err
}

// settledBytes is the resident memory once everything that can be given back has been.
func settledBytes() int64 {
	debug.FreeOSMemory()
	return residentBytes()
}

func (m *memory) traffic(ctx context.Context, w *world) error {
	if _, err := m.publishItems(ctx, w); err != nil {
		return err
	}
	if _, err := m.publishEvents(ctx, w, 0, memoryEvents); err != nil {
		return err
	}
	client, err := producers.NewRecommendationClient(ctx, m.settings("").Producer(m.Log))
	if err != nil {
		return err
	}
	defer func() { _ = client.Close(ctx) }()
	_, _, err = closedLoop(ctx, memoryCallers, m.Duration, func(ctx context.Context, i int) error {
		_, err := client.Recommend(ctx, &schemas.RecommendationRequest{UserID: w.Users[i%len(w.Users)].ID, Count: pageSize})
		return err
	})
	return err
}
