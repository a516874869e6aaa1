package dataset

import (
	"context"
	"errors"
	"fmt"
	"hash/maphash"
	"math"
	"time"

	"github.com/freshet/freshet/schemas"
)

// Records is where a data set comes from: a folder of tables, the topics, or a Dataset. Both methods may be called again, and
// then give the same. each may keep what it is given.
type Records interface {
	// EachItem gives the newest change of each item of the catalogue.
	EachItem(ctx context.Context, each func(*schemas.ItemChange) error) error
	// EachInteraction gives all events, in any order. order parts the events of one moment, the smaller the earlier; where it is the
	// same for two of them, nobody knows which came first.
	EachInteraction(ctx context.Context, each func(e *schemas.Interaction, order int64) error) error
}

// EachItem gives the catalogue.
func (d *Dataset) EachItem(_ context.Context, each func(*schemas.ItemChange) error) error {
	for i := range d.Items {
		item := d.Items[i]
		if err := each(&item); err != nil {
			return err
		}
	}
	return nil
}

// EachInteraction gives the events in the order of time. Those that are tied have one order.
func (d *Dataset) EachInteraction(_ context.Context, each func(e *schemas.Interaction, order int64) error) error {
	order := int64(0)
	for i := range d.Events {
		if !d.Events[i].Tied {
			order++
		}
		event := d.Interaction(i)
		if err := each(&event, order); err != nil {
			return err
		}
	}
	return nil
}

// Once gives the records of another source, each event of a user once: what comes again under the same id is left out, as it is
// in the profiles.
type Once struct {
	Records
	// Repeated counts what the last EachInteraction left out.
	Repeated int64
}

// onceSeed differs from run to run, so that nobody can make ids that collide. By chance two of ten million do once in
// 400,000 runs.
var onceSeed = maphash.MakeSeed()

// EachInteraction remembers 64 bits of each id.
func (o *Once) EachInteraction(ctx context.Context, each func(e *schemas.Interaction, order int64) error) error {
	o.Repeated = 0
	seen := map[uint64]struct{}{}
	var h maphash.Hash
	h.SetSeed(onceSeed)
	return o.Records.EachInteraction(ctx, func(e *schemas.Interaction, order int64) error {
		h.Reset()
		_, _ = h.WriteString(e.UserID)
		_ = h.WriteByte(0xff) // in no UTF-8
		_, _ = h.WriteString(e.EventID)
		if _, again := seen[h.Sum64()]; again {
			o.Repeated++
			return nil
		}
		seen[h.Sum64()] = struct{}{}
		return each(e, order)
	})
}

// mostCatalogueBytes bounds the texts of all items: in a file they may be one text, repeated.
const mostCatalogueBytes = 8 << 30

// FromRecords makes a data set. Deleted items are not in its catalogue; an item that events name and the catalogue lacks is in
// it without content, behind the others. Users without events are not known.
//
// The same records in another order of rows give the same data set: of events of one moment, those of a user whose order nobody knows
// have one that is drawn by lot (DrawTies), and users, and items without content, are numbered by their first events.
func FromRecords(ctx context.Context, name string, r Records) (*Dataset, error) {
	b := recordsBuilder{d: &Dataset{Name: name}, items: map[string]int32{}, users: map[string]int32{}}
	if err := r.EachItem(ctx, b.item); err != nil {
		return nil, err
	}
	b.catalogue = len(b.d.Items)
	if err := r.EachInteraction(ctx, b.interaction); err != nil {
		return nil, err
	}
	return b.finish()
}

type recordsBuilder struct {
	d         *Dataset
	items     map[string]int32
	users     map[string]int32
	catalogue int // how many items come from it
	bytes     int // of the items' texts
	// orders are those of the events; nil as long as none is known.
	orders []int64
}

func (b *recordsBuilder) item(i *schemas.ItemChange) error {
	if i.Op == schemas.DeleteItem {
		return nil
	}
	if _, twice := b.items[i.ItemID]; twice {
		return fmt.Errorf("item %q comes twice: give each item once, as it is now", i.ItemID)
	}
	if b.bytes += textBytes(i); b.bytes > mostCatalogueBytes {
		return fmt.Errorf("the texts of the items take more than %d GiB: shorten the descriptions", mostCatalogueBytes>>30)
	}
	b.items[i.ItemID] = int32(len(b.d.Items))
	b.d.Items = append(b.d.Items, *i)
	return nil
}

func textBytes(i *schemas.ItemChange) int {
	n := len(i.ItemID) + len(i.Title) + len(i.Description) + len(i.Brand) + len(i.Currency)
	for _, list := range [][]string{i.Categories, i.Tags, i.Regions} {
		for _, s := range list {
			n += len(s)
		}
	}
	for key, value := range i.Attributes {
		n += len(key) + len(value)
	}
	return n
}

func (b *recordsBuilder) interaction(e *schemas.Interaction, order int64) error {
	if len(b.d.Events) == math.MaxInt32 {
		return fmt.Errorf("there are more than %d events: take a shorter time", math.MaxInt32)
	}
	user, known := b.users[e.UserID]
	if !known {
		user = int32(len(b.d.Users))
		b.users[e.UserID] = user
		b.d.Users = append(b.d.Users, User{ID: e.UserID})
	}
	item, known := b.items[e.ItemID]
	if !known {
		item = int32(len(b.d.Items))
		b.items[e.ItemID] = item
		b.d.Items = append(b.d.Items, schemas.ItemChange{ItemID: e.ItemID, Op: schemas.UpsertItem, Version: 1, Available: true})
	}
	event := Event{At: e.OccurredAt.UnixMilli(), User: user, Item: item, Type: e.Type, Value: float32(math.NaN())}
	if e.Value != nil {
		event.Value = float32(*e.Value)
	}
	if order != 0 && b.orders == nil {
		b.orders = make([]int64, len(b.d.Events), len(b.d.Events)+1)
	}
	if b.orders != nil {
		b.orders = append(b.orders, order)
	}
	b.d.Events = append(b.d.Events, event)
	return nil
}

func (b *recordsBuilder) finish() (*Dataset, error) {
	d := b.d
	if len(d.Events) == 0 {
		return nil, errors.New("there are no interactions: nothing can be learnt or measured")
	}
	b.items, b.users = nil, nil
	d.settle(b.orders)
	b.orders = nil
	users := newOrder(len(d.Users), 0)
	items := newOrder(len(d.Items), b.catalogue)
	for i := range d.Events {
		e := &d.Events[i]
		e.User, e.Item = users.place(e.User), items.place(e.Item)
	}
	d.Users, d.Items = reorder(users, d.Users), reorder(items, d.Items)
	start := time.UnixMilli(d.Events[0].At).UTC()
	for i := range d.Items {
		if d.Items[i].OccurredAt.IsZero() {
			d.Items[i].OccurredAt = start
		}
	}
	return d, nil
}

// order numbers things anew by when they are first asked for; the first ones keep their numbers.
type order struct {
	places []int32 // by old number, plus one; 0 where there is none yet
	next   int32
}

func newOrder(n, kept int) *order {
	o := &order{places: make([]int32, n), next: int32(kept)}
	for i := range kept {
		o.places[i] = int32(i) + 1
	}
	return o
}

func (o *order) place(old int32) int32 {
	if o.places[old] == 0 {
		o.next++
		o.places[old] = o.next
	}
	return o.places[old] - 1
}

// reorder puts things in their places; each has one.
func reorder[T any](o *order, things []T) []T {
	moved := make([]T, len(things))
	for old := range things {
		moved[o.place(int32(old))] = things[old]
	}
	return moved
}
