package kafkaio

import (
	"context"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/segmentio/kafka-go"
	"go.opentelemetry.io/otel"
	"go.opentelemetry.io/otel/trace"
	"golang.org/x/sync/semaphore"
)

// Writer writes messages with group commit: while a request to a broker is in flight the messages for that broker queue,
// and the next request takes them all, whatever their partitions. A lone message thus goes at once, and under load the
// requests grow by themselves; there is no timer to tune.
//
// A partition has one request in flight, so its messages keep their order under retry, and one that has to be tried again
// does not hold up the others. Goroutines serve a broker while it has messages and end with them, so that a thousand reply
// partitions cost nothing while they are quiet.
type Writer struct {
	cfg      WriterConfig
	timeout  time.Duration // of one request
	log      *slog.Logger
	client   *kafka.Client
	metadata *metadata
	room     *semaphore.Weighted // bytes of WriterConfig.QueueBytes
	tracer   trace.Tracer
	measures *instruments

	sending     context.Context // ends when Close gives up on flushing
	stopSending context.CancelFunc
	taking      context.Context // ends when Close begins
	stopTaking  context.CancelCauseFunc

	mu       sync.Mutex
	queues   map[destination]*queue // those that have messages without an answer
	brokers  map[int32]*broker      // those that have a ready queue or a goroutine
	entering int                    // calls that are on their way to a queue
	closed   bool
	empty    chan struct{} // closed once closed is set, queues is empty and nothing is entering
}

// destination is a partition of a topic.
type destination struct {
	topic     string
	partition int32
}

// queue holds the messages of one partition that no request has taken yet. While it is idle there are none and it is not in
// Writer.queues; otherwise it is either ready, in its broker's list, or busy, with a batch in flight or being retried.
type queue struct {
	destination
	waiting []*pending
	busy    bool
}

// broker is the leader of some partitions.
type broker struct {
	id       int32
	ready    []*queue
	inFlight int // goroutines, each with at most one request
}

// pending is a message without an answer.
type pending struct {
	Message
	leader int32 // of the partition, when the message was taken
	bytes  int64
	given  time.Time
	expiry time.Time
	done   func(Position, error)
	span   trace.Span // nil where nobody records it
}

// NewWriter returns a Writer with connections of its own, which it makes with the first message.
func NewWriter(cfg Config, wc WriterConfig, log *slog.Logger) *Writer {
	client := cfg.Client()
	sending, stopSending := context.WithCancel(context.Background())
	taking, stopTaking := context.WithCancelCause(context.Background())
	return &Writer{
		cfg:         wc,
		timeout:     cfg.RequestTimeout,
		log:         log,
		client:      client,
		metadata:    newMetadata(client, cfg.MetadataTTL),
		room:        semaphore.NewWeighted(wc.QueueBytes),
		tracer:      otel.Tracer(scope),
		measures:    newInstruments(),
		sending:     sending,
		stopSending: stopSending,
		taking:      taking,
		stopTaking:  stopTaking,
		queues:      make(map[destination]*queue),
		brokers:     make(map[int32]*broker),
		empty:       make(chan struct{}),
	}
}

// Write writes a message and returns where it lies once all in-sync replicas have it. When ctx ends first, the message may
// still be written.
func (w *Writer) Write(ctx context.Context, m Message) (Position, error) {
	type answer struct {
		position Position
		err      error
	}
	answered := make(chan answer, 1)
	if err := w.Enqueue(ctx, m, func(p Position, err error) { answered <- answer{p, err} }); err != nil {
		return Position{}, err
	}
	select {
	case a := <-answered:
		return a.position, a.err
	case <-ctx.Done():
		return Position{}, fmt.Errorf("writing to %s: %w", m.Topic, ctx.Err())
	}
}

// Enqueue takes a message to be written and returns. It waits, until ctx ends, for room in the queue and for the number of
// partitions of a topic that is new to it.
//
// If it returns nil, done is called exactly once, with the position or the error; if it returns an error, never. The calls
// for one partition come one after the other, in the order of the log, those for several at the same time. They come from
// the goroutine that sends: done must return soon, and must not call Write, Enqueue or Close. An error means that the message
// is not known to be in the log. The trace of ctx, if it has one, travels in the message's headers: as the message's own
// span, if it is recorded, which ends with the answer.
func (w *Writer) Enqueue(ctx context.Context, m Message, done func(Position, error)) error {
	span := w.startSend(ctx, &m)
	p := &pending{Message: m, bytes: m.size(), given: time.Now(), done: done, span: span}
	err := w.enqueue(ctx, p)
	if err != nil {
		w.measures.answered(p.Topic, []*pending{p}, err)
		if span != nil {
			endSpan(span, err)
		}
	}
	return err
}

