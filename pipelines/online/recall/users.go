package recall

import (
	"math"
	"slices"

	"github.com/cespare/xxhash/v2"

	"github.com/freshet/freshet/services/profiles"
)

// sample is the users that are looked at.
type sample struct {
	share float64
	most  int
	users map[string]*user
}

// user is one user as of a moment.
type user struct {
	profile profiles.Replica
	seen    []int32 // rows, ascending
	pages   []page  // the newest last
}

// page is the first places of a page that was replied to a user.
type page struct {
	request string
	items   []int32 // rows
}

// pagesKept is how many pages of a user are remembered, for events that name an earlier one than the last.
const pagesKept = 4

func newSample(share float64, most int) *sample {
	return &sample{share: share, most: most, users: map[string]*user{}}
}

// place is where a user stands between 0 and 1. It has nothing to do with the places that experiments draw of the same id.
func place(id string) float64 {
	d := xxhash.New()
	_, _ = d.WriteString("freshet.recall/")
	_, _ = d.WriteString(id)
	return float64(d.Sum64()>>11) / (1 << 53)
}

// of returns a user, nil for one outside of the sample.
func (s *sample) of(id string) *user {
	if u := s.users[id]; u != nil {
		return u
	}
	if place(id) >= s.share {
		return nil
	}
	u := &user{}
	s.users[id] = u
	for len(s.users) > s.most {
		s.halve()
	}
	return s.users[id]
}

// halve keeps a share of half the size, so that what is left is as fair a sample as before.
func (s *sample) halve() {
	s.share = math.Max(s.share/2, math.SmallestNonzeroFloat64)
	for id := range s.users {
		if place(id) >= s.share {
			delete(s.users, id)
		}
	}
}

func (s *sample) forget(id string) { delete(s.users, id) }

func (u *user) hasSeen(row int32) bool {
	_, found := slices.BinarySearch(u.seen, row)
	return found
}

func (u *user) see(row int32) {
	if at, found := slices.BinarySearch(u.seen, row); !found {
		u.seen = slices.Insert(u.seen, at, row)
	}
}

func (u *user) show(p page) {
	if len(u.pages) == pagesKept {
		u.pages = slices.Delete(u.pages, 0, 1)
	}
	u.pages = append(u.pages, p)
}

// page returns the page of a request, or the last one where an event names none; nil where it is not known.
func (u *user) page(request string) *page {
	for i := range slices.Backward(u.pages) {
		if request == "" || u.pages[i].request == request {
			return &u.pages[i]
		}
	}
	return nil
}
