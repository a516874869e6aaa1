package dataset

import (
	"cmp"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
)

// small makes a data set of clicks from user, item, time.
func small(events ...[3]int) *Dataset {
	d := &Dataset{Name: "small"}
	for _, e := range events {
		d.Events = append(d.Events, Event{User: int32(e[0]), Item: int32(e[1]), At: int64(e[2]), Type: schemas.Click})
		for len(d.Users) <= e[0] {
			d.Users = append(d.Users, User{ID: string(rune('a' + len(d.Users)))})
		}
		for len(d.Items) <= e[1] {
			d.Items = append(d.Items, schemas.ItemChange{ItemID: string(rune('A' + len(d.Items)))})
		}
	}
	slices.SortStableFunc(d.Events, func(a, b Event) int { return cmp.Compare(a.At, b.At) }) // an order that is known
	return d
}

func TestSplitByTimeKeepsAMomentTogether(t *testing.T) {
	d := small([3]int{0, 0, 1}, [3]int{0, 1, 2}, [3]int{1, 0, 2}, [3]int{1, 1, 2}, [3]int{0, 2, 3})
	for _, c := range []struct {
		fraction float64
		past     int
	}{{-1, 0}, {0, 0}, {.2, 1}, {.4, 1}, {.6, 1}, {.8, 4}, {1, 5}, {7, 5}} {
		past, later := SplitByTime(d, c.fraction)
		require.Len(t, past.Events, c.past, "%v", c.fraction)
		require.Len(t, later.Events, 5-c.past)
	}
	past, later := SplitByTime(d, .8)
	require.Equal(t, d.Interaction(4), later.Interaction(0))
	require.NotEqual(t, past.Interaction(0).EventID, later.Interaction(0).EventID)
}

func TestTimelines(t *testing.T) {
	d := small([3]int{0, 0, 1}, [3]int{1, 1, 2}, [3]int{0, 2, 3}, [3]int{0, 3, 4}, [3]int{0, 1, 5}, [3]int{0, 2, 6})
	d.Events[2].Type, d.Events[3].Type, d.Events[4].Type = schemas.Impression, schemas.Dislike, schemas.Purchase
	timelines := d.Timelines()
	require.Equal(t, [][]Event{{d.Events[0], d.Events[3], d.Events[4], d.Events[5]}, {d.Events[1]}}, timelines[:2])
	require.Empty(t, through(timelines[0], 0))
	require.Equal(t, timelines[0][:1], through(timelines[0], 1))
	require.Equal(t, timelines[0][:3], through(timelines[0], 2))
}

func TestLeaveLastOut(t *testing.T) {
	d := small(
		[3]int{0, 0, 1}, [3]int{0, 1, 2}, [3]int{0, 2, 3},
		[3]int{1, 0, 1}, [3]int{1, 1, 2}, [3]int{1, 1, 3}, [3]int{1, 0, 4}, // the last new one is the second
		[3]int{2, 3, 5}, // nothing to ask
	)
	d.Events = append(d.Events,
		Event{User: 0, Item: 3, At: 6, Type: schemas.Impression}, Event{User: 2, Item: 0, At: 7, Type: schemas.Hide})
	rest, cases := LeaveLastOut(d)
	require.Equal(t, []Case{
		{User: 0, History: []int32{0, 1}, Timeline: []Event{d.Events[0], d.Events[2]}, Targets: []int32{2}, At: 3, Type: schemas.Click},
		{User: 1, History: []int32{0}, Timeline: []Event{d.Events[1]}, Targets: []int32{1}, At: 2, Type: schemas.Click},
	}, cases)
	require.Equal(t, [][]int32{{0, 1}, {0}, {3}}, rest.Histories())
	require.Len(t, rest.Events, 5, "a user of whom nothing is held back keeps everything")
	require.Len(t, d.Events, 10)
}

