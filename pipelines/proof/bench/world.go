package bench

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/items"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/towers"
)

// leastItems is what the synthetic shop needs at the least.
const leastItems = 128

// world is a synthetic shop and its people, with towers that know every item.
type world struct {
	*dataset.Dataset
	itemTower *towers.ItemTower
	userTower *towers.UserTower
}

// makeWorld makes up a shop and so many events, and writes the bundle that the roles load.
func (l *lab) makeWorld(events int) (*world, error) {
	c := dataset.DefaultSyntheticConfig()
	c.Users, c.Items, c.Events = l.Users, l.Items, max(events, l.Users)
	l.say("making up %d items, %d users, %d events…", c.Items, c.Users, c.Events)
	data, err := dataset.Synthetic(c)
	if err != nil {
		return nil, err
	}
	interleave(data.Events, c.Seed)
	w := &world{Dataset: data}
	bundle := l.settings("").Bundle
	if _, err := towers.WriteBundle(bundle, l.randomTowers(data)); err != nil {
		return nil, err
	}
	if w.itemTower, err = towers.LoadItemTower(bundle); err != nil {
		return nil, err
	}
	if w.userTower, err = towers.LoadUserTower(bundle); err != nil {
		return nil, err
	}
	return w, nil
}

// interleave puts the users' events in an order as if all of them were there at the same time, each user's own kept. In the
// order of half a year hardly two visits overlap: a batch would be the visit of a user or two, which costs next to nothing.
func interleave(events []dataset.Event, seed uint64) {
	users := make([]int32, len(events))
	byUser := map[int32][]dataset.Event{}
	for i, e := range events {
		users[i] = e.User
		byUser[e.User] = append(byUser[e.User], e)
	}
	rng := rand.New(rand.NewPCG(seed, 0x6f72646572))
	rng.Shuffle(len(users), func(i, j int) { users[i], users[j] = users[j], users[i] })
	for i, user := range users {
		events[i], byUser[user] = byUser[user][0], byUser[user][1:]
	}
}

// randomTowers are of the configured size, and read all that events have, as those of the synthetic shop do. Each item has an
// embedding of its own, so that no two vectors are the same.
func (l *lab) randomTowers(data *dataset.Dataset) *towers.Bundle {
	features := make([]towers.ItemFeatures, len(data.Items))
	ids := make([]string, len(data.Items))
	for i := range data.Items {
		features[i], ids[i] = towers.FeaturesOf(&data.Items[i]), data.Items[i].ItemID
	}
	training := l.base.Training
	rng := rand.New(rand.NewPCG(training.Seed, 0x62656e6368))
	b := &towers.Bundle{
		Created: time.Now(), Vocabulary: training.Vocabulary, Data: towers.DataRange{Items: len(ids)},
		Items: towers.NewItemWeights(training.Heads*training.Dim, ids, towers.BuildVocabulary(features, training.Vocabulary)),
	}
	b.Items.Randomise(rng)
	for range training.Heads {
		head := towers.NewEventWeights(training.Dim, training.Layers, towers.AllInputs())
		head.Randomise(rng)
		b.Users = append(b.Users, head)
	}
	return b
}

// event is the i-th event as it is published, under an id of its own: the shop's people may do a thing twice in a
// millisecond, and a second event of one id is dropped as a duplicate.
func (w *world) event(i int) schemas.Interaction {
	e := w.Interaction(i)
	e.EventID = fmt.Sprintf("bench-%d", i)
	return e
}

// vector is an item's vector by the tower.
func (w *world) vector(item *schemas.ItemChange) []float32 {
	features := towers.FeaturesOf(item)
	v := make([]float32, w.itemTower.Dim())
	w.itemTower.Encode(v, &features)
	return v
}