func (w *Writer) enqueue(ctx context.Context, p *pending) error {
	if limit := w.cfg.MaxBatchBytes - batchOverhead; p.bytes > limit {
		return &MessageTooLargeError{Topic: p.Topic, Size: p.bytes, Limit: limit}
	}
	if !w.enter() {
		return ErrClosed
	}
	defer w.leave()
	if err := w.admit(ctx, p); err != nil {
		return err
	}
	now := time.Now()
	if p.Time.IsZero() {
		p.Time = now
	}
	p.expiry = now.Add(w.cfg.DeliveryTimeout)
	w.push(p)
	return nil
}

// admit finds the message's partition and room in the queue. When it need not wait for either it costs next to nothing.
func (w *Writer) admit(ctx context.Context, p *pending) error {
	if ctx.Err() != nil {
		return fmt.Errorf("taking a message to %s: %w", p.Topic, ctx.Err())
	}
	if view, ok := w.metadata.cached(p.Topic); ok && p.address(view, w.metadata) && w.room.TryAcquire(p.bytes) {
		return nil
	}
	ctx, stop := w.whileTaking(ctx)
	defer stop()
	if err := w.address(ctx, p); err != nil {
		return fmt.Errorf("finding the partition for a message to %s: %w", p.Topic, err)
	}
	if err := w.room.Acquire(ctx, p.bytes); err != nil {
		return fmt.Errorf("waiting for room in the queue of messages to write: %w", context.Cause(ctx))
	}
	return nil
}

// address makes sure that the message has a partition which exists.
func (w *Writer) address(ctx context.Context, p *pending) error {
	view, err := w.metadata.view(ctx, p.Topic)
	if err == nil && !p.address(view, w.metadata) && time.Since(view.seen) > missingTTL {
		view, err = w.metadata.ask(ctx, p.Topic, int(p.Partition)+1)
	}
	if err == nil && !p.address(view, w.metadata) {
		err = &UnknownDestinationError{Topic: p.Topic, Partition: p.Partition, Partitions: len(view.leaders)}
	}
	return err
}

// address gives the message its partition and leader, and says whether the view has that partition.
func (p *pending) address(view topicView, m *metadata) bool {
	n := len(view.leaders)
	switch {
	case p.Partition != AnyPartition:
	case p.Key != nil:
		p.Partition = JavaPartition(p.Key, n)
	default:
		p.Partition = m.nextInTurn(n)
	}
	if p.Partition < 0 || int(p.Partition) >= n {
		return false
	}
	p.leader = view.leaders[p.Partition]
	return true
}

// PartitionCount returns how many partitions a topic has, from a view that is at most metadata_ttl old.
func (w *Writer) PartitionCount(ctx context.Context, topic string) (int, error) {
	if !w.enter() {
		return 0, ErrClosed
	}
	defer w.leave()
	ctx, stop := w.whileTaking(ctx)
	defer stop()
	view, err := w.metadata.view(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("counting the partitions of %s: %w", topic, err)
	}
	return len(view.leaders), nil
}

// enter keeps Close from letting go of the connections until leave; it refuses when the Writer is closed.
//
// Without it: Enqueue asks for metadata; Close flushes and lets the connections go; the client, asked by Enqueue, connects
// anew; nobody ever closes that connection.
func (w *Writer) enter() bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.closed {
		return false
	}
	w.entering++
	return true
}

func (w *Writer) leave() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.entering--
	w.checkEmpty()
}

// checkEmpty tells Close when there is nothing to wait for. The caller holds the lock.
func (w *Writer) checkEmpty() {
	if w.closed && w.entering == 0 && len(w.queues) == 0 {
		close(w.empty)
	}
}

// whileTaking returns ctx, ended with ErrClosed as its cause when the Writer closes.
func (w *Writer) whileTaking(ctx context.Context) (context.Context, func()) {
	ctx, cancel := context.WithCancelCause(ctx)
	stop := context.AfterFunc(w.taking, func() { cancel(ErrClosed) })
	return ctx, func() {
		stop()
		cancel(nil)
	}
}

// Close takes no more messages and returns when all that were taken have their answer. When ctx ends first, the rest gets
// an error and Close says so. A second Close waits for the same.
func (w *Writer) Close(ctx context.Context) error {
	w.mu.Lock()
	if !w.closed {
		w.closed = true
		w.checkEmpty()
	}
	w.mu.Unlock()
	w.stopTaking(ErrClosed)

	var err error
	select {
	case <-w.empty:
	case <-ctx.Done():
		err = fmt.Errorf("flushing the messages to write: %w", ctx.Err())
		w.stopSending()
		<-w.empty
	}
	w.stopSending()
	CloseIdle(w.client)
	return err
}
