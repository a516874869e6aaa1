package stream

import (
	"sync/atomic"

	"github.com/freshet/freshet/consumers/stream/partition"
)

// Stats counts what a consumer did since it was made.
type Stats struct {
	// Records were done, the dead letters among them; Batches are the calls of the handler.
	Records, Batches int64
	// DeadLetters were written to the dead-letter topic. Retries are calls, redeliveries and dead letters tried again.
	DeadLetters, Retries int64
	// Lost records were removed by retention before they were read.
	Lost int64
	// Rewinds counts partitions found to be shorter than what was read of them.
	Rewinds int64
	// Generations counts the joins of the group, Commits the commit requests that succeeded.
	Generations, Commits int64
}

type counters struct {
	records, batches, deadLetters, retries, generations, commits atomic.Int64
	losses                                                       partition.Losses
}

func (c *counters) snapshot() Stats {
	return Stats{
		Records: c.records.Load(), Batches: c.batches.Load(), DeadLetters: c.deadLetters.Load(), Retries: c.retries.Load(),
		Lost: c.losses.Records.Load(), Rewinds: c.losses.Rewinds.Load(), Generations: c.generations.Load(), Commits: c.commits.Load(),
	}
}
