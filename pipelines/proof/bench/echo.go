package bench

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/producers/kafkaio"
)

// echo is the floor of request and reply: a replier that answers each request with a fixed reply as long as a real one, and
// who asks it. Both write by group commit, which is the fastest way here (kafka-go's own Writer waits for its timer), and
// read with plain fetches, without a group. What waits is answered in batches, with at most one search for each.
type echo struct {
	writer   *kafkaio.Writer
	client   *kafka.Client
	requests string
	replies  string
	request  []byte // the bytes of every request
	reply    []byte // the bytes of every reply
	// search is done once for each batch, with the numbers of its requests.
	search func(ctx context.Context, numbers []uint64) error

	queue   chan []byte // correlation ids that wait for a worker
	stop    context.CancelFunc
	ended   <-chan struct{} // closed by stop
	working sync.WaitGroup
	failed  firstError

	mu      sync.Mutex
	last    uint64
	waiting map[uint64]chan struct{}
}

// The echo batches as the role does by default.
const (
	echoBatch    = 64
	echoInFlight = 4
	echoQueue    = 4096
)

// startEcho creates the topics of an echo and starts its replier.
func (l *lab) startEcho(
	ctx context.Context, request, reply []byte, search func(context.Context, []uint64) error,
) (*echo, error) {
	s := l.settings("")
	s.Topics.Requests.Name, s.Topics.Replies.Name = l.topic("echo.requests"), l.topic("echo.replies")
	if err := l.createTopics(ctx, s); err != nil {
		return nil, err
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	e := &echo{
		writer: kafkaio.NewWriter(s.Kafka, s.Writer, l.Log), client: s.Kafka.Client(),
		requests: s.Topics.Requests.Name, replies: s.Topics.Replies.Name, request: request, reply: reply, search: search,
		queue: make(chan []byte, echoQueue), stop: stop, ended: background.Done(), waiting: map[uint64]chan struct{}{},
	}
	if err := e.run(ctx, background, s); err != nil {
		return nil, errors.Join(err, e.close(ctx))
	}
	return e, nil
}

func (e *echo) run(ctx, background context.Context, s settings.Settings) error {
	partitions := partitionsOf(s.Topics.Requests)
	asked, err := kafkaio.Ranges(ctx, e.client, e.requests, partitions...)
	if err != nil {
		return err
	}
	answered, err := kafkaio.Ranges(ctx, e.client, e.replies, 0)
	if err != nil {
		return err
	}
	for _, p := range partitions {
		e.working.Go(func() { e.follow(background, e.requests, p, asked[p].End, e.take) })
	}
	e.working.Go(func() { e.follow(background, e.replies, 0, answered[0].End, e.deliver) })
	for range echoInFlight {
		e.working.Go(func() { e.work(background) })
	}
	return nil
}

// follow passes what is written to a partition from an offset on to handle, until ctx ends.
func (e *echo) follow(ctx context.Context, topic string, partition int32, offset int64, handle func(*kafka.Record) error) {
	for ctx.Err() == nil {
		var err error
		if offset, err = fetch(ctx, e.client, topic, partition, offset, handle); err != nil && ctx.Err() == nil {
			e.failed.keep(err)
			return
		}
	}
}

// take queues a request for the workers.
func (e *echo) take(r *kafka.Record) error {
	if _, err := readBytes(r.Value); err != nil {
		return err
	}
	if id, ok := kafkaio.HeaderValue(r.Headers, kafkaio.HeaderCorrelationID); ok {
		select {
		case e.queue <- id:
		case <-e.ended:
		}
	}
	return nil
}

// work answers what has queued, batch by batch.
func (e *echo) work(ctx context.Context) {
	for {
		var batch [][]byte
		select {
		case <-ctx.Done():
			return
		case id := <-e.queue:
			batch = append(batch, id)
		}
	more:
		for len(batch) < echoBatch {
			select {
			case id := <-e.queue:
				batch = append(batch, id)
			default:
				break more
			}
		}
		e.answer(ctx, batch)
	}
}

func (e *echo) answer(ctx context.Context, batch [][]byte) {
	if e.search != nil {
		numbers := make([]uint64, len(batch))
		for i, id := range batch {
			numbers[i] = binary.BigEndian.Uint64(id)
		}
		if err := e.search(ctx, numbers); err != nil && ctx.Err() == nil {
			e.failed.keep(err)
		}
	}
	for _, id := range batch {
		m := kafkaio.Message{
			Topic: e.replies, Partition: 0, Value: e.reply, Headers: []kafkaio.Header{{Key: kafkaio.HeaderCorrelationID, Value: id}},
		}
		err := e.writer.Enqueue(ctx, m, func(_ kafkaio.Position, err error) { e.failed.keep(err) })
		if ctx.Err() == nil {
			e.failed.keep(err)
		}
	}
}

// deliver wakes who asked.
func (e *echo) deliver(r *kafka.Record) error {
	if _, err := readBytes(r.Value); err != nil {
		return err
	}
	id, ok := kafkaio.HeaderValue(r.Headers, kafkaio.HeaderCorrelationID)
	if !ok {
		return nil
	}
	e.mu.Lock()
	answered := e.waiting[binary.BigEndian.Uint64(id)]
	delete(e.waiting, binary.BigEndian.Uint64(id))
	e.mu.Unlock()
	if answered != nil {
		close(answered)
	}
	return nil
}

// echoTimeout is how long a call waits for its echo.
const echoTimeout = 10 * time.Second

// ask writes a request of a user and waits for its echo.
func (e *echo) ask(ctx context.Context, user string) error {
	answered := make(chan struct{})
	e.mu.Lock()
	e.last++
	id := e.last
	e.waiting[id] = answered
	e.mu.Unlock()
	correlation := binary.BigEndian.AppendUint64(nil, id)
	m := kafkaio.Message{
		Topic: e.requests, Partition: kafkaio.AnyPartition, Key: []byte(user), Value: e.request,
		Headers: []kafkaio.Header{{Key: kafkaio.HeaderCorrelationID, Value: correlation}},
	}
	err := e.writer.Enqueue(ctx, m, func(_ kafkaio.Position, err error) { e.failed.keep(err) })
	if err != nil {
		return err
	}
	late := time.NewTimer(echoTimeout)
	defer late.Stop()
	select {
	case <-answered:
		return e.failed.err()
	case <-late.C:
		return errors.Join(fmt.Errorf("no echo came within %s", echoTimeout), e.failed.err())
	case <-ctx.Done():
		return ctx.Err()
	}
}

// close ends the replier.
func (e *echo) close(ctx context.Context) error {
	e.stop()
	e.working.Wait()
	err := e.writer.Close(ctx)
	kafkaio.CloseIdle(e.client)
	return err
}
