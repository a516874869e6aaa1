package bench

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/redis/go-redis/v9"
)

// watcher looks, again and again, for keys that are on their way, and notes how long each took from when it was due.
type watcher struct {
	rdb redis.UniversalClient
	key func(user string) string

	mu        sync.Mutex
	due       map[string]time.Time
	seen      []string
	latencies samples // of seen
	err       error
}

func newWatcher(rdb redis.UniversalClient, key func(user string) string) *watcher {
	return &watcher{rdb: rdb, key: key, due: map[string]time.Time{}}
}

// expect has the watcher look for a user from now on.
func (w *watcher) expect(user string, due time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.due[user] = due
}

func (w *watcher) expected() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	users := make([]string, 0, len(w.due))
	for user := range w.due {
		users = append(users, user)
	}
	return users
}

// run looks until ctx ends or reading fails.
func (w *watcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		if users := w.expected(); len(users) > 0 {
			there, err := w.there(ctx, users)
			if ctx.Err() != nil {
				return
			}
			w.note(users, there, err, time.Now())
			if err != nil {
				return
			}
		}
		time.Sleep(watchPause)
	}
}

// there asks which users' keys exist.
func (w *watcher) there(ctx context.Context, users []string) ([]bool, error) {
	pipe := w.rdb.Pipeline()
	asked := make([]*redis.IntCmd, len(users))
	for i, user := range users {
		asked[i] = pipe.Exists(ctx, w.key(user))
	}
	if _, err := pipe.Exec(ctx); err != nil {
		return nil, fmt.Errorf("looking for what was written: %w", err)
	}
	there := make([]bool, len(users))
	for i, cmd := range asked {
		there[i] = cmd.Val() > 0
	}
	return there, nil
}

func (w *watcher) note(users []string, there []bool, err error, now time.Time) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.err = err
	for i, yes := range there {
		if yes {
			w.seen = append(w.seen, users[i])
			w.latencies = append(w.latencies, now.Sub(w.due[users[i]]))
			delete(w.due, users[i])
		}
	}
}

// await returns when everything that was expected has been seen.
func (w *watcher) await(ctx context.Context, most time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, most)
	defer cancel()
	for {
		w.mu.Lock()
		open, err := len(w.due), w.err
		w.mu.Unlock()
		switch {
		case err != nil:
			return err
		case open == 0:
			return nil
		case ctx.Err() != nil:
			return fmt.Errorf("%d of the watched events could not be read within %s: %w", open, most, ctx.Err())
		}
		time.Sleep(watchPause)
	}
}
