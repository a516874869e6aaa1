package demo

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kmsg"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/consumers/stream/replay"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/towers"
)

// clicks is how many events step 6 publishes, each of them twice.
const clicks = 6

// tellExactlyOnce is step 6:
//
//  1. Kafka refuses commits from now on;
//  2. events are published, each twice; the consumer writes them to Redis and cannot commit;
//  3. the consumer is killed between its write and its commit;
//  4. Kafka takes commits again; a new consumer gets the same events once more.
func (d *Demo) tellExactlyOnce(ctx context.Context) error {
	commitsBack := d.refuseCommits()
	defer commitsBack()
	last, err := d.publishTwice(ctx)
	if err != nil {
		return err
	}
	if _, err := d.awaitPosition(ctx, d.heroID(), last); err != nil {
		return err
	}
	if err := d.worker.kill(); err != nil {
		return err
	}
	d.worker = nil
	behind, err := d.interactionsBehind(ctx)
	if err != nil {
		return err
	}
	d.check(behind >= 2*clicks, "killed after the write and before the commit: %d events will come again, %d of them published just now",
		behind, 2*clicks)
	commitsBack()
	begin := time.Now()
	if d.worker, err = start(ctx, d.settings, []online.Role{online.Interactions}, d.log); err != nil {
		return err
	}
	if _, err := d.awaitCount(ctx, 0, d.interactionsBehind); err != nil {
		return err
	}
	d.note("a new consumer took over and worked them off again after %.1f s", time.Since(begin).Seconds())
	return d.compareWithFold(ctx)
}

// refuseCommits makes Kafka answer every commit with an error until the returned function is called, which may be again.
func (d *Demo) refuseCommits() (commitsBack func()) {
	var refusing atomic.Bool
	refusing.Store(true)
	d.stack.Kafka.ControlKey(int16(kmsg.OffsetCommit), func(request kmsg.Request) (kmsg.Response, error, bool) {
		if !refusing.Load() {
			return nil, nil, false
		}
		d.stack.Kafka.KeepControl()
		commit := request.(*kmsg.OffsetCommitRequest)
		response := commit.ResponseKind().(*kmsg.OffsetCommitResponse)
		for _, t := range commit.Topics {
			topic := kmsg.NewOffsetCommitResponseTopic()
			topic.Topic, topic.TopicID = t.Topic, t.TopicID
			for _, p := range t.Partitions {
				partition := kmsg.NewOffsetCommitResponseTopicPartition()
				partition.Partition, partition.ErrorCode = p.Partition, kerr.CoordinatorLoadInProgress.Code
				topic.Partitions = append(topic.Partitions, partition)
			}
			response.Topics = append(response.Topics, topic)
		}
		return response, nil, true
	})
	return func() { refusing.Store(false) }
}

// publishTwice publishes events of the story's user, each of them two times, and returns the last position.
func (d *Demo) publishTwice(ctx context.Context) (schemas.Position, error) {
	var last schemas.Position
	for i := range clicks {
		item := &d.world.data.Items[(int(d.world.hero)+i)%len(d.world.data.Items)]
		event := d.heroEvent(schemas.View, item.ItemID)
		for range 2 {
			var err error
			if last, err = d.publisher.PublishInteraction(ctx, event); err != nil {
				return last, err
			}
		}
	}
	return last, nil
}

// compareWithFold folds the story's user's events plainly, one after the other as they lie in the topic, and compares the
// profile in Redis with the outcome: bit for bit where floats are concerned.
func (d *Demo) compareWithFold(ctx context.Context) error {
	events, copies, err := d.eventsOf(ctx, d.heroID())
	if err != nil {
		return err
	}
	loaded, err := d.worker.Profiles.Load(ctx, []string{d.heroID()}, d.tower.Version())
	if err != nil {
		return err
	}
	p := loaded[0]
	state, embedding, err := d.followAll(ctx, events)
	if err != nil {
		return err
	}
	d.check(copies >= clicks, "the topic holds %d events of user %s, %d of them a second time", len(events)+copies, d.heroID(), copies)
	d.check(sameHistory(p, events), "the profile's history is that of the plain fold over the topic")
	d.check(sameCounters(p, events), "its counters too: %d events counted, each of them once", len(events))
	d.check(p.State != nil && bytes.Equal(p.State.Append(nil), state.Append(nil)) && slices.Equal(p.Embedding, embedding),
		"its embedding and the tower's state are equal bit for bit (%d + %d floats)", len(embedding), d.tower.StateSize())
	return nil
}

// eventsOf reads the user's events from the topic, in its order and each event id once, and counts the further copies.
func (d *Demo) eventsOf(ctx context.Context, user string) (events []schemas.Interaction, copies int, err error) {
	registry, err := schemas.NewRegistry(d.settings.Registry, nil)
	if err != nil {
		return nil, 0, err
	}
	topic := d.settings.Topics.Interactions.Name
	serde, err := schemas.NewSerde[schemas.Interaction](ctx, registry, topic)
	if err != nil {
		return nil, 0, err
	}
	known := map[string]bool{}
	err = replay.Scan(ctx, d.settings.Kafka, topic, func(r stream.Record) error {
		if string(r.Key) != user {
			return nil
		}
		event, err := serde.Decode(ctx, r.Value, &r)
		switch {
		case schemas.IsMalformed(err):
		case err != nil:
			return err
		case known[event.EventID]:
			copies++
		default:
			known[event.EventID] = true
			events = append(events, event)
		}
		return nil
	})
	if err != nil {
		return nil, 0, fmt.Errorf("folding the topic: %w", err)
	}
	return events, copies, nil
}

// followAll moves the user tower over all events that count, from nothing.
func (d *Demo) followAll(ctx context.Context, events []schemas.Interaction) (state towers.State, embedding []float32, err error) {
	var ids []string
	var acts []towers.Act
	for i := range events {
		e := &events[i]
		if kind := d.settings.Profiles.Ratings.KindOf(e); d.tower.Reads(kind) {
			ids, acts = append(ids, e.ItemID), append(acts, towers.Act{Kind: kind, At: e.OccurredAt.UnixMilli()})
		}
	}
	vectors, err := d.worker.Items.Vectors(ctx, d.tower.Version(), ids)
	if err != nil {
		return state, nil, err
	}
	for i, vector := range vectors {
		acts[i].Item = vector
	}
	embedding = make([]float32, d.tower.Dim())
	d.tower.Follow(&state, embedding, acts)
	return state, embedding, nil
}

// sameHistory compares with the newest events, impressions left out as in the profile.
func sameHistory(p *profiles.Profile, events []schemas.Interaction) bool {
	at := len(events) - 1
	for _, e := range p.History {
		for at >= 0 && events[at].Type == schemas.Impression {
			at--
		}
		if at < 0 || events[at].ItemID != e.ItemID || events[at].Type != e.Type ||
			events[at].OccurredAt.UnixMilli() != e.OccurredAt.UnixMilli() {
			return false
		}
		at--
	}
	return len(p.History) > 0
}

func sameCounters(p *profiles.Profile, events []schemas.Interaction) bool {
	counts := map[schemas.InteractionType]uint64{}
	for i := range events {
		counts[events[i].Type]++
	}
	for t, n := range counts {
		if p.Counters.Of(t) != n {
			return false
		}
	}
	return true
}
