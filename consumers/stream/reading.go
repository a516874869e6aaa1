package stream

import (
	"log/slog"
	"time"

	"github.com/freshet/freshet/consumers/stream/partition"
)

// reading has a member told how the reading of one of its partitions goes: for its lag, and since a partition that cannot be read
// for long is stuck.
type reading struct {
	partition int32
	progress  *progress
	tries     attempts
}

// reader returns a Reader of one of the generation's partitions.
func (g *generation) reader(id int32, start int64) *partition.Reader {
	m := g.member
	r := partition.NewReader(g.topic, id, start, m.runtime.Reading, m.log, &m.stats.losses)
	progress := g.owned[id]
	log := m.log.With(slog.Int("partition", int(id)))
	r.Follow(&reading{partition: id, progress: progress, tries: attempts{member: m, log: log}}, progress.seenEnd())
	return r
}

// Fetched implements partition.Watch.
func (r *reading) Fetched(records []Record, next, end int64) { r.progress.fetched(records, next, end) }

// Failed implements partition.Watch.
func (r *reading) Failed(next int64, err error, wait time.Duration) {
	if r.tries.since.IsZero() {
		r.tries.at = recordAt{r.partition, next}
	}
	r.tries.failed("reading from Kafka failed, trying again", err, time.Now(), slog.Duration("in", wait))
}

// Over implements partition.Watch.
func (r *reading) Over() { r.tries.over() }

// Waits implements partition.Watch: a right may come back, and a member of a group is there for years.
func (*reading) Waits() bool { return true }
