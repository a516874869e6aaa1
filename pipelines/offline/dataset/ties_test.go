package dataset

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
	"unsafe"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

func TestEventIsSmall(t *testing.T) {
	require.EqualValues(t, 24, unsafe.Sizeof(Event{}), "there may be hundreds of millions")
}

// tiedRecords use few users, items and moments, so that many events share one; most are without an order.
func tiedRecords(seed uint64, ordered bool) listed {
	l := randomRecords(seed)
	lots := rand.New(rand.NewPCG(seed, 7))
	for i := range l.events {
		e := &l.events[i]
		e.UserID, e.OccurredAt = fmt.Sprint("u", lots.IntN(4)), time.UnixMilli(int64(2e11)+lots.Int64N(10)).UTC()
		if lots.IntN(3) == 0 { // in all but the id
			*e = l.events[lots.IntN(i+1)]
		}
		if ordered {
			l.orders = append(l.orders, lots.Int64N(3)-1)
		}
	}
	return l
}

func (l listed) shuffled(seed uint64) listed {
	s := listed{items: l.items}
	for _, i := range rand.New(rand.NewPCG(seed, 6)).Perm(len(l.events)) {
		s.events = append(s.events, l.events[i])
		if l.orders != nil {
			s.orders = append(s.orders, l.orders[i])
		}
	}
	return s
}

// TestTiesInAnyOrder: the rows in another order are the same data set, and so they are for another seed.
func TestTiesInAnyOrder(t *testing.T) {
	for seed := range uint64(40) {
		l := tiedRecords(seed, seed%2 == 0)
		d, err := FromRecords(t.Context(), "test", l)
		require.NoError(t, err)
		again, err := FromRecords(t.Context(), "test", l.shuffled(seed))
		require.NoError(t, err)
		requireSame(t, d, again)
		first := slices.Clone(d.Events)
		d.DrawTies(seed + 2)
		again.DrawTies(seed + 2)
		requireSame(t, d, again)
		d.DrawTies(DefaultTieSeed)
		for i := range first {
			first[i].Value, d.Events[i].Value = 0, 0 // may be no number
		}
		require.Equal(t, first, d.Events, "the first draw again")
	}
}

// TestTied: exactly the events of one user, one moment and one order are tied, and stand beside each other; the orders are kept.
func TestTied(t *testing.T) {
	type group struct {
		user  int32
		at    int64
		order string
	}
	for seed := range uint64(40) {
		l := tiedRecords(seed, seed%2 == 0)
		for i := range l.events {
			order := int64(0)
			if l.orders != nil {
				order = l.orders[i]
			}
			l.events[i].ItemID = fmt.Sprint(5+order, " is the order of item ", l.events[i].ItemID)
		}
		d, err := FromRecords(t.Context(), "test", l)
		require.NoError(t, err)
		of := func(i int) group {
			e := &d.Events[i]
			return group{e.User, e.At, d.Items[e.Item].ItemID[:1]}
		}
		begun := map[group]bool{}
		for i := range d.Events {
			g := of(i)
			together := i > 0 && of(i-1) == g
			require.Equal(t, together, d.Events[i].Tied, "event %d", i)
			require.Equal(t, together, begun[g], "event %d: a group is in one place", i)
			begun[g] = true
			if i > 0 && d.Events[i-1].At == g.at {
				require.LessOrEqual(t, of(i-1).order, g.order, "event %d", i)
			}
		}
	}
}

// TestDrawIsFair: each order of three events of one moment comes about as often as any other, also where two of them are equal.
func TestDrawIsFair(t *testing.T) {
	const users = 6000
	for name, items := range map[string][]string{"three items": {"a", "b", "c"}, "an item twice": {"a", "b", "a"}} {
		t.Run(name, func(t *testing.T) {
			var l listed
			for u := range users {
				for i, item := range items {
					l.events = append(l.events, event(fmt.Sprint(i), fmt.Sprint("user-", u), item, schemas.View, int64(1e12)))
				}
			}
			d, err := FromRecords(t.Context(), "test", l)
			require.NoError(t, err)
			counts := map[string]int{}
			for lo := 0; lo < len(d.Events); lo += 3 {
				key := ""
				for i := lo; i < lo+3; i++ {
					key += d.Items[d.Events[i].Item].ItemID
				}
				counts[key]++
			}
			orders := len(counts)
			require.Equal(t, map[string]int{"three items": 6, "an item twice": 3}[name], orders)
			for key, n := range counts {
				require.InDelta(t, users/orders, n, 200, "%s: five deviations or more", key)
			}
		})
	}
}