// asBefore is LeaveLastOut as it was written before repeats could be asked for.
func asBefore(d *Dataset) (rest []Event, cases []Case) {
	histories := d.Histories()
	keep, asked := make([]int, len(histories)), make([]int, len(histories))
	for u, history := range histories {
		keep[u] = len(d.Events) + 1
		if at := lastNew(history); at > 0 {
			keep[u], asked[u] = at, len(cases)
			cases = append(cases, Case{User: int32(u), History: history[:at], Targets: []int32{history[at]}})
		}
	}
	for _, e := range d.Events {
		tastes := towers.CountsForTaste(d.Kind(&e))
		if keep[e.User] == 0 {
			if c := &cases[asked[e.User]]; tastes && c.Type == schemas.UnknownInteraction {
				c.At, c.Type = e.At, e.Type
			}
			continue
		}
		if tastes {
			keep[e.User]--
		}
		rest = append(rest, e)
	}
	return rest, cases
}

// randomWorld has few users, items and moments; repeats, all kinds, and ties where drawn says so.
func randomWorld(r *rand.Rand, tied bool) *Dataset {
	var events [][3]int
	for range 1 + r.IntN(80) {
		events = append(events, [3]int{r.IntN(5), r.IntN(7), r.IntN(25)})
	}
	d := small(events...)
	for i := range d.Events {
		if r.IntN(4) == 0 {
			d.Events[i].Type = schemas.InteractionType(1 + r.IntN(int(schemas.Hide)))
		}
	}
	if tied {
		d.settle(nil)
	}
	return d
}

func TestSkippingRepeatsIsAsBefore(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 1))
	for range 300 {
		d := randomWorld(r, r.IntN(2) == 0)
		wantRest, want := asBefore(d)
		rest, cases := LeaveLastOut(d)
		require.Equal(t, wantRest, rest.Events)
		require.Len(t, cases, len(want))
		for i, c := range cases {
			require.Equal(t, d.Timelines()[c.User][:len(c.Timeline)], c.Timeline)
			c.Timeline, c.Tied = nil, nil
			require.Equal(t, want[i], c)
		}
	}
}

// Where nobody meets an item twice it is one whether repeats are asked for, and auto skips them.
func TestRepeatsDoNotMatterWithoutRepeats(t *testing.T) {
	r := rand.New(rand.NewPCG(8, 2))
	for range 100 {
		var events [][3]int
		for u := range 4 {
			for _, item := range r.Perm(12)[:r.IntN(13)] {
				for range 1 + r.IntN(3) { // a view, and perhaps more of the same choice
					events = append(events, [3]int{u, item, len(events)})
				}
			}
		}
		if len(events) == 0 {
			continue
		}
		d := small(events...)
		past := r.Float64()
		auto, skip, ask := NewHoldOut(d, past, AutoRepeats), NewHoldOut(d, past, SkipRepeats), NewHoldOut(d, past, AskRepeats)
		require.Equal(t, skip, auto)
		require.Equal(t, AskRepeats, ask.Repeats)
		ask.Repeats = SkipRepeats
		require.Equal(t, skip, ask)
		for _, all := range []bool{false, true} {
			skip, ask := NewTimeHoldOut(d, past, all, SkipRepeats), NewTimeHoldOut(d, past, all, AskRepeats)
			ask.Repeats = SkipRepeats
			require.Equal(t, skip, ask)
		}
	}
}

// TestSyntheticShopIsPartedAsBefore: the shop of the demo has few repeats.
func TestSyntheticShopIsPartedAsBefore(t *testing.T) {
	d, err := Synthetic(DefaultSyntheticConfig())
	require.NoError(t, err)
	answer, share := AutoRepeats.Settle(d)
	require.Equal(t, SkipRepeats, answer, "%v", share)
	rest, want := asBefore(d)
	h := NewHoldOut(d, .85, AutoRepeats)
	require.Len(t, h.Cases, len(want))
	for i := range want {
		require.Equal(t, want[i].Targets, h.Cases[i].Targets)
		require.Equal(t, want[i].History, h.Cases[i].History)
		require.Empty(t, h.Cases[i].Tied, "people know in which order they did something")
	}
	require.Len(t, h.Told.Events, len(rest))
	for i := range rest {
		require.Equal(t, d.Items[rest[i].Item].ItemID, d.Items[h.Told.Events[i].Item].ItemID)
	}
}

