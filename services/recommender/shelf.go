package recommender

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
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
	// records are the items of both lists by id.
	records map[string]*items.Item
}

func (s *shelf) popularityOf(itemID string) float64 { return s.popularity[itemID] }

// shelfCache hands out the last shelf and has it read anew in the background when it has aged.
type shelfCache struct {
	last atomic.Pointer[shelf]
	// first lets one of several batches read the first shelf while the others wait for it.
	first      sync.Mutex
	refreshing atomic.Bool
}

// currentShelf never waits for Redis but the first time, and never returns nil.
func (s *Service) currentShelf(ctx context.Context) *shelf {
	last := s.shelf.last.Load()
	if last == nil {
		return s.firstShelf(ctx)
	}
	if time.Since(last.readAt) > s.config.ShelfRefresh && s.shelf.refreshing.CompareAndSwap(false, true) {
		s.background.Go(s.refreshShelf)
	}
	return last
}

func (s *Service) firstShelf(ctx context.Context) *shelf {
	s.shelf.first.Lock()
	defer s.shelf.first.Unlock()
	if s.shelf.last.Load() == nil {
		first, err := s.readShelf(ctx)
		if err != nil {
			return &shelf{}
		}
		s.shelf.last.Store(first)
	}
	return s.shelf.last.Load()
}

// lastShelf is for the watchdog, which must not wait for anything.
func (s *Service) lastShelf() *shelf {
	if last := s.shelf.last.Load(); last != nil {
		return last
	}
	return &shelf{}
}

func (s *Service) refreshShelf() {
	defer s.shelf.refreshing.Store(false)
	ctx, cancel := context.WithTimeout(context.Background(), s.config.StageTimeout)
	defer cancel()
	fresh, err := s.readShelf(ctx)
	if err != nil {
		s.log.Warn("the popular and recent items could not be read again; the last ones go on serving", "error", err)
		return
	}
	if profiles, items := s.lostNow(ctx); profiles != "" || items != "" {
		return // what is there now is what little came after the loss
	}
	s.shelf.last.Store(fresh)
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
	sh.records = make(map[string]*items.Item, len(records))
	for i, id := range ids {
		sh.records[id] = records[i]
	}
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
func (s *shelf) record(id string) *items.Item { return s.records[id] }
