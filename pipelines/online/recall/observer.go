package recall

import (
	"context"
	"slices"
	"time"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/towers"
)

// The topics by their place in the timeline. Of one moment, interactions come first: what has an event's own millisecond came
// after it.
const (
	interactionsTopic = iota
	repliesTopic
	itemsTopic
)

// observer folds the records of a timeline, and asks for the events of the window that is open.
type observer struct {
	config   Config
	profiles profiles.Config
	limits   schemas.Limits
	tower    *towers.UserTower
	serdes   serdes
	// How the ids stand in the keys of tombstones.
	userKeys, itemKeys *schemas.Keys

	*catalogue
	*sample
	// open is nil while the past is folded that is not asked for.
	open *window
	// pending are questions whose answers wait for the catalogue's next change, or for enough of them.
	pending []question
	answers []answer // of pending, without their ranks
}

// serdes read the topics and write the rows.
type serdes struct {
	interactions *schemas.Serde[schemas.Interaction]
	replies      *schemas.Serde[schemas.RecommendationReply]
	items        *schemas.Serde[schemas.ItemChange]
	rows         *schemas.Serde[schemas.Recall]
}

// fold takes one record. An error means that the record could not be read for now, and that nothing has changed.
func (o *observer) fold(ctx context.Context, topic int, r *stream.Record) error {
	switch topic {
	case interactionsTopic:
		return o.foldInteraction(ctx, r)
	case repliesTopic:
		return o.foldReply(ctx, r)
	default:
		return o.foldItem(ctx, r)
	}
}

// lasting leaves out what can never be read: its role makes a dead letter of it.
func lasting(err error) error {
	if schemas.IsMalformed(err) || schemas.IsInvalid(err) {
		return nil
	}
	return err
}

func (o *observer) foldItem(ctx context.Context, r *stream.Record) error {
	if r.Value == nil {
		id, err := o.itemKeys.Tombstone(ctx, r.Key, r)
		if err != nil {
			return lasting(err)
		}
		o.settle()
		o.remove(id)
		return nil
	}
	c, err := o.serdes.items.Decode(ctx, r.Value, r)
	if err != nil {
		return lasting(err)
	}
	if o.limits.ItemChange(&c, time.Now()) == nil {
		o.settle()
		o.change(&c)
	}
	return nil
}

func (o *observer) foldReply(ctx context.Context, r *stream.Record) error {
	reply, err := o.serdes.replies.Decode(ctx, r.Value, r)
	if err != nil {
		return lasting(err)
	}
	if len(reply.Items) == 0 {
		return nil
	}
	u := o.of(reply.UserID)
	if u == nil {
		return nil
	}
	p := page{request: reply.RequestID}
	for _, it := range reply.Items[:min(len(reply.Items), o.config.At[len(o.config.At)-1])] {
		p.items = append(p.items, o.row(it.ItemID))
	}
	u.show(p)
	return nil
}

func (o *observer) foldInteraction(ctx context.Context, r *stream.Record) error {
	if r.Value == nil {
		user, err := o.userKeys.Tombstone(ctx, r.Key, r)
		if err != nil {
			return lasting(err)
		}
		o.forget(user)
		return nil
	}
	e, err := o.serdes.interactions.Decode(ctx, r.Value, r)
	if err != nil {
		return lasting(err)
	}
	if valid := o.limits.Interaction(&e, time.Now()) == nil; !valid { // a dead letter of the role that applies it
		return nil
	}
	u := o.of(e.UserID)
	if u == nil {
		return nil
	}
	row := o.row(e.ItemID)
	q := question{target: row}
	events, seen := u.profile.Events(), u.hasSeen(row)
	if o.open != nil && !seen {
		u.profile.Arrive(o.tower, o.vector)
		q.embedding, q.seen = slices.Clone(u.profile.Embedding()), slices.Clone(u.seen)
	}
	event := profiles.Event{Interaction: e, Partition: r.Partition, Offset: r.Offset, Time: r.Time}
	effect := u.profile.Apply(&event, o.tower, o.profiles, o.vector)
	if !effect.New {
		return nil
	}
	u.see(row)
	if o.open != nil && !seen && !effect.Late && towers.CountsForTaste(o.profiles.Ratings.KindOf(&e)) {
		o.ask(q, events, u.page(e.RequestID))
	}
	return nil
}

// ask queues a question.
func (o *observer) ask(q question, events int, p *page) {
	a := answer{segment: knownUsers, unlisted: !o.items[q.target].listed, place: -1}
	if events < o.config.NewUserEvents {
		a.segment = newUsers
	}
	if p != nil {
		a.paged, a.place = true, slices.Index(p.items, q.target)
	}
	o.pending, o.answers = append(o.pending, q), append(o.answers, a)
	if len(o.pending) >= o.batch() {
		o.settle()
	}
}

// settle answers what is pending, by the catalogue as it still is.
func (o *observer) settle() {
	if len(o.pending) == 0 {
		return
	}
	for i, rank := range o.ranks(o.pending) {
		o.answers[i].rank = rank
		o.open.add(o.answers[i], o.config.At)
	}
	o.pending, o.answers = o.pending[:0], o.answers[:0]
}
