package stream

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/producers/kafkaio"
)

// lookback is what came into a topic after the records of some dead letters: tombstones of whom they are about, and letters that were
// published again.
//
// A tombstone is younger than a record if it lies behind it in the same partition. Where partitions were added a key has moved, and
// only times tell: the tombstone is then younger unless it is older than the record by more than clocksApart, since to bring back
// somebody who was erased is worse than to leave a letter alone. So it is where the topic was made anew, and the letter's offset
// says nothing: the role wrote the letter before the tombstone came.
type lookback struct {
	choice     Selection
	ids        map[string][]tombstone
	letters    map[kafkaio.Position]wanted
	redelivers map[string]string
}

// wanted is what is to know of a letter.
type wanted struct {
	about     []string
	key       string
	partition int32 // of its record
	offset    int64
	came      time.Time
}

type tombstone struct {
	partition int32
	offset    int64
	time      time.Time
}

// clocksApart is how far the clocks of two producers may be apart.
const clocksApart = 5 * time.Minute

func newLookback(s Selection) *lookback {
	return &lookback{
		choice: s, ids: map[string][]tombstone{}, letters: map[kafkaio.Position]wanted{}, redelivers: map[string]string{},
	}
}

// came is when a letter's record came into its topic, or earlier: its own time may be ahead.
func (l *DeadLetter) came() time.Time {
	if l.Written.Before(l.Original.Time) {
		return l.Written
	}
	return l.Original.Time
}

// want has read look for what concerns a letter.
func (b *lookback) want(ctx context.Context, l *DeadLetter) error {
	about, err := b.choice.about(ctx, &l.Original)
	if err != nil {
		return fmt.Errorf("asking whom the dead letter at %s is about: %w", letterName(l.Position), err)
	}
	b.letters[l.Position] = wanted{about, string(l.Original.Key), l.Original.Partition, l.Original.Offset, l.came()}
	return nil
}

// forget leaves the letters out that were redriven, whose notes may come long after them.
func (b *lookback) forget(redriven marks) {
	maps.DeleteFunc(b.letters, func(at kafkaio.Position, _ wanted) bool { return redriven.has(at.Partition, at.Offset) })
}

// read reads the topic from the oldest record on.
func (b *lookback) read(ctx context.Context, k kafkaio.Config, topic string) error {
	if len(b.letters) == 0 {
		return nil
	}
	keys := map[string]bool{}
	from := map[int32]int64{} // the lowest offset of a record, by partition
	var since time.Time       // the time of the oldest
	for _, w := range b.letters {
		keys[w.key] = true
		for _, id := range w.about {
			b.ids[id] = nil
		}
		if at, known := from[w.partition]; !known || w.offset < at {
			from[w.partition] = w.offset
		}
		if since.IsZero() || w.came.Before(since) {
			since = w.came
		}
	}
	t, spans, err := partition.Open(ctx, k, topic)
	if err != nil {
		return err
	}
	defer t.Close()
	starts, err := t.OffsetsAt(ctx, since.Add(-clocksApart), spans)
	if err != nil {
		return err
	}
	for p, has := range spans {
		first := starts[p]
		if at, known := from[p]; known {
			first = min(first, at)
		}
		spans[p] = partition.Span{First: max(has.First, first), End: has.End, Log: has.Log}
	}
	return t.Scan(ctx, spans, func(r Record) error {
		if letter, redriven := kafkaio.HeaderValue(r.Headers, headerRedriven); redriven && keys[string(r.Key)] {
			b.redelivers[string(letter)] = string(r.Key)
		}
		if r.Value == nil {
			return b.buried(ctx, &r)
		}
		return nil
	})
}

// buried notes a tombstone.
func (b *lookback) buried(ctx context.Context, r *Record) error {
	about, err := b.choice.about(ctx, r)
	if err != nil {
		return fmt.Errorf("asking whom the tombstone at %d@%d is about: %w", r.Partition, r.Offset, err)
	}
	for _, id := range about {
		if _, wanted := b.ids[id]; wanted {
			b.ids[id] = append(b.ids[id], tombstone{r.Partition, r.Offset, r.Time})
		}
	}
	return nil
}

// erased tells whether there is a tombstone of whom a letter is about that is younger than the record was.
func (b *lookback) erased(l *DeadLetter) bool {
	return slices.ContainsFunc(b.letters[l.Position].about, func(id string) bool { return b.younger(id, l) })
}

func (b *lookback) younger(id string, l *DeadLetter) bool {
	for _, t := range b.ids[id] {
		if t.partition != l.Original.Partition {
			if !t.time.Before(l.came().Add(-clocksApart)) {
				return true
			}
		} else if t.offset > l.Original.Offset || t.time.After(l.Written) {
			return true
		}
	}
	return false
}

// published tells whether a letter was published again. The name alone could be anybody's.
func (b *lookback) published(l *DeadLetter) bool {
	key, found := b.redelivers[letterName(l.Position)]
	return found && key == string(l.Original.Key)
}