func TestRepeatedChoices(t *testing.T) {
	for name, c := range map[string]struct {
		items             []int
		repeated, choices int
		answer            Repeats
	}{
		"nothing":             {nil, 0, 0, SkipRepeats},
		"one choice goes on":  {[]int{1, 1, 1, 2, 2}, 0, 2, SkipRepeats},
		"back and forth":      {[]int{1, 2, 1, 2, 2}, 2, 4, AskRepeats},
		"a fifth":             {[]int{1, 2, 3, 4, 1}, 1, 5, AskRepeats},
		"less than a fifth":   {[]int{1, 2, 3, 4, 5, 1}, 1, 6, SkipRepeats},
		"of other users' too": {[]int{1, -1, 1}, 0, 2, SkipRepeats},
	} {
		t.Run(name, func(t *testing.T) {
			d := &Dataset{Users: make([]User, 2), Items: make([]schemas.ItemChange, 6)}
			user := int32(0)
			for i, item := range c.items {
				if item < 0 {
					user++
					continue
				}
				d.Events = append(d.Events, Event{User: user, Item: int32(item), At: int64(i), Type: schemas.View},
					Event{User: user, Item: 0, At: int64(i), Type: schemas.Impression})
			}
			repeated, choices := d.RepeatedChoices()
			require.Equal(t, []int{c.repeated, c.choices}, []int{repeated, choices})
			answer, share := AutoRepeats.Settle(d)
			require.Equal(t, c.answer, answer)
			require.InDelta(t, float64(c.repeated)/float64(max(c.choices, 1)), share, 1e-9)
			same, _ := AskRepeats.Settle(d)
			require.Equal(t, AskRepeats, same, "what is asked for is what happens")
		})
	}
}

func TestAskingForRepeats(t *testing.T) {
	d := small(
		[3]int{0, 0, 1}, [3]int{0, 1, 2}, [3]int{0, 0, 3}, // a repeat
		[3]int{1, 0, 1}, [3]int{1, 1, 2}, [3]int{1, 1, 3}, [3]int{1, 1, 4}, // one choice, thrice
		[3]int{2, 3, 5}, [3]int{2, 3, 6}, // nothing to ask
	)
	d.Events = append(d.Events, Event{User: 0, Item: 3, At: 7, Type: schemas.Impression})
	h := NewHoldOut(d, 1, AskRepeats)
	require.Equal(t, [][]int32{{0, 1}, {0}, {3, 3}}, h.Told.Histories())
	require.Len(t, h.Cases, 2)
	require.Equal(t, []int32{0}, h.Cases[0].Targets)
	require.EqualValues(t, 3, h.Cases[0].At)
	require.Equal(t, []int32{1}, h.Cases[1].Targets)
	require.EqualValues(t, 2, h.Cases[1].At, "the choice begins with its first event")
	require.Equal(t, Parts{Read: 10, Past: 5, Asked: 2, Behind: 3}, h.Parts)

	h = NewTimeHoldOut(d, .5, false, AskRepeats) // at 3
	require.Equal(t, [][]int32{{0, 1}, {0, 1}, {}}, h.Past.Histories())
	require.Len(t, h.Cases, 2)
	require.Equal(t, []int32{0}, h.Cases[0].Targets)
	require.EqualValues(t, 2, h.Cases[1].User, "the second goes on with what there was before")
	require.Equal(t, Parts{Read: 10, Past: 4, Asked: 2, Later: 4}, h.Parts)
	require.Len(t, NewTimeHoldOut(d, .5, false, SkipRepeats).Cases, 1)
}

