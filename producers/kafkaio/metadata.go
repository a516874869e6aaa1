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

// metadata knows the topics' partitions and leaders, and makes a client forget a view of the cluster that turned out
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
	// missingTTL is for how long a missing topic or partition is not asked for again, so that messages for it are refused at
	// once: replies to a place that somebody invented must not keep us asking for metadata.
	missingTTL = time.Second
	// maxMissing bounds what requests that name topics at random can make us remember.
	maxMissing = 1024
)

// topicView is what was last known of a topic.
type topicView struct {
	leaders []int32 // by partition; -1 where there is none
	seen    time.Time
}

func newMetadata(client *kafka.Client, ttl time.Duration) *metadata {
	return &metadata{client: client, ttl: ttl, topics: make(map[string]topicView), missing: make(map[string]time.Time)}
}

// nextInTurn returns one of n partitions, for a message without a key.
func (m *metadata) nextInTurn(n int) int32 {
	return int32(m.turn.Add(1) % uint32(n))
}

// cached returns the view of a topic if it is young enough.
func (m *metadata) cached(topic string) (topicView, bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	view, ok := m.topics[topic]
	return view, ok && time.Since(view.seen) < m.ttl
}

// view returns the view of a topic. It waits for brokers that are out of reach until ctx ends, and says
// UnknownDestinationError when a fresh view has no such topic.
func (m *metadata) view(ctx context.Context, topic string) (topicView, error) {
	if view, ok := m.cached(topic); ok {
		return view, nil
	}
	m.mu.Lock()
	missed, missing := m.missing[topic]
	m.mu.Unlock()
	if missing && time.Since(missed) < missingTTL {
		return topicView{}, &UnknownDestinationError{Topic: topic, Partition: AnyPartition}
	}
	return m.ask(ctx, topic, 1)
}

// ask returns a topic by the client's view and, when that has fewer partitions than wanted, by a fresh one.
func (m *metadata) ask(ctx context.Context, topic string, wanted int) (topicView, error) {
	pause := newBackoff(minRefresh, time.Second)
	fresh := false
	for {
		asked := time.Now()
		leaders, err := m.look(ctx, topic)
		switch {
		case err == nil && (len(leaders) >= wanted || fresh):
			return m.remember(topic, leaders)
		case err != nil && ctx.Err() == nil && !IsRetriable(err):
			return topicView{}, err
		case err != nil:
			sleep(ctx, pause.NextBackOff())
		}
		fresh = m.refresh(ctx, asked) == nil
		switch {
		case ctx.Err() != nil && err != nil:
			return topicView{}, fmt.Errorf("%w: %w", context.Cause(ctx), err)
		case ctx.Err() != nil:
			return topicView{}, context.Cause(ctx)
		}
	}
}

// remember keeps what was seen of a topic; no leaders mean that it is missing.
func (m *metadata) remember(topic string, leaders []int32) (topicView, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(leaders) > 0 {
		delete(m.missing, topic)
		m.topics[topic] = topicView{leaders, time.Now()}
		return m.topics[topic], nil
	}
	if len(m.missing) >= maxMissing {
		clear(m.missing)
	}
	delete(m.topics, topic)
	m.missing[topic] = time.Now()
	return topicView{}, &UnknownDestinationError{Topic: topic, Partition: AnyPartition}
}

// look returns the leaders that the client's view gives a topic's partitions, none for a missing topic.
func (m *metadata) look(ctx context.Context, topic string) ([]int32, error) {
	resp, err := m.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{topic}})
	if err != nil {
		return nil, fmt.Errorf("asking the brokers at %s for metadata: %w", m.client.Addr, err)
	}
	if len(resp.Topics) != 1 || errors.Is(resp.Topics[0].Error, kafka.UnknownTopicOrPartition) {
		return nil, nil
	}
	t := resp.Topics[0]
	if t.Error != nil {
		return nil, fmt.Errorf("asking for the metadata of %s: %w", topic, t.Error)
	}
	leaders := make([]int32, len(t.Partitions))
	for i, p := range t.Partitions {
		leaders[i] = int32(p.Leader.ID)
		if p.Leader.Host == "" {
			leaders[i] = -1
		}
	}
	return leaders, nil
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
		clear(m.topics)
		m.refreshed = time.Now()
	}
	m.mu.Unlock()
	if _, err := m.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{}}); err != nil {
		return fmt.Errorf("asking the brokers at %s for metadata: %w", m.client.Addr, err)
	}
	return nil
}
