package dataset

import (
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
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
	sortByTime(d.Events)
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

func TestTimeHoldOut(t *testing.T) {
	d := small(
		[3]int{0, 0, 1}, [3]int{0, 1, 2}, [3]int{1, 0, 3}, [3]int{2, 3, 4},
		[3]int{0, 1, 5}, [3]int{0, 2, 6}, [3]int{0, 3, 7}, [3]int{0, 2, 8}, // the first later one is not new
		[3]int{1, 0, 9},                    // nothing new
		[3]int{3, 2, 10}, [3]int{3, 0, 11}, // nothing before
	)
	d.Events[4].Type = schemas.Impression // shown, not chosen
	h := NewTimeHoldOut(d, .37, false)
	require.Equal(t, [][]int32{{0, 1}, {0}, {3}, {}}, h.Past.Histories())
	require.Same(t, h.Past, h.Told)
	require.Len(t, h.Later.Events, 7)
	require.Equal(t, []Case{
		{User: 0, History: []int32{0, 1}, Timeline: h.Past.Timelines()[0], Targets: []int32{2}, At: 6, Type: schemas.Click},
		{User: 3, History: []int32{}, Timeline: h.Past.Timelines()[3], Targets: []int32{2}, At: 10, Type: schemas.Click},
	}, h.Cases)
	all := NewTimeHoldOut(d, .37, true).Cases
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
		h := NewTimeHoldOut(d, r.Float64(), all)
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