// Groceries are bought again and again: hardly anything but what is asked for is held back, and the oldest share is learnt from.
func TestGroceries(t *testing.T) {
	r := rand.New(rand.NewPCG(3, 0))
	d := &Dataset{Name: "groceries", Users: make([]User, 300), Items: make([]schemas.ItemChange, 200)}
	for u := range d.Users {
		favourites := r.Perm(200)[:8]
		at := int64(1.7e12)
		for range 100 {
			at += 1 + r.Int64N(1e8)
			d.Events = append(d.Events, Event{User: int32(u), Item: int32(favourites[r.IntN(8)]), At: at, Type: schemas.Purchase})
		}
	}
	d.settle(nil)
	answer, share := AutoRepeats.Settle(d)
	require.Equal(t, AskRepeats, answer)
	require.InDelta(t, .9, share, .05)
	h := NewHoldOut(d, .85, AutoRepeats)
	require.Len(t, h.Cases, 300)
	require.Less(t, h.Parts.Behind, 100)
	require.InDelta(t, .85*30_000, h.Parts.Past, 400)
	require.GreaterOrEqual(t, h.Past.Events[len(h.Past.Events)-1].At, d.Events[25_000].At)
	skipped := NewHoldOut(d, .85, SkipRepeats)
	require.Less(t, skipped.Parts.Past, 8_000, "new items come to an end early")
}

// TestParts: every event becomes one thing.
func TestParts(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 1))
	for range 300 {
		d, past, repeats := randomWorld(r, r.IntN(2) == 0), r.Float64(), []Repeats{AskRepeats, SkipRepeats, AutoRepeats}[r.IntN(3)]
		for _, h := range []HoldOut{
			NewHoldOut(d, past, repeats), NewTimeHoldOut(d, past, false, repeats), NewTimeHoldOut(d, past, true, repeats),
		} {
			p := h.Parts
			require.Equal(t, len(d.Events), p.Read)
			require.Equal(t, p.Read, p.Past+p.Asked+p.Behind+p.Later)
			require.Equal(t, len(h.Past.Events), p.Past)
			require.GreaterOrEqual(t, min(p.Asked, p.Behind, p.Later), 0)
		}
	}
}

// TestTiedMightHaveBeenAsked draws the ties many times over: what any draw asks for is the target of the first or tied with it, and
// each of these is asked for by some draw.
func TestTiedMightHaveBeenAsked(t *testing.T) {
	r := rand.New(rand.NewPCG(9, 2))
	some := 0
	for range 120 {
		var events [][3]int
		for range 1 + r.IntN(10) {
			events = append(events, [3]int{0, r.IntN(5), r.IntN(4)})
		}
		d := small(events...)
		for i := range d.Events {
			if r.IntN(5) == 0 {
				d.Events[i].Type = schemas.Impression
			}
		}
		d.settle(nil)
		later := small(events...)
		for i := range later.Events {
			later.Events[i].At += 100
		}
		later.settle(nil)
		before := small([3]int{0, r.IntN(5), 1}, [3]int{0, r.IntN(5), 2})
		later.Items = small([3]int{0, 4, 0}).Items
		for name, ask := range map[string]func() []Case{
			"skip": func() []Case { return NewHoldOut(d, 1, SkipRepeats).Cases },
			"ask":  func() []Case { return NewHoldOut(d, 1, AskRepeats).Cases },
			"time, skip": func() []Case {
				both := *later
				both.Events = append(slices.Clone(before.Events), later.Events...)
				return NewTimeHoldOut(&both, 2.5/float64(len(both.Events)), false, SkipRepeats).Cases
			},
			"time, ask": func() []Case {
				both := *later
				both.Events = append(slices.Clone(before.Events), later.Events...)
				return NewTimeHoldOut(&both, 2.5/float64(len(both.Events)), false, AskRepeats).Cases
			},
		} {
			d.DrawTies(1)
			later.DrawTies(1)
			first := ask()
			possible := map[int32]bool{}
			for seed := range uint64(300) {
				d.DrawTies(seed)
				later.DrawTies(seed)
				for _, c := range ask() {
					possible[c.Targets[0]] = true
				}
			}
			told := map[int32]bool{}
			for _, c := range first {
				told[c.Targets[0]] = true
				for _, item := range c.Tied {
					require.False(t, told[item], "once, and not the target")
					told[item] = true
					some++
				}
			}
			require.Equal(t, possible, told, "%s: %v", name, d.Events)
		}
	}
	require.Greater(t, some, 100, "there are ties to tell of")
}

