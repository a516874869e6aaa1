package recommender

import (
	"context"
	"sync"
	"time"

	"github.com/freshet/freshet/services/candidates"
)

// liveModel remembers which model's collection is live, so that batches neither ask Milvus each time nor wait for its answer.
type liveModel struct {
	mu         sync.Mutex
	version    string
	askedAt    time.Time
	refreshing bool
}

// believed times LiveRefresh is how old an answer may be at the most. In a steady stream of requests it never comes to that.
const believed = 10

// liveVersion returns the live model's version. An answer older than LiveRefresh goes on serving while Milvus is asked again in
// the background; only where there is none, or one from before a long silence, does the caller wait. While Milvus does not
// answer, the last known version serves: the embeddings of that version are still in Redis.
func (s *Service) liveVersion(ctx context.Context) (string, error) {
	l := &s.live
	l.mu.Lock()
	version, age := l.version, time.Since(l.askedAt)
	inBackground := version != "" && age > s.config.LiveRefresh && age <= believed*s.config.LiveRefresh && !l.refreshing
	l.refreshing = l.refreshing || inBackground
	refreshing := l.refreshing
	l.mu.Unlock()
	switch {
	case inBackground:
		s.background.Go(s.refreshLive)
	case version == "", age > believed*s.config.LiveRefresh && !refreshing:
		return s.askLive(ctx)
	}
	return version, nil
}

func (s *Service) refreshLive() {
	ctx, cancel := context.WithTimeout(context.Background(), s.config.StageTimeout)
	defer cancel()
	if _, err := s.askLive(ctx); err != nil {
		s.log.Warn("no model is live any more", "error", err)
	}
	s.live.mu.Lock()
	defer s.live.mu.Unlock()
	s.live.refreshing = false
}

func (s *Service) askLive(ctx context.Context) (string, error) {
	version, err := s.Index.Live(ctx)
	l := &s.live
	l.mu.Lock()
	defer l.mu.Unlock()
	switch {
	case err == nil:
		l.version = version
	case l.version == "" || candidates.IsNoLive(err):
		l.version = ""
		return "", err
	}
	l.askedAt = time.Now()
	return l.version, nil
}
