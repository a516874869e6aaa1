package recommender

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/freshet/freshet/services/items"
)

// shelf is a snapshot of the popular and the recent items with their records: the popularity that ranking looks at, what
// fills a page that retrieval leaves short, and all there is while Redis is away.
type shelf struct {
	readAt  time.Time
	popular []*items.Item
	recent  []*items.Item
	// popularity maps item ids to their share of the most popular item's weight, in (0, 1].
	popularity map[string]float64
}

func (s *shelf) popularityOf(itemID string) float64 { return s.popularity[itemID] }

// shelfCache hands out the last shelf and has it read anew in the background when it has aged.
type shelfCache struct {
	mu         sync.Mutex
	last       *shelf
	refreshing bool
}

// currentShelf never waits for Redis but the first time, and never returns nil.
func (s *Service) currentShelf(ctx context.Context) *shelf {
	s.shelf.mu.Lock()
	defer s.shelf.mu.Unlock()
	if s.shelf.last == nil {
		first, err := s.readShelf(ctx)
		if err != nil {
			return &shelf{}
		}
		s.shelf.last = first
	}
	if time.Since(s.shelf.last.readAt) > s.config.ShelfRefresh && !s.shelf.refreshing {
		s.shelf.refreshing = true
		s.background.Go(s.refreshShelf)
	}
	return s.shelf.last
}

// lastShelf is for the watchdog, which must not wait for anything.
func (s *Service) lastShelf() *shelf {
	if !s.shelf.mu.TryLock() {
		return &shelf{}
	}
	defer s.shelf.mu.Unlock()
	if s.shelf.last == nil {
		return &shelf{}
	}
	return s.shelf.last
}

func (s *Service) refreshShelf() {
	ctx, cancel := context.WithTimeout(context.Background(), s.config.StageTimeout)
	defer cancel()
	fresh, err := s.readShelf(ctx)
	s.shelf.mu.Lock()
	defer s.shelf.mu.Unlock()
	s.shelf.refreshing = false
	if err != nil {
		s.log.Warn("the popular and recent items could not be read again; the last ones go on serving", "error", err)
		return
	}
	s.shelf.last = fresh
}

func (s *Service) readShelf(ctx context.Context) (*shelf, error) {
	popular, err := s.Items.Popular(ctx, s.config.ShelfSize)
	if err != nil {
		return nil, fmt.Errorf("reading the popular items: %w", err)
	}
	recent, err := s.Items.Recent(ctx, s.config.ShelfSize)
	if err != nil {
		return nil, fmt.Errorf("reading the recent items: %w", err)
	}
	ids := make([]string, 0, len(popular)+len(recent))
	sh := &shelf{readAt: time.Now(), popularity: make(map[string]float64, len(popular))}
	for _, p := range popular {
		ids = append(ids, p.ItemID)
		sh.popularity[p.ItemID] = p.Score / popular[0].Score
	}
	ids = append(ids, recent...)
	records, err := s.Items.Load(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("reading the records of popular and recent items: %w", err)
	}
	sh.popular, sh.recent = records[:len(popular)], records[len(popular):]
	return sh, nil
}

// ids lists the items of the shelf.
func (s *shelf) ids() []string {
	ids := make([]string, 0, len(s.popular)+len(s.recent))
	for _, it := range s.popular {
		if it != nil {
			ids = append(ids, it.ItemID)
		}
	}
	for _, it := range s.recent {
		if it != nil {
			ids = append(ids, it.ItemID)
		}
	}
	return unique(ids)
}

// record is the shelf's own copy of an item's record.
func (s *shelf) record(id string) *items.Item {
	for _, list := range [][]*items.Item{s.popular, s.recent} {
		for _, it := range list {
			if it != nil && it.ItemID == id {
				return it
			}
		}
	}
	return nil
}
