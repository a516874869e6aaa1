package recall

import (
	"cmp"
	"slices"
	"sort"
	"time"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/matrix"
)

// plain is what doc.go says, slow and simple, over all that was published. It shares nothing with the package but the places of
// users, the towers and Wilson's interval.
type plain struct {
	*world
	items map[string]*plainItem
	users map[string]*plainUser
	share float64
	rows  []schemas.Recall
	from  time.Time
}

type plainItem struct {
	version         int64
	deleted, listed bool
	vector          []float32
}

type plainUser struct {
	history   []plainEvent // oldest first
	seen      map[string]bool
	pages     []*schemas.RecommendationReply
	state     *towers.State
	embedding []float32
}

type plainEvent struct {
	*schemas.Interaction
	partition int32
	offset    int64
}

type moment struct {
	published
	topic  int
	moment time.Time
}

// timeline puts all records into one order.
func (w *world) timeline() (all []moment) {
	for topic := range w.published {
		for p := range int32(8) {
			var latest time.Time
			for _, r := range w.published[topic][p] {
				if r.Time.After(latest) {
					latest = r.Time
				}
				all = append(all, moment{r, topic, latest})
			}
		}
	}
	sort.SliceStable(all, func(i, j int) bool { return all[i].moment.Before(all[j].moment) })
	return all
}

// expect computes the rows of all windows from a moment to another.
func (w *world) expect(from, to time.Time) []schemas.Recall {
	o := &plain{world: w, items: map[string]*plainItem{}, users: map[string]*plainUser{}, share: w.config.SampleShare, from: from}
	all := w.timeline()
	for _, m := range all {
		if m.topic == itemsTopic && m.moment.Before(from) {
			o.change(m)
		}
	}
	windows := map[time.Time][]schemas.Recall{}
	var starts []time.Time
	for _, m := range all {
		if !m.moment.Before(to) || m.topic == itemsTopic && m.moment.Before(from) {
			continue
		}
		switch m.topic {
		case itemsTopic:
			o.change(m)
		case repliesTopic:
			o.reply(m)
		default:
			start := m.moment.Truncate(w.config.Period)
			answer, asked := o.event(m)
			if !asked || m.moment.Before(from) {
				break
			}
			if windows[start] == nil {
				starts, windows[start] = append(starts, start), o.empty(start)
			}
			for i := range windows[start] {
				count(&windows[start][i], answer)
			}
		}
		// The share is that at the end of the window.
		for i := range windows[m.moment.Truncate(w.config.Period)] {
			windows[m.moment.Truncate(w.config.Period)][i].SampleShare = o.share
		}
	}
	for _, start := range starts {
		for _, r := range windows[start] {
			r.EmbeddingRecall, r.EmbeddingLow, r.EmbeddingHigh = wilson(r.EmbeddingHits, r.Events)
			r.PageRecall, r.PageLow, r.PageHigh = wilson(r.PageHits, r.Paged)
			o.rows = append(o.rows, r)
		}
	}
	return o.rows
}

func (o *plain) empty(start time.Time) (rows []schemas.Recall) {
	for _, segment := range []string{"all", "known", "new"} {
		for _, k := range o.config.At {
			rows = append(rows, schemas.Recall{
				ModelVersion: "m1", WindowStart: start, WindowEnd: start.Add(o.config.Period), Segment: segment, K: int32(k),
			})
		}
	}
	return rows
}

func count(r *schemas.Recall, a answer) {
	if name := map[int]string{newUsers: "new", knownUsers: "known"}[a.segment]; r.Segment != "all" && r.Segment != name {
		return
	}
	add := func(to *int64, when bool) {
		if when {
			*to++
		}
	}
	add(&r.Events, true)
	add(&r.Unlisted, a.unlisted)
	add(&r.Paged, a.paged)
	add(&r.EmbeddingHits, a.rank >= 0 && a.rank < int(r.K))
	add(&r.PageHits, a.place >= 0 && a.place < int(r.K))
}

func (o *plain) item(id string) *plainItem {
	if o.items[id] == nil {
		o.items[id] = &plainItem{}
	}
	return o.items[id]
}

