package profiles

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/freshet/freshet/schemas"
)

// Event is one record of the interactions topic.
type Event struct {
	schemas.Interaction
	// Erase marks a tombstone: everything about UserID goes, and the other fields of the Interaction are not looked at.
	Erase     bool
	Partition int32
	Offset    int64
	// EndOffset is the end of the partition's log when the event was fetched; 0 where unknown.
	EndOffset int64
	// Time is the broker's.
	Time time.Time
}

// Report tells what Apply did with the events of a batch.
type Report struct {
	// Applied events changed a profile; Late ones are among them: they came after a newer event of their user.
	Applied, Late int
	// Duplicates have the event id of an event that was counted before.
	Duplicates int
	// Untold are so much older than others of their user that nobody knows whether they were counted before: of those that
	// count only for the user's counters, since the history begins behind them. Their items are seen, and nothing counts them.
	Untold int
	// Replayed events had been applied before.
	Replayed int
	// Unheard counts items whose events came before their vectors, and for which too many users wait already: their arrival will
	// not move this user.
	Unheard int
	// Erased counts tombstones; those at the indexes Unknown are among them: nothing was known of their users.
	Erased  int
	Unknown []int
	// Failed maps the index of an event to why it was not applied. All events of a user in one batch share their fate. An
	// error for which redisdb.IsCorrupt holds will not go away by itself; others may.
	Failed map[int]error
	// NewlyApplied lists the indexes of the Applied events in ascending order.
	NewlyApplied []int
	// Recalled counts the users whose profile was remembered, Read those whose profile was read.
	Recalled, Read int
}

// TopicRecreatedError says that a partition ends before offsets that were applied from it.
type TopicRecreatedError struct {
	Partition int32
	// Watermark is the offset that was applied last for a user, EndOffset the end of the log at the fetch.
	Watermark, EndOffset int64
}

func (e *TopicRecreatedError) Error() string {
	return fmt.Sprintf("partition %d ends at offset %d, but the event at offset %d was already applied for a user: the topic "+
		"was deleted and made again, or lost its end; its events would be taken for replays and skipped. Use another "+
		"profiles.key_prefix and read the topic from its start, or restore the topic",
		e.Partition, e.EndOffset, e.Watermark)
}

// IsTopicRecreated tells whether the events come from another topic of the same name.
func IsTopicRecreated(err error) bool {
	_, recreated := errors.AsType[*TopicRecreatedError](err)
	return recreated
}

// LogEnd returns the offset at which the next record of a partition of the interactions topic will lie.
type LogEnd func(ctx context.Context, partition int32) (int64, error)