func TestTimeHoldOut(t *testing.T) {
	d := small(
		[3]int{0, 0, 1}, [3]int{0, 1, 2}, [3]int{1, 0, 3}, [3]int{2, 3, 4},
		[3]int{0, 1, 5}, [3]int{0, 2, 6}, [3]int{0, 3, 7}, [3]int{0, 2, 8}, // the first later one is not new
		[3]int{1, 0, 9},                    // nothing new
		[3]int{3, 2, 10}, [3]int{3, 0, 11}, // nothing before
	)
	d.Events[4].Type = schemas.Impression // shown, not chosen
	h := NewTimeHoldOut(d, .37, false, SkipRepeats)
	require.Equal(t, [][]int32{{0, 1}, {0}, {3}, {}}, h.Past.Histories())
	require.Same(t, h.Past, h.Told)
	require.Len(t, h.Later.Events, 7)
	require.Equal(t, []Case{
		{User: 0, History: []int32{0, 1}, Timeline: h.Past.Timelines()[0], Targets: []int32{2}, At: 6, Type: schemas.Click},
		{User: 3, History: []int32{}, Timeline: h.Past.Timelines()[3], Targets: []int32{2}, At: 10, Type: schemas.Click},
	}, h.Cases)
	all := NewTimeHoldOut(d, .37, true, SkipRepeats).Cases
	require.Equal(t, []int32{2, 3}, all[0].Targets)
	require.Equal(t, []int32{2, 0}, all[1].Targets)
}

// Whatever happened when: nothing of a case's history or of what may be learnt is later than what any case asks for.
func TestTimeHoldOutDoesNotLeak(t *testing.T) {
	r := rand.New(rand.NewPCG(5, 6))
	for range 300 {
		var events [][3]int
		for range 1 + r.IntN(60) {
			events = append(events, [3]int{r.IntN(6), r.IntN(8), r.IntN(30)})
		}
		d := small(events...)
		all := r.IntN(2) == 0
		h := NewTimeHoldOut(d, r.Float64(), all, SkipRepeats)
		histories := h.Told.Histories()
		asked := 0
		for _, c := range h.Cases {
			require.Equal(t, histories[c.User], c.History)
			for _, e := range h.Told.Events {
				require.Less(t, e.At, c.At)
			}
			for i, target := range c.Targets {
				require.NotContains(t, c.History, target)
				require.Equal(t, i, slices.Index(c.Targets, target), "once")
				require.True(t, slices.ContainsFunc(h.Later.Events, func(e Event) bool { return e.User == c.User && e.Item == target }))
			}
			asked += len(c.Targets)
		}
		fresh := map[[2]int32]bool{}
		users := map[int32]bool{}
		for _, e := range h.Later.Events {
			if !slices.Contains(histories[e.User], e.Item) {
				fresh[[2]int32{e.User, e.Item}], users[e.User] = true, true
			}
		}
		require.Len(t, h.Cases, len(users), "everybody who did something new is asked")
		if all {
			require.Equal(t, len(fresh), asked)
		}
	}
}
