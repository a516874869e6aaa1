package faults

import (
	"context"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/consumers/stream/replay"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

// Rates a second of the steady load.
const (
	eventRate   = 100
	changeRate  = 10
	requestRate = 20
)

// request is one that was due, and what came of it.
type request struct {
	due     time.Time
	taken   time.Time // by the brokers; zero if they did not
	replied time.Time // when the reply was there to be read; zero if it was not
	reply   schemas.RecommendationReply
	copies  int
}

// load is what publishes and asks while a case goes on.
type load struct {
	*world
	writer   *kafkaio.Writer
	events   *schemas.Serde[schemas.Interaction]
	items    *schemas.Serde[schemas.ItemChange]
	asks     *schemas.Serde[schemas.RecommendationRequest]
	replies  *schemas.Serde[schemas.RecommendationReply]
	cancel   context.CancelFunc
	sending  sync.WaitGroup
	reading  sync.WaitGroup
	hear     context.CancelFunc
	inFlight sync.WaitGroup

	healedAt time.Time // of a fault that nobody heals

	mu         sync.Mutex
	hearingErr error
	requests   []*request
	eventIDs   map[string]bool  // that the brokers have taken
	versions   map[string]int64 // the last one published of each item
	unsure     int              // events and changes of which nobody knows whether the brokers have them
}

func newLoad(w *world) *load {
	w.t.Helper()
	l := &load{world: w, eventIDs: map[string]bool{}, versions: map[string]int64{}}
	cfg := w.direct.Writer
	cfg.DeliveryTimeout = 2 * time.Minute // nothing that was due is given up
	l.writer = kafkaio.NewWriter(w.direct.Kafka, cfg, quiet())
	w.t.Cleanup(func() { _ = l.writer.Close(context.WithoutCancel(w.t.Context())) })
	registry, topics := schemas.EmbeddedRegistry(), w.s.Topics
	var err error
	l.events, err = schemas.NewSerde[schemas.Interaction](w.t.Context(), registry, topics.Interactions.Name)
	require.NoError(w.t, err)
	l.items, err = schemas.NewSerde[schemas.ItemChange](w.t.Context(), registry, topics.Items.Name)
	require.NoError(w.t, err)
	l.asks, err = schemas.NewSerde[schemas.RecommendationRequest](w.t.Context(), registry, topics.Requests.Name)
	require.NoError(w.t, err)
	l.replies, err = schemas.NewSerde[schemas.RecommendationReply](w.t.Context(), registry, topics.Replies.Name)
	require.NoError(w.t, err)
	return l
}

// start sends what is due until stop.
func (l *load) start() {
	ctx, cancel := context.WithCancel(context.WithoutCancel(l.t.Context()))
	l.cancel = cancel
	l.every(ctx, eventRate, l.event)
	l.every(ctx, changeRate, func(context.Context, time.Time) { l.change(rand.IntN(shop)) })
	l.every(ctx, requestRate, l.ask)
	ctx, l.hear = context.WithCancel(context.WithoutCancel(l.t.Context()))
	l.reading.Go(func() { l.listen(ctx) })
}

// stop sends no more, and returns when the brokers have what was sent.
func (l *load) stop() {
	l.cancel()
	l.sending.Wait()
	l.inFlight.Wait()
}

// every calls send at a fixed rate; one that is slow does not hold up the others that are due.
func (l *load) every(ctx context.Context, rate int, send func(context.Context, time.Time)) {
	interval := time.Second / time.Duration(rate)
	begin := time.Now()
	l.sending.Go(func() {
		for n := 1; ; n++ {
			due := begin.Add(time.Duration(n) * interval)
			select {
			case <-ctx.Done():
				return
			case <-time.After(time.Until(due)):
				send(ctx, due)
			}
		}
	})
}

func (l *load) send(topic, key string, value []byte, headers []kafkaio.Header, done func(error)) {
	l.inFlight.Add(1)
	m := kafkaio.Message{Topic: topic, Partition: kafkaio.AnyPartition, Key: []byte(key), Value: value, Headers: headers}
	err := l.writer.Enqueue(context.WithoutCancel(l.t.Context()), m, func(_ kafkaio.Position, err error) {
		done(err)
		l.inFlight.Done()
	})
	if err != nil {
		done(err)
		l.inFlight.Done()
	}
}

func (l *load) event(_ context.Context, due time.Time) {
	kinds := []schemas.InteractionType{schemas.View, schemas.Click, schemas.Like, schemas.Purchase, schemas.Impression}
	e := schemas.Interaction{
		EventID: fmt.Sprintf("e%d", rand.Int64()), UserID: fmt.Sprint("user", rand.IntN(people)), ItemID: itemID(rand.IntN(shop)),
		Type: kinds[rand.IntN(len(kinds))], OccurredAt: due,
	}
	l.send(l.s.Topics.Interactions.Name, e.UserID, l.events.Append(nil, &e), nil, func(err error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if err != nil {
			l.unsure++
			return
		}
		l.eventIDs[e.EventID] = true
	})
}

func itemID(i int) string { return fmt.Sprint("item", i) }

// price differs between neighbouring versions, and never leaves the half-octave that the item tower sees.
func price(version int64) float64 { return 100 + float64(version%16) }

// change publishes the next version of an item. Its vector stays: the oracle knows one vector of an item.
func (l *load) change(i int) {
	l.mu.Lock()
	l.versions[itemID(i)]++
	version := l.versions[itemID(i)]
	l.mu.Unlock()
	p := price(version)
	c := schemas.ItemChange{
		ItemID: itemID(i), Op: schemas.UpsertItem, Version: version, OccurredAt: time.Now(), Available: true, Price: &p,
		Title: fmt.Sprint("title ", i), Categories: []string{fmt.Sprint("kind ", i%7)}, PublishedAt: time.UnixMilli(1_700_000_000_000),
	}
	l.send(l.s.Topics.Items.Name, c.ItemID, l.items.Append(nil, &c), nil, func(err error) {
		if err != nil {
			l.mu.Lock()
			defer l.mu.Unlock()
			l.unsure++
		}
	})
}

func (l *load) fillShop() {
	for i := range shop {
		l.change(i)
	}
	l.inFlight.Wait()
}

func (l *load) ask(_ context.Context, due time.Time) {
	q := &request{due: due}
	l.mu.Lock()
	number := len(l.requests)
	l.requests = append(l.requests, q)
	l.mu.Unlock()
	body := schemas.RecommendationRequest{
		RequestID: fmt.Sprint("r", number), UserID: fmt.Sprint("user", rand.IntN(people)), Count: 10, IncludeSeen: true,
		Deadline: due.Add(deadline),
	}
	headers := []kafkaio.Header{
		{Key: kafkaio.HeaderCorrelationID, Value: binary.BigEndian.AppendUint64(nil, uint64(number))},
		{Key: kafkaio.HeaderReplyTopic, Value: []byte(l.s.Topics.Replies.Name)},
		{Key: kafkaio.HeaderReplyPartition, Value: kafkaio.EncodePartition(0)},
	}
	l.send(l.s.Topics.Requests.Name, body.UserID, l.asks.Append(nil, &body), headers, func(err error) {
		l.mu.Lock()
		defer l.mu.Unlock()
		if err == nil {
			q.taken = time.Now()
		}
	})
}

// hearing is how often the replies are looked for: a reply may be up to this much older than it seems.
const hearing = 25 * time.Millisecond

func (l *load) listen(ctx context.Context) {
	cfg := replay.Config{MaxRecords: 512, HandleTimeout: 30 * time.Second, Reading: partition.DefaultReading()}
	replies := replay.New(l.direct.Kafka, cfg, l.s.Topics.Replies.Name, quiet())
	defer replies.Close()
	note := stream.HandlerFunc(func(ctx context.Context, batch []stream.Record) error {
		now := time.Now()
		l.mu.Lock()
		defer l.mu.Unlock()
		for i := range batch {
			l.note(ctx, &batch[i], now)
		}
		return nil
	})
	for ctx.Err() == nil {
		_, err := replies.Advance(ctx, note)
		l.mu.Lock()
		l.hearingErr = err // Kafka may be away
		l.mu.Unlock()
		time.Sleep(hearing)
	}
}

func (l *load) note(ctx context.Context, r *stream.Record, now time.Time) {
	for _, h := range r.Headers {
		if h.Key != kafkaio.HeaderCorrelationID || len(h.Value) != 8 {
			continue
		}
		q := l.requests[binary.BigEndian.Uint64(h.Value)]
		if q.copies++; q.copies == 1 {
			q.replied = now
			q.reply, _ = l.replies.Decode(ctx, r.Value, r)
		}
	}
}

// since lists the requests that were due from a time on.
func (l *load) since(from time.Time) []request {
	l.mu.Lock()
	defer l.mu.Unlock()
	var list []request
	for _, q := range l.requests {
		if !q.due.Before(from) {
			list = append(list, *q)
		}
	}
	return list
}
