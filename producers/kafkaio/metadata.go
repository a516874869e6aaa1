package kafkaio

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/segmentio/kafka-go"
)

// metadata knows how many partitions the topics have, and makes a client forget a view of the cluster that turned out
// stale.
type metadata struct {
	client *kafka.Client
	ttl    time.Duration
	turn   atomic.Uint32

	mu        sync.Mutex
	topics    map[string]topicView
	missing   map[string]time.Time // topics that a fresh view did not have, and when
	refreshed time.Time            // when the client last forgot its view
}

const (
	// minRefresh is the least time between two refreshes; who needs one earlier shares the next.
	minRefresh = 100 * time.Millisecond
	// missingTTL is for how long a missing topic is not asked for again, so that messages for it are refused at once.
	missingTTL = time.Second
	// maxMissing bounds what requests that name topics at random can make us remember.
	maxMissing = 1024
)

type topicView struct {
	partitions int
	seen       time.Time
}

func newMetadata(client *kafka.Client, ttl time.Duration) *metadata {
	return &metadata{client: client, ttl: ttl, topics: make(map[string]topicView), missing: make(map[string]time.Time)}
}

// nextInTurn returns one of n partitions, for a message without a key.
func (m *metadata) nextInTurn(n int) int32 {
	return int32(m.turn.Add(1) % uint32(n))
}

// partitions returns the number of partitions of a topic. It waits for brokers that are out of reach until ctx ends, and
// says UnknownDestinationError when a fresh view has no such topic.
func (m *metadata) partitions(ctx context.Context, topic string) (int, error) {
	m.mu.Lock()
	view, known := m.topics[topic]
	missed, missing := m.missing[topic]
	m.mu.Unlock()
	switch {
	case known && time.Since(view.seen) < m.ttl:
		return view.partitions, nil
	case missing && time.Since(missed) < missingTTL:
		return 0, &UnknownDestinationError{Topic: topic, Partition: AnyPartition}
	default:
		return m.ask(ctx, topic, 1)
	}
}

// require says whether a topic has a partition, as partitions does.
func (m *metadata) require(ctx context.Context, topic string, partition int32) error {
	n, err := m.partitions(ctx, topic)
	if err == nil && int(partition) >= n {
		n, err = m.ask(ctx, topic, int(partition)+1)
	}
	switch {
	case err != nil:
		return err
	case partition < 0 || int(partition) >= n:
		return &UnknownDestinationError{Topic: topic, Partition: partition, Partitions: n}
	default:
		return nil
	}
}

// ask returns the number of a topic's partitions by the client's view and, when that has fewer than wanted, by a fresh one.
func (m *metadata) ask(ctx context.Context, topic string, wanted int) (int, error) {
	pause := newBackoff(minRefresh, time.Second)
	fresh := false
	for {
		asked := time.Now()
		n, err := m.look(ctx, topic)
		switch {
		case err == nil && (n >= wanted || fresh):
			return m.remember(topic, n)
		case err != nil && ctx.Err() == nil && !IsRetriable(err):
			return 0, err
		case err != nil:
			sleep(ctx, pause.NextBackOff())
		}
		fresh = m.refresh(ctx, asked) == nil
		switch {
		case ctx.Err() != nil && err != nil:
			return 0, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case ctx.Err() != nil:
			return 0, context.Cause(ctx)
		}
	}
}

// remember keeps a topic's number of partitions, which is 0 for a missing topic.
func (m *metadata) remember(topic string, n int) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if n > 0 {
		delete(m.missing, topic)
		m.topics[topic] = topicView{n, time.Now()}
		return n, nil
	}
	if len(m.missing) >= maxMissing {
		clear(m.missing)
	}
	delete(m.topics, topic)
	m.missing[topic] = time.Now()
	return 0, &UnknownDestinationError{Topic: topic, Partition: AnyPartition}
}

// look returns how many partitions the client's view gives a topic, 0 for none.
func (m *metadata) look(ctx context.Context, topic string) (int, error) {
	resp, err := m.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return 0, fmt.Errorf("asking the brokers at %s for metadata: %w", m.client.Addr, err)
	}
	if len(resp.Topics) != 1 || errors.Is(resp.Topics[0].Error, kafka.UnknownTopicOrPartition) {
		return 0, nil
	}
	t := resp.Topics[0]
	if t.Error != nil {
		return 0, fmt.Errorf("asking for the metadata of %s: %w", topic, t.Error)
	}
	return len(t.Partitions), nil
}

// refresh makes the client learn the cluster anew, unless it did so after asked: an error of a request that was sent
// before the last refresh says nothing about the view that the refresh brought. Thus the partitions of a broker that died
// cause one refresh and not one each. It returns an error when the brokers are out of reach.
func (m *metadata) refresh(ctx context.Context, asked time.Time) error {
	m.mu.Lock()
	for !m.refreshed.After(asked) {
		if early := minRefresh - time.Since(m.refreshed); early > 0 && ctx.Err() == nil {
			m.mu.Unlock()
			sleep(ctx, early)
			m.mu.Lock()
			continue
		}
		CloseIdle(m.client)
		m.refreshed = time.Now()
	}
	m.mu.Unlock()
	if _, err := m.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{}}); err != nil {
		return fmt.Errorf("asking the brokers at %s for metadata: %w", m.client.Addr, err)
	}
	return nil
}
