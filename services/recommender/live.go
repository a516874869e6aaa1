package recommender

import (
	"context"
	"sync"
	"time"

	"github.com/freshet/freshet/services/candidates"
)

// liveModel remembers which model's collection is live, so that a batch does not ask Milvus each time.
type liveModel struct {
	mu      sync.Mutex
	version string
	askedAt time.Time
}

// version returns the live model's version, asking again when the last answer is older than maxAge. While Milvus does not
// answer, the last known version goes on serving: the embeddings of that version are still in Redis.
func (l *liveModel) current(ctx context.Context, index *candidates.Index, maxAge time.Duration) (string, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.version != "" && time.Since(l.askedAt) < maxAge {
		return l.version, nil
	}
	version, err := index.Live(ctx)
	if err != nil {
		if l.version == "" || candidates.IsNoLive(err) {
			return "", err
		}
		l.askedAt = time.Now()
		return l.version, nil
	}
	l.version, l.askedAt = version, time.Now()
	return version, nil
}
