package stream

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// Stuck is a record that a member has tried for Runtime.StuckAfter or longer; of a Consumer its partition waits behind it.
type Stuck struct {
	Topic     string
	Partition int32
	Offset    int64
	// Since is when it was tried first.
	Since time.Time
	// Err is why the last attempt failed.
	Err error
}

// stuckRecords are those of a member.
type stuckRecords struct {
	mu sync.Mutex
	at map[recordAt]Stuck
}

type recordAt struct {
	partition int32
	offset    int64
}

func (s *stuckRecords) set(r Stuck) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.at == nil {
		s.at = map[recordAt]Stuck{}
	}
	s.at[recordAt{r.Partition, r.Offset}] = r
}

func (s *stuckRecords) unset(p recordAt) {
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.at, p)
}

// clear is for the end of a generation.
func (s *stuckRecords) clear() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.at)
}

// longest lists, for each partition that has any, the record that has been tried longest, in the order of the partitions.
func (s *stuckRecords) longest() []Stuck {
	s.mu.Lock()
	defer s.mu.Unlock()
	longest := map[int32]Stuck{}
	for _, r := range s.at {
		if other, known := longest[r.Partition]; !known || r.Since.Before(other.Since) {
			longest[r.Partition] = r
		}
	}
	partitions := make([]Stuck, 0, len(longest))
	for _, r := range longest {
		partitions = append(partitions, r)
	}
	slices.SortFunc(partitions, func(a, b Stuck) int { return int(a.Partition - b.Partition) })
	return partitions
}

// attempts tells of a record that is tried again and again: as a warning each time, and from StuckAfter on as an error once in
// StuckAfter, when Stuck lists it too. It is for one goroutine at a time.
type attempts struct {
	member    *member
	log       *slog.Logger
	at        recordAt
	since     time.Time
	complains time.Time // when it did last
}

// failed notes that an attempt failed, and says so where it is time to.
func (a *attempts) failed(message string, err error, now time.Time, more ...slog.Attr) {
	if a.since.IsZero() {
		a.since = now
	}
	level, tried := slog.LevelWarn, now.Sub(a.since)
	if tried >= a.member.runtime.StuckAfter {
		level = slog.LevelError
		a.member.stuck.set(Stuck{Topic: a.member.topic, Partition: a.at.partition, Offset: a.at.offset, Since: a.since, Err: err})
		if now.Sub(a.complains) < a.member.runtime.StuckAfter {
			return
		}
		a.complains = now
	}
	a.log.LogAttrs(context.Background(), level, message, append(more, slog.Any("error", err), slog.Duration("for", tried))...)
}

// over notes that the record is done, or left to another owner.
func (a *attempts) over() {
	if !a.since.IsZero() {
		a.member.stuck.unset(a.at)
	}
	a.since, a.complains = time.Time{}, time.Time{}
}

// moveTo goes on with a record, from the beginning if it is another one.
func (a *attempts) moveTo(at recordAt) {
	if a.at != at {
		a.over()
		a.at = at
	}
}
