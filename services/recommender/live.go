package recommender

import (
	"context"
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/services/candidates"
)

// liveModel remembers which model's collection is live, so that batches neither ask Milvus each time nor wait for its answer.
type liveModel struct {
	mu         sync.Mutex
	version    string
	askedAt    time.Time
	refreshing bool
	// observed: a refresh for the sake of metrics is under way.
	observed atomic.Bool
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

// observedVersion is the version that serves, for metrics: it never waits. Where no request has asked for long, it sees to it
// that the next observation knows. That refresh does not count as one of liveVersion's: after a silence a request still waits
// for an answer of its own.
func (s *Service) observedVersion() string {
	l := &s.live
	l.mu.Lock()
	version, age := l.version, time.Since(l.askedAt)
	l.mu.Unlock()
	if age > s.config.LiveRefresh && l.observed.CompareAndSwap(false, true) {
		s.background.Go(func() {
			defer l.observed.Store(false)
			ctx, cancel := context.WithTimeout(context.Background(), s.config.StageTimeout)
			defer cancel()
			_, _ = s.askLive(ctx) // the next observation tells what came of it
		})
	}
	return version
}
