package evaluation

import (
	"cmp"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"sync"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/services/towers"
)

// Sessions are histories to learn from, oldest items first, and how recent each is.
type Sessions struct {
	Rows [][]int32
	// Ends is when each row ended, in any unit; nil where nobody knows.
	Ends []int64
}

// SessionsOf are the histories of a data set and when each user last did something that moves tastes.
func SessionsOf(d *dataset.Dataset) Sessions {
	s := Sessions{Rows: d.Histories(), Ends: make([]int64, len(d.Users))}
	for i := range d.Events {
		if e := &d.Events[i]; towers.CountsForTaste(d.Kind(e)) {
			s.Ends[e.User] = max(s.Ends[e.User], e.At)
		}
	}
	return s
}

// SessionsInOrder are rows of which only the order of their items is known and, with inTime, that none ended before the row above it.
func SessionsInOrder(rows [][]int32, inTime bool) Sessions {
	s := Sessions{Rows: rows}
	if inTime {
		s.Ends = make([]int64, len(rows))
		for i := range s.Ends {
			s.Ends[i] = int64(i)
		}
	}
	return s
}

// newestLast are the numbers of the rows from the oldest to the newest; where times are not known, in an order drawn by lot.
func (s *Sessions) newestLast() []int32 {
	order := make([]int32, len(s.Rows))
	for i := range order {
		order[i] = int32(i)
	}
	if s.Ends == nil {
		r := rand.New(rand.NewPCG(sessionSeed, 0))
		r.Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
		return order
	}
	slices.SortStableFunc(order, func(a, b int32) int { return cmp.Compare(s.Ends[a], s.Ends[b]) })
	return order
}

// sessionSeed draws which sessions are in the sample where nobody knows which are recent.
const sessionSeed = 0x73657373

// SessionKNN scores items by the sessions that are most like the user's own: the baseline V-SKNN (Ludewig and Jannach, UMUAI
// 2018), as hard to beat for recurrent models as any. The newer an item of the user's session, the more it counts, both for how like
// it another session is and for how much that one says. Where data has whole histories instead of sessions, those are it.
type SessionKNN struct {
	*sessionIndex
	SessionSetting
}

// SessionSetting is how a SessionKNN is set.
type SessionSetting struct {
	// Neighbours is how many of the most similar sessions speak.
	Neighbours int `json:"neighbours"`
	// Sample is among how many of the newest sessions with an item in common they are looked for.
	Sample int `json:"sample"`
	// Last is how many of the user's newest items are compared.
	Last int `json:"last"`
	// IDF weighs an item that both sessions have by how rare it is: ln(sessions / sessions with the item).
	IDF bool `json:"idf"`
}

func (s SessionSetting) String() string {
	weighed := "without"
	if s.IDF {
		weighed = "with"
	}
	return fmt.Sprintf("%d neighbours of the newest %d sessions, by the last %d items, %s IDF", s.Neighbours, s.Sample, s.Last, weighed)
}

// sessionIndex finds sessions by their items. Sessions are numbered from the oldest to the newest.
type sessionIndex struct {
	sets    [][]int32 // the different items of each session, ascending
	with    [][]int32 // the newest sessions with each item, ascending
	idf     []float32
	scratch sync.Pool // *sessionScratch
}

// sessionScratch is one call's memory. like and newest are by session, and all 0 between calls.
type sessionScratch struct {
	like, newest []float32
	met          []int32
}

// NewSessionKNN indexes the sessions; items is the size of the catalogue.
func NewSessionKNN(sessions Sessions, items int, s SessionSetting) *SessionKNN {
	return &SessionKNN{newSessionIndex(sessions, items, s.Sample), s}
}

// newSessionIndex remembers at most so many sessions with an item, the newest: an older one cannot be among as many of the
// newest that share any item with a question.
func newSessionIndex(sessions Sessions, items, sample int) *sessionIndex {
	x := &sessionIndex{with: make([][]int32, items), idf: make([]float32, items)}
	counts := make([]int, items)
	for _, row := range sessions.newestLast() {
		if len(sessions.Rows[row]) == 0 {
			continue
		}
		set := slices.Compact(slices.Sorted(slices.Values(sessions.Rows[row])))
		for _, item := range set {
			counts[item]++
			x.with[item] = append(x.with[item], int32(len(x.sets)))
		}
		x.sets = append(x.sets, set)
	}
	for item, n := range counts {
		if n > 0 {
			x.idf[item] = float32(math.Log(float64(len(x.sets)) / float64(n)))
		}
		if n > sample {
			x.with[item] = slices.Clone(x.with[item][n-sample:])
		}
	}
	x.scratch.New = func() any {
		return &sessionScratch{like: make([]float32, len(x.sets)), newest: make([]float32, len(x.sets))}
	}
	return x
}

// Name is the scorer's row in the table.
func (*SessionKNN) Name() string { return "V-SKNN" }

// Score adds up, for each item, how like the history those neighbours are that have the item, each weighed by the newest item that it
// shares with the history.
func (s *SessionKNN) Score(scores []float32, _ int32, history []int32) {
	clear(scores)
	w := s.scratch.Get().(*sessionScratch)
	defer s.scratch.Put(w)
	question := history[max(0, len(history)-s.Last):]
	w.met = w.met[:0]
	for at, item := range slices.Backward(question) {
		if slices.Contains(question[at+1:], item) {
			continue // it counted where it stands last
		}
		s.compare(w, item, float32(at+1)/float32(len(question)))
	}
	slices.Sort(w.met)
	sample := w.met[max(0, len(w.met)-s.Sample):]
	slices.SortFunc(sample, func(a, b int32) int { return cmp.Or(cmp.Compare(w.like[b], w.like[a]), cmp.Compare(b, a)) })
	for _, session := range sample[:min(s.Neighbours, len(sample))] {
		says := w.like[session] * w.newest[session]
		for _, item := range s.sets[session] {
			scores[item] += says
		}
	}
	for _, session := range w.met {
		w.like[session], w.newest[session] = 0, 0
	}
}

// compare lets an item of the question, at its weight, count for the newest sessions that have it. Newer items come first.
func (s *SessionKNN) compare(w *sessionScratch, item int32, weight float32) {
	with := s.with[item]
	more := weight
	if s.IDF {
		more *= s.idf[item]
	}
	for _, session := range with[max(0, len(with)-s.Sample):] {
		if w.newest[session] == 0 {
			w.newest[session] = weight
			w.met = append(w.met, session)
		}
		w.like[session] += more
	}
}