// TestDrawAnewEachTime: a basket that is bought each week has another order each week, or there would be something to learn.
func TestDrawAnewEachTime(t *testing.T) {
	var l listed
	const weeks = 400
	for week := range weeks {
		for _, item := range []string{"bread", "milk"} {
			l.events = append(l.events, event("", "ann", item, schemas.Purchase, int64(1e12+week*7*24*3600*1000)))
		}
	}
	breadFirst := func(d *Dataset) (n int) {
		for i := 0; i < len(d.Events); i += 2 {
			if d.Items[d.Events[i].Item].ItemID == "bread" {
				n++
			}
		}
		return n
	}
	d, err := FromRecords(t.Context(), "test", l)
	require.NoError(t, err)
	require.InDelta(t, weeks/2, breadFirst(d), 50)
	other := *d
	other.Events = slices.Clone(d.Events)
	other.DrawTies(2)
	require.NotEqual(t, d.Events, other.Events)
	require.InDelta(t, weeks/2, breadFirst(&other), 50)
}

// TestChanceTellsNothing: 500 users take seven of 200 items on each of two days, by chance, and the rows are sorted by item. What
// comes next must be no more often of a higher number than of a lower one, and each item's followers are those of shuffled rows.
func TestChanceTellsNothing(t *testing.T) {
	lots := rand.New(rand.NewPCG(5, 0))
	var l listed
	for u := range 500 {
		for day := range 2 {
			basket := lots.Perm(200)[:7]
			slices.Sort(basket)
			for _, item := range basket {
				at := time.Date(2024, time.January, 10+7*day+u%5, 0, 0, 0, 0, time.UTC)
				l.events = append(l.events, event("", fmt.Sprintf("u%03d", u), fmt.Sprintf("p%03d", item), schemas.Purchase, at.UnixMilli()))
			}
		}
	}
	d, err := FromRecords(t.Context(), "sorted", l)
	require.NoError(t, err)
	up, pairs := 0, 0
	for _, history := range d.Histories() {
		for i := 1; i < len(history); i++ {
			if pairs++; d.Items[history[i]].ItemID > d.Items[history[i-1]].ItemID {
				up++
			}
		}
	}
	require.Equal(t, 500*13, pairs)
	require.InDelta(t, .5, float64(up)/float64(pairs), .03)
	shuffled, err := FromRecords(t.Context(), "sorted", l.shuffled(1))
	require.NoError(t, err)
	require.Equal(t, d.Histories(), shuffled.Histories())
	for _, repeats := range []Repeats{AskRepeats, SkipRepeats} {
		a, b := NewHoldOut(d, .85, repeats), NewHoldOut(shuffled, .85, repeats)
		require.Equal(t, a.Past.Histories(), b.Past.Histories())
		require.Len(t, b.Cases, len(a.Cases))
		for i := range a.Cases {
			a.Cases[i].Timeline, b.Cases[i].Timeline = nil, nil // with values that are no numbers
		}
		require.Equal(t, a.Cases, b.Cases)
	}
}

// TestTimelinesKeepTies: what is left out of a timeline does not tie what was tied with it to something else.
func TestTimelinesKeepTies(t *testing.T) {
	d := small([3]int{0, 0, 1}, [3]int{0, 1, 1}, [3]int{0, 2, 1}, [3]int{0, 3, 1})
	d.Events[2].Type, d.Events[2].Tied = schemas.Impression, false
	d.Events[1].Tied, d.Events[3].Tied = true, true
	timeline := d.Timelines()[0]
	require.Equal(t, []bool{false, true, false}, []bool{timeline[0].Tied, timeline[1].Tied, timeline[2].Tied})
}