func (o *plain) change(m moment) {
	it := o.item(string(m.Key))
	c := m.change
	switch {
	case m.Value == nil:
		it.deleted, it.listed = true, false
	case c == nil:
	case c.Version > it.version || c.Version == it.version && c.Op == schemas.DeleteItem && !it.deleted:
		it.version, it.deleted, it.listed = c.Version, c.Op == schemas.DeleteItem, c.Op != schemas.DeleteItem && c.Available
		if !it.deleted {
			it.vector = make([]float32, o.parts.ItemTower.Dim())
			f := towers.FeaturesOf(c)
			o.parts.ItemTower.Encode(it.vector, &f)
		}
	}
}

func (o *plain) user(id string) *plainUser {
	if u := o.users[id]; u != nil {
		return u
	}
	if place(id) >= o.share {
		return nil
	}
	o.users[id] = &plainUser{seen: map[string]bool{}}
	for len(o.users) > o.config.MaxUsers {
		o.share /= 2
		for id := range o.users {
			if place(id) >= o.share {
				delete(o.users, id)
			}
		}
	}
	return o.users[id]
}

func (o *plain) reply(m moment) {
	if m.reply == nil || len(m.reply.Items) == 0 {
		return
	}
	if u := o.user(m.reply.UserID); u != nil {
		u.pages = append(u.pages, m.reply)
		u.pages = u.pages[max(0, len(u.pages)-pagesKept):]
	}
}

var chosen = []schemas.InteractionType{
	schemas.View, schemas.Click, schemas.Like, schemas.AddToCart, schemas.Purchase, schemas.Rating, schemas.Complete,
}

// event answers an event, and folds it.
func (o *plain) event(m moment) (a answer, asked bool) {
	if m.Value == nil {
		delete(o.users, string(m.Key))
		return a, false
	}
	e := m.event
	if e == nil {
		return a, false
	}
	u := o.user(e.UserID)
	if u == nil || e.Type == schemas.Impression {
		return a, false
	}
	late := false
	for _, h := range u.history {
		if h.EventID == e.EventID {
			return a, false
		}
		late = late || older(plainEvent{e, m.Partition, m.Offset}, h)
	}
	asked = !late && !u.seen[e.ItemID] && slices.Contains(chosen, e.Type)
	if asked {
		a = o.answer(u, e)
	}
	o.fold(u, plainEvent{e, m.Partition, m.Offset}, late)
	return a, asked
}

func (o *plain) answer(u *plainUser, e *schemas.Interaction) answer {
	target := o.item(e.ItemID)
	a := answer{segment: knownUsers, unlisted: !target.listed, rank: -1, place: -1}
	if len(u.history) < o.config.NewUserEvents {
		a.segment = newUsers
	}
	if u.embedding != nil && target.listed {
		a.rank = 0
		score := matrix.Dot(u.embedding, target.vector)
		for id, it := range o.items {
			if it.listed && !u.seen[id] && id != e.ItemID && matrix.Dot(u.embedding, it.vector) >= score {
				a.rank++
			}
		}
	}
	for _, p := range u.pages {
		if e.RequestID == "" || p.RequestID == e.RequestID {
			a.paged = true
			a.place = slices.IndexFunc(p.Items, func(i schemas.RecommendedItem) bool { return i.ItemID == e.ItemID })
		}
	}
	return a
}

func older(a, b plainEvent) bool {
	return cmp.Or(cmp.Compare(a.OccurredAt.UnixMilli(), b.OccurredAt.UnixMilli()), cmp.Compare(a.partition, b.partition),
		cmp.Compare(a.offset, b.offset)) < 0
}

func (o *plain) fold(u *plainUser, e plainEvent, late bool) {
	u.seen[e.ItemID] = true
	u.history = append(u.history, e)
	sort.SliceStable(u.history, func(i, j int) bool { return older(u.history[i], u.history[j]) })
	if len(u.history) > o.parts.Profiles.HistoryLength {
		dropped := u.history[0]
		u.history = u.history[1:]
		if dropped.Interaction == e.Interaction {
			return
		}
	}
	vector := o.item(e.ItemID).vector
	switch {
	case vector == nil || !slices.Contains(chosen, e.Type):
	case !late && u.state != nil:
		o.parts.UserTower.Follow(u.state, u.embedding, []towers.Act{{Item: vector, At: towers.Never}})
	default:
		u.state, u.embedding = new(towers.State), make([]float32, o.parts.UserTower.Dim())
		for _, h := range u.history {
			if v := o.item(h.ItemID).vector; v != nil && slices.Contains(chosen, h.Type) {
				o.parts.UserTower.Follow(u.state, u.embedding, []towers.Act{{Item: v, At: towers.Never}})
			}
		}
	}
}
