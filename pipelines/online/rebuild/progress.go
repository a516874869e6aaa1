package rebuild

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/consumers/stream/replay"
)

// Stage is a step of a rebuild.
type Stage string

// The stages, in the order in which they come.
const (
	StageForget  Stage = "forgetting" // what is marked as indexed
	StageReplay  Stage = "replaying"  // a topic
	StageStale   Stage = "comparing"  // rows with records
	StageReplace Stage = "replacing"  // live profiles
)

// Progress is how far a rebuild has come.
type Progress struct {
	Stage Stage
	// Done and Total count records of the topic in StageReplay, rows in StageStale, users in StageReplace; Total is 0 where
	// it is not known, and grows as the topic does.
	Done, Total int64
	// Users have a new profile by now.
	Users int64
	// Rate is of Done, a second, since the stage began; Left is how long the stage will take at that rate, 0 where unknown.
	Rate float64
	Left time.Duration
}

// Reporter is told of the progress, once at the end of each stage and about every second in it, one call at a time.
type Reporter func(Progress)

// reportEvery is how often a Reporter is told.
const reportEvery = time.Second

// meter reports a stage while it lasts.
type meter struct {
	report Reporter
	look   func() Progress
	begin  time.Time
	ended  chan struct{}
	done   sync.WaitGroup
}

func (r Reporter) meter(look func() Progress) *meter {
	m := &meter{report: r, look: look, begin: time.Now(), ended: make(chan struct{})}
	m.done.Go(func() {
		tick := time.NewTicker(reportEvery)
		defer tick.Stop()
		for {
			select {
			case <-m.ended:
				return
			case <-tick.C:
				m.tell()
			}
		}
	})
	return m
}

func (m *meter) tell() {
	p := m.look()
	if spent := time.Since(m.begin).Seconds(); spent > 0 {
		p.Rate = float64(p.Done) / spent
	}
	if p.Rate > 0 && p.Total > p.Done {
		p.Left = time.Duration(float64(p.Total-p.Done) / p.Rate * float64(time.Second))
	}
	m.report(p)
}

func (m *meter) end() {
	close(m.ended)
	m.done.Wait()
	m.tell()
}

// counting is the progress of a stage that counts by itself.
func (r Reporter) counting(stage Stage, total int64) (*atomic.Int64, *meter) {
	n := new(atomic.Int64)
	return n, r.meter(func() Progress { return Progress{Stage: stage, Done: n.Load(), Total: total} })
}

// replayConfig has a topic replayed as its role reads it.
func replayConfig(role stream.Config) replay.Config {
	return replay.Config{MaxRecords: role.MaxRecords, HandleTimeout: role.HandleTimeout, Reading: role.Reading}
}

// replaying is the progress of a replay; users may be nil.
func (r Reporter) replaying(topic *replay.Replay, users func() int64) *meter {
	return r.meter(func() Progress {
		p := Progress{Stage: StageReplay}
		p.Done, p.Total = topic.Progress()
		if users != nil {
			p.Users = users()
		}
		return p
	})
}