// storeItems writes all records and vectors into Redis, where events find them, without any index.
func (l *lab) storeItems(ctx context.Context, w *world, trial string) error {
	l.say("writing %d item records…", len(w.Items))
	store := items.New(l.rdb, l.settings(trial).Items)
	changes := make([]items.Change, 0, keysAtOnce)
	flush := func() error {
		outcomes, err := store.Write(ctx, changes)
		for i := range outcomes {
			if err == nil {
				err = outcomes[i].Err
			}
		}
		changes = changes[:0]
		return err
	}
	for i := range w.Items {
		changes = append(changes, items.Change{
			Record: w.Items[i], Model: w.itemTower.Version(), Vector: w.vector(&w.Items[i]),
		})
		if len(changes) == keysAtOnce || i == len(w.Items)-1 {
			if err := flush(); err != nil {
				return fmt.Errorf("writing the item records: %w", err)
			}
		}
	}
	return nil
}

// profiles opens the store of profiles as the roles do.
func (l *lab) profiles(w *world, trial string) *profiles.Store {
	s := l.settings(trial)
	live := []*towers.UserTower{w.userTower}
	return profiles.New(l.rdb, items.New(l.rdb, s.Items), func() []*towers.UserTower { return live }, s.Profiles)
}

// published is a part of a topic: whose records lie where.
type published struct {
	// keys are those of each partition's records, in order; first is the offset of the first.
	keys  map[int32][]string
	first map[int32]int64
}

// ends are the offsets that a group has committed once it has done all of it.
func (p *published) ends() map[int32]int64 {
	ends := make(map[int32]int64, len(p.keys))
	for partition, keys := range p.keys {
		ends[partition] = p.first[partition] + int64(len(keys))
	}
	return ends
}

// placed is a record that the broker has acknowledged.
type placed struct {
	key string
	at  schemas.Position
	err error
}

// publish sends n records and returns where they lie, once all are acknowledged. send names the record's key before it sends.
func publish(n int, send func(i int) (key string, send func(done func(schemas.Position, error)) error)) (*published, error) {
	acknowledged := make(chan placed, n) // never full, so that no acknowledgement waits
	for i := range n {
		key, enqueue := send(i)
		if err := enqueue(func(at schemas.Position, err error) { acknowledged <- placed{key, at, err} }); err != nil {
			return nil, err
		}
	}
	p := &published{keys: map[int32][]string{}, first: map[int32]int64{}}
	for range n {
		r := <-acknowledged
		if r.err != nil {
			return nil, r.err
		}
		if _, known := p.first[r.at.Partition]; !known {
			p.first[r.at.Partition] = r.at.Offset
		}
		p.keys[r.at.Partition] = append(p.keys[r.at.Partition], r.key) // those of one partition come in order
	}
	return p, nil
}

// publishEvents publishes the events from lo up to hi.
func (l *lab) publishEvents(ctx context.Context, w *world, lo, hi int) (*published, error) {
	l.say("publishing %d events…", hi-lo)
	publisher, err := producers.NewEventPublisher(ctx, l.settings("").Producer(l.Log))
	if err != nil {
		return nil, err
	}
	defer func() { _ = publisher.Close(ctx) }() // all were acknowledged
	return publish(hi-lo, func(i int) (string, func(func(schemas.Position, error)) error) {
		e := w.event(lo + i)
		return e.UserID, func(done func(schemas.Position, error)) error {
			return publisher.PublishInteractionAsync(ctx, &e, done)
		}
	})
}

// publishItems publishes the whole catalogue.
func (l *lab) publishItems(ctx context.Context, w *world) (*published, error) {
	l.say("publishing %d items…", len(w.Items))
	publisher, err := producers.NewEventPublisher(ctx, l.settings("").Producer(l.Log))
	if err != nil {
		return nil, err
	}
	defer func() { _ = publisher.Close(ctx) }() // all were acknowledged
	return publish(len(w.Items), func(i int) (string, func(func(schemas.Position, error)) error) {
		item := &w.Items[i]
		return item.ItemID, func(done func(schemas.Position, error)) error { return publisher.PublishItemAsync(ctx, item, done) }
	})
}
