package catalogue

import (
	"context"
	"fmt"
	"slices"
	"strconv"
	"sync"
	"time"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/items"
)

// republisher publishes again what the catalogue holds of items.
type republisher struct {
	serde  *schemas.Serde[schemas.ItemChange]
	writer *kafkaio.Writer
}

// answer is the record that takes a refused one's place: it has the same key and lies in the same partition, whatever partitioner and
// key format the producer has, or compaction would keep both.
func (p *republisher) answer(at *stream.Record, refused int64, held *items.Item) kafkaio.Message {
	change := held.ItemChange
	if held.Deleted { // a deletion is stored without its time
		change = schemas.ItemChange{ItemID: held.ItemID, Op: schemas.DeleteItem, Version: held.Version, OccurredAt: time.Now()}
	}
	return kafkaio.Message{
		Topic: at.Topic, Partition: at.Partition, Key: at.Key, Value: p.serde.Append(nil, &change),
		Headers: []kafkaio.Header{{Key: kafkaio.HeaderRepublished, Value: strconv.AppendInt(nil, refused, 10)}},
	}
}

// publish publishes what won over refused changes and returns once all in-sync replicas have it. A refused change's err says that this
// can never be; the error of publish itself may pass.
func (p *republisher) publish(ctx context.Context, all []refused) error {
	var messages []kafkaio.Message
	var of []*refused
	for i := range all {
		if r := &all[i]; !r.answers() {
			messages, of = append(messages, p.answer(r.record, r.change.Version, r.held)), append(of, r)
		}
	}
	errs, err := p.write(ctx, messages)
	if err != nil {
		return err
	}
	for i, err := range errs {
		switch r := of[i]; {
		case err == nil:
			r.published = true
		case kafkaio.IsMessageTooLarge(err):
			r.err = stream.PermanentFor(stream.ReasonRefused, fmt.Errorf(
				"publishing version %d of the item again, since compaction would keep the older one: %w", r.held.Version, err))
		default:
			return fmt.Errorf("publishing version %d of item %q again%s: %w", r.held.Version, r.change.ItemID, remedyOf(err, r.record.Topic), err)
		}
	}
	return nil
}

func remedyOf(err error, topic string) string {
	if kafkaio.IsRefused(err) {
		return " (grant the user of role catalogue Write on topic " + topic + ", see infra/permissions)"
	}
	return ""
}

// write writes messages at the same time and returns the error of each.
func (p *republisher) write(ctx context.Context, messages []kafkaio.Message) ([]error, error) {
	errs := make([]error, len(messages))
	var acks sync.WaitGroup
	for i, m := range messages {
		acks.Add(1)
		err := p.writer.Enqueue(ctx, m, func(_ kafkaio.Position, err error) {
			errs[i] = err
			acks.Done()
		})
		if err != nil {
			acks.Done()
			errs[i] = err
		}
	}
	written := make(chan struct{})
	go func() {
		acks.Wait()
		close(written)
	}()
	select {
	case <-written:
		return errs, nil
	case <-ctx.Done():
		return nil, fmt.Errorf("publishing %d items again: %w", len(messages), ctx.Err())
	}
}

// past notes, while a topic is read from its beginning, the items whose last record so far is one that lost. It is safe for concurrent
// use: records of one key come in their order.
type past struct {
	mu   sync.Mutex
	lost map[logKey]string // the item's id
}

// logKey is what compaction keeps one record of.
type logKey struct {
	topic     string
	partition int32
	key       string
}

func (p *past) note(changes []Change, of func(int) *stream.Record, outcomes []items.Outcome) {
	if p == nil {
		return
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	for i := range outcomes {
		r := of(i)
		refused := refused{record: r, change: &changes[i].ItemChange, held: outcomes[i].Held}
		switch at := (logKey{r.Topic, r.Partition, string(r.Key)}); {
		case !outcomes[i].Last || len(r.Key) == 0: // what has no key cannot be compacted
		case refused.held != nil && !refused.answers():
			p.lost[at] = changes[i].ItemID
		default:
			delete(p.lost, at)
		}
	}
}

// settledAtOnce bounds what Settle holds in memory.
const settledAtOnce = 256

// Settle publishes again what the catalogue holds of those items whose last record in the topic lost, after a handler of the past has
// read all of it, and returns how many. It makes good what was refused before there was anybody who did so.
func (h *Handler) Settle(ctx context.Context) (published int, err error) {
	h.past.mu.Lock()
	defer h.past.mu.Unlock()
	at := make([]logKey, 0, len(h.past.lost))
	for key := range h.past.lost {
		at = append(at, key)
	}
	for chunk := range slices.Chunk(at, settledAtOnce) {
		ids := make([]string, len(chunk))
		for i, key := range chunk {
			ids[i] = h.past.lost[key]
		}
		loaded, err := h.indexer.items.Load(ctx, ids)
		if err != nil {
			return published, fmt.Errorf("reading items to publish them again: %w", err)
		}
		var messages []kafkaio.Message
		for i, it := range loaded {
			if it != nil && it.Err == nil { // a deletion that has expired meanwhile is one whose item may come back
				r := stream.Record{Topic: chunk[i].topic, Partition: chunk[i].partition, Key: []byte(chunk[i].key)}
				messages = append(messages, h.again.answer(&r, 0, it))
			}
		}
		errs, err := h.again.write(ctx, messages)
		if err != nil {
			return published, err
		}
		for i, err := range errs {
			if err != nil {
				return published, fmt.Errorf("publishing an item again%s: %w", remedyOf(err, messages[i].Topic), err)
			}
			published++
		}
	}
	clear(h.past.lost)
	return published, nil
}
