package profiles

import (
	"context"
	"fmt"
)

// logMovedOn tells a topic that was made anew under the profiles, or lost its end, from one that has only moved on since the
// events were fetched. In both a watermark lies at or beyond the end of the log that the events know. The first is an error: going
// on would take the new topic's events for replays. The second is any of
//
//	member of role: fetches, the log ends at 100; pauses ............................ applies what it has in hand
//	new owner, second group, rebuild, restored dump: ... takes the profile to 500 ...
//
// and the batch has to go on by itself: nothing else will ever take it out of the member's hands, unless the partition was lost.
// The end as of now tells them apart, because it is asked for after the watermarks were read: of a log that only grows it lies
// beyond them all. Then it becomes the end that the events know.
//
// A topic that was made anew and has outgrown every watermark by then looks like one that moved on. What is in hand comes from
// the old topic even so, and is folded as such:
//
//	member: fetches 90 to 99 of the old topic ................................................ applies them: old events, old offsets
//	others: ................................... take the profile to 500; topic made anew, 600 records
//
// Of the new topic's first 501 events this user's are lost, as they would be to a member that came later: offsets alone do not
// tell two topics of a name apart.
func (b *batch) logMovedOn(ctx context.Context, end LogEnd, pending []*work) error {
	asked := map[int32]int64{}
	for _, w := range pending {
		if w.stored == nil {
			continue
		}
		for _, e := range w.events {
			mark, known := w.stored.marks.of(e.Partition)
			if !known || e.EndOffset == 0 || mark < e.EndOffset {
				continue
			}
			now, known := asked[e.Partition]
			if !known && end != nil {
				var err error
				if now, err = end(ctx, e.Partition); err != nil {
					return fmt.Errorf("asking for the end of partition %d, of which profiles know offset %d and the events in hand "+
						"only that it ended at %d when they were fetched: %w", e.Partition, mark, e.EndOffset, err)
				}
				asked[e.Partition] = now
			}
			e.EndOffset = max(e.EndOffset, now)
			if mark >= e.EndOffset {
				return &TopicRecreatedError{Partition: e.Partition, Watermark: mark, EndOffset: e.EndOffset}
			}
		}
	}
	return nil
}
