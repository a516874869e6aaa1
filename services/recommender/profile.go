package recommender

import (
	"context"
	"time"

	"go.opentelemetry.io/otel/trace"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/profiles"
)

// Polling for a seen_through position starts at about the time that one event takes to be applied, and slows down.
const (
	firstPoll = time.Millisecond
	lastPoll  = 20 * time.Millisecond
)

// readModel asks which model is live: it decides which embedding of a profile counts. It is a stage of its own, so that a slow
// Milvus leaves Redis its time.
func (b *batch) readModel(ctx context.Context) {
	model, err := b.service.liveVersion(ctx)
	b.model = model
	for _, j := range b.jobs {
		j.freshness.ModelVersion, j.freshness.IndexVersion = model, model
		if err != nil {
			j.degrade(schemas.DegradedCandidateIndex, "%v", err)
		}
	}
}

func (b *batch) readProfiles(ctx context.Context) {
	s := b.service
	b.shelf = s.currentShelf(ctx)
	users := make([]string, len(b.jobs))
	for i, j := range b.jobs {
		users[i] = j.request.UserID
	}
	loaded, err := s.Profiles.Load(ctx, users, b.model)
	for i, j := range b.jobs {
		switch {
		case err != nil:
			j.degrade(schemas.DegradedUserProfile, "%v", err)
		case loaded[i] != nil && loaded[i].Err != nil:
			j.degrade(schemas.DegradedUserProfile, "%v", loaded[i].Err)
		default:
			j.setProfile(loaded[i])
		}
	}
	if err == nil {
		b.admitLost(ctx)
	}
}

func (j *job) setProfile(p *profiles.Profile) {
	j.profile = p
	j.freshness.Profile, j.freshness.ProfileAgeMillis = nil, 0
	if p != nil {
		j.freshness.Profile = p.LastApplied()
	}
	if p != nil && !p.UpdatedAt.IsZero() { // an erased profile has no time
		j.freshness.ProfileAgeMillis = max(0, time.Since(p.UpdatedAt).Milliseconds())
	}
	if want := j.request.SeenThrough; want != nil {
		satisfied := reached(p, want)
		j.freshness.SeenThroughSatisfied = &satisfied
	}
}

// reached tells whether the profile holds the user's event at the position, or a later one of the same partition.
func reached(p *profiles.Profile, want *schemas.Position) bool {
	if p == nil {
		return false
	}
	offset, known := p.Watermarks[want.Partition]
	return known && offset >= want.Offset
}

func (j *job) mustWait() bool {
	satisfied := j.freshness.SeenThroughSatisfied
	return satisfied != nil && !*satisfied && len(j.degraded) == 0
}

// parkWaiting takes the jobs out of the batch whose seen_through position is not reached: they wait beside it. Without
// park the wait is over, and the answer says that it is made from what the profile holds.
func (b *batch) parkWaiting(ctx context.Context, park func(context.Context, *job)) {
	kept := b.jobs[:0:0]
	for _, j := range b.jobs {
		if j.mustWait() {
			if park != nil {
				park(ctx, j)
				continue
			}
			j.degrade(schemas.DegradedSeenThrough,
				"partition %d had not reached offset %d in time; the answer is made from what the profile holds",
				j.request.SeenThrough.Partition, j.request.SeenThrough.Offset)
		}
		kept = append(kept, j)
	}
	b.jobs = kept
}

// park waits for the job's position in a goroutine of its own and then serves the job as a batch of one.
func (s *Service) park(ctx context.Context, j *job) {
	j.awaits.Store(true)
	s.background.Go(func() {
		reserve := s.work.reserve(s.config.WorkReserve, time.Until(j.deadline))
		waiting, cancel := context.WithDeadline(ctx, j.deadline.Add(-reserve))
		defer cancel()
		j.awaits.Store(!s.awaitPosition(waiting, j))
		s.serve(ctx, []*job{j}, nil)
	})
}

// awaitPosition waits until the user's profile holds the position, which it reports, or the context ends. The trace shows the wait,
// not each look.
func (s *Service) awaitPosition(ctx context.Context, j *job) bool {
	traced, span := s.observe.begin(ctx, stageWait, 1)
	begin := time.Now()
	defer func() { s.observe.end(traced, stageWait, time.Since(begin), span) }()
	ctx = trace.ContextWithSpanContext(ctx, trace.SpanContext{})
	for pause := firstPoll; ; pause = min(2*pause, lastPoll) {
		select {
		case <-ctx.Done():
			return false
		case <-time.After(pause):
		}
		loaded, err := s.Profiles.Load(ctx, []string{j.request.UserID}, "")
		if err == nil && reached(loaded[0], j.request.SeenThrough) { // an unreadable profile has no watermarks
			return true
		}
	}
}
