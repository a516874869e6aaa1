package catalogue

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/items"
)

// refused is a change that lost and is its item's last one in a batch: as far as is known the topic ends with it.
type refused struct {
	index  int // among the batch's changes
	record *stream.Record
	change *schemas.ItemChange
	held   *items.Item
	// published says that what is held was published again.
	published bool
	// err is why what won can never be published again.
	err error
}

// refusedChanges lists the refused ones of the changes that are written.
func refusedChanges(
	changes []Change, of func(int) *stream.Record, outcomes []items.Outcome, failed map[int]error,
) (all []refused) {
	for i := range outcomes {
		if outcomes[i].Held != nil && (failed[i] == nil || stream.IsPermanent(verdict(failed[i]))) {
			all = append(all, refused{index: i, record: of(i), change: &changes[i].ItemChange, held: outcomes[i].Held})
		}
	}
	return all
}

// settle sees to it that the topic ends with what the catalogue holds of each item, before the batch's offsets are committed: from then
// on nobody would look at the refused changes again. It returns those that were refused for the first time. Compaction keeps an item's
// last record, and a change that comes late is just that:
//
//	topic:     version 5 ... version 3, late ........................ compacted: version 3
//	catalogue: version 5 ................... refuses 3 .............. Redis is lost, and a rebuild makes it version 3
//
// So what won is published again behind what lost, under its own version, and whoever holds it already takes it for a replay. Two
// members that refuse one change publish the same twice, a crash before the commit as well: no harm. And no loop, since what is
// published again is newer than what it answers. A newer change that comes in between is not overwritten:
//
//	producer: ........................... version 6 ................................
//	role:     refuses 3, reads that it holds 5 ..... publishes 5 .. refuses 5, holds 6: publishes 6
//
// What a tombstone deleted is published again as a deletion under the version that the tombstone kept, which leaves Redis as it is,
// and not as a tombstone, which would win over whatever came in between:
//
//	producer: ............................. lists the item again, version 6 ........................
//	role:     refuses 2, deleted at 5 ..... publishes a tombstone: the item is gone, though 6 is newer
func (h *Handler) settle(ctx context.Context, batch []stream.Record, failures stream.Failures, all []refused) ([]refused, error) {
	if h.past != nil || len(batch) == 0 {
		return nil, nil
	}
	first, last := &batch[0], &batch[len(batch)-1]
	if len(all) > 0 {
		judged, err := h.indexer.items.Judged(ctx, first.Topic, first.Partition, last.EndOffset)
		if err != nil {
			return nil, err
		}
		news := all[:0]
		for _, r := range all {
			if r.record.Offset > judged {
				news = append(news, r)
			}
		}
		if all = news; len(all) > 0 {
			if err := h.again.publish(ctx, all); err != nil {
				return nil, err
			}
			h.refusals.tell(all, time.Now())
		}
	}
	through := last.Offset
	for _, f := range failures {
		if !stream.IsPermanent(f.Err) {
			through = min(through, batch[f.Index].Offset-1)
		}
	}
	if through < first.Offset {
		return all, nil
	}
	return all, h.indexer.items.MarkJudged(ctx, first.Topic, first.Partition, through, last.EndOffset)
}

// Why a change was refused; names of outcomes, too.
const (
	stale       = "stale"       // there is a newer one
	relisted    = "relisted"    // the item was deleted under this version or a larger one
	conflicting = "conflicting" // there is another content under this version
)

func (r *refused) why() string {
	switch {
	case r.held.Deleted && r.change.Op != schemas.DeleteItem:
		return relisted
	case r.change.Version == r.held.Version && r.change.Op == r.held.Op:
		return conflicting
	default:
		return stale
	}
}

// remedy is for the operator of who publishes.
func (r *refused) remedy() string {
	switch why := r.why(); {
	case r.answers():
		return "another catalogue that reads this topic holds this content: publish the item under a larger version"
	case why == relisted:
		return fmt.Sprintf("the item was deleted under version %d: list it again under a larger one", r.held.Version)
	case why == conflicting:
		return fmt.Sprintf("there is another content under version %d: publish each change under a larger version than the one before",
			r.held.Version)
	default:
		return fmt.Sprintf("if it was meant to count, publish it under a version above %d", r.held.Version)
	}
}

// refusals tells of refused changes, of each kind at its own pace. It is safe for concurrent use.
type refusals struct {
	log *slog.Logger

	stale, relisted, conflicting stream.Pace
}

func (f *refusals) tell(all []refused, now time.Time) {
	paces := map[string]*stream.Pace{stale: &f.stale, relisted: &f.relisted, conflicting: &f.conflicting}
	for i := range all {
		r := &all[i]
		why := r.why()
		count := paces[why].Due(1, now)
		if count == 0 {
			continue
		}
		f.log.Warn("an item change was refused, since it is not what the catalogue holds of the item; that is the topic's last word again",
			"item", r.change.ItemID, "version", r.change.Version, "held_version", r.held.Version, "why", why, "remedy", r.remedy(),
			"topic", r.record.Topic, "partition", r.record.Partition, "offset", r.record.Offset, "others_since_last", count-1)
	}
}

// answers says whether the change was published again by another catalogue, which holds another content under the same version. They
// would answer each other for ever: the one that answers first has the last word in the topic.
func (r *refused) answers() bool {
	_, answers := r.record.Header(kafkaio.HeaderRepublished)
	return answers && r.why() == conflicting
}
