package recommender

import (
	"cmp"
	"context"
	"errors"
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
	// scored and recentIDs are the lists as Redis gave them; some of their items may have no record.
	scored    []items.Scored
	recentIDs []string
}

// emptyBelieved is how long a shelf without any item counts: what a rebuild brings back is shown from then on.
const emptyBelieved = lostRefresh

// serves tells whether the shelf may be handed out without a look at Redis. The zero shelf may not.
func (s *shelf) serves() bool {
	for _, it := range s.records {
		if it != nil {
			return true
		}
	}
	return time.Since(s.readAt) < emptyBelieved
}

func (s *shelf) popularityOf(itemID string) float64 { return s.popularity[itemID] }

// shelfCache hands out the last shelf and has it read anew in the background when it has aged.
type shelfCache struct {
	last atomic.Pointer[shelf]
	// first lets one of several batches read a shelf while the others, with nothing to serve either, wait for it.
	first      sync.Mutex
	refreshing atomic.Bool
}

// currentShelf waits for Redis only while there is nothing to serve, and never returns nil.
func (s *Service) currentShelf(ctx context.Context) *shelf {
	last := s.lastShelf()
	if !last.serves() {
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
	if last := s.lastShelf(); last.serves() { // another batch has read it meanwhile
		return last
	}
	_ = s.replaceShelf(ctx) // the batch's own reads fail for the same reason, and its replies say so
	return s.lastShelf()
}

// lastShelf is all that the watchdog looks at, which must not wait for anything.
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
	if err := s.replaceShelf(ctx); err != nil {
		s.log.Warn("the popular and recent items could not be read again; the last ones go on serving", "error", err)
	}
}

// replaceShelf gives way to another that has replaced the same shelf meanwhile: the fresh one was judged by what it replaces.
func (s *Service) replaceShelf(ctx context.Context) error {
	last := s.shelf.last.Load()
	before := last
	if before == nil {
		before = &shelf{}
	}
	fresh, err := s.readShelf(ctx, before)
	if err != nil {
		return err
	}
	s.shelf.last.CompareAndSwap(last, fresh)
	return nil
}

// readShelf reads the shelf that follows last. Popularity is made from events, as profiles are; the recent items and all
// records from item changes. Of what is lost Redis has only what little came after the loss, and last has more, until it is
// overtaken: by what came since, or by a rebuild. The cached answer of lostNow would not do here:
//
//	batch:   asks what is lost .......................................... answer: profiles and items
//	refresh: .................... reads empty lists, goes by the last answer: nothing is lost, keeps them
func (s *Service) readShelf(ctx context.Context, last *shelf) (*shelf, error) {
	lost, err := s.askLost(ctx)
	if err != nil {
		return nil, err
	}
	sh := &shelf{readAt: time.Now()}
	if sh.scored, err = s.Items.Popular(ctx, s.config.ShelfSize); err != nil {
		return nil, fmt.Errorf("reading the popular items: %w", err)
	}
	if sh.recentIDs, err = s.Items.Recent(ctx, s.config.ShelfSize); err != nil {
		return nil, fmt.Errorf("reading the recent items: %w", err)
	}
	if lost.Profiles != "" && len(sh.scored) < len(last.scored) {
		sh.scored = last.scored
	}
	if lost.Items != "" && len(sh.recentIDs) < len(last.recentIDs) {
		sh.recentIDs = last.recentIDs
	}
	ids := sh.listed()
	records, err := s.Items.Load(ctx, ids)
	if err != nil {
		return nil, fmt.Errorf("reading the records of popular and recent items: %w", err)
	}
	if again, err := s.askLost(ctx); err != nil {
		return nil, err
	} else if again != lost {
		return nil, errLostMeanwhile
	}
	if lost.Items != "" {
		for i, id := range ids {
			records[i] = cmp.Or(records[i], last.record(id))
		}
	}
	sh.arrange(ids, records)
	return sh, nil
}

var errLostMeanwhile = errors.New("what Redis has lost changed between two of the reads")

// listed are the ids of both lists, the popular ones first.
func (s *shelf) listed() []string {
	ids := make([]string, 0, len(s.scored)+len(s.recentIDs))
	for _, p := range s.scored {
		ids = append(ids, p.ItemID)
	}
	return append(ids, s.recentIDs...)
}

// arrange fills the shelf with the records of listed.
func (s *shelf) arrange(ids []string, records []*items.Item) {
	s.popularity = make(map[string]float64, len(s.scored))
	for _, p := range s.scored {
		s.popularity[p.ItemID] = p.Score / s.scored[0].Score
	}
	s.popular, s.recent = records[:len(s.scored)], records[len(s.scored):]
	s.records = make(map[string]*items.Item, len(records))
	for i, id := range ids {
		s.records[id] = records[i]
	}
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
