package producers

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/producers/kafkaio"
)

const (
	// fetchWait is for how long the broker holds a fetch while there is nothing to read; a reply ends the wait at once.
	fetchWait = 250 * time.Millisecond
	// fetchBytes bounds one fetch; a broker exceeds it for one record batch that is larger.
	fetchBytes = 8 << 20
	// ownTopicRetention is for how long a topic of an instance's own keeps replies that nobody can want any more.
	ownTopicRetention = "3600000" // ms
	// newTopicPoll is how often a topic that was just made is asked for its end.
	newTopicPoll = 20 * time.Millisecond
)

// replySource reads one partition from its end as of the start. It belongs to no consumer group: replies are of no use to
// another instance, nor to this one after a restart.
type replySource struct {
	client    *kafka.Client
	fetcher   *kafkaio.Fetcher
	log       *slog.Logger
	topic     string
	partition int32
	own       bool // the topic is ours, and goes with us
	offset    int64
}

// openReplySource makes or chooses the place for replies and notes its end.
func openReplySource(ctx context.Context, cfg Config) (*replySource, error) {
	ctx, cancel := context.WithTimeout(ctx, cfg.Kafka.RequestTimeout)
	defer cancel()
	client := cfg.Kafka.Client()
	s := &replySource{
		client: client, fetcher: cfg.Kafka.NewFetcher(client),
		log: cfg.logger(), topic: cfg.Topics.Replies, partition: cfg.Replies.Partition,
	}
	if err := s.open(ctx, cfg.Replies.Instance); err != nil {
		s.disconnect()
		return nil, err
	}
	return s, nil
}

func (s *replySource) open(ctx context.Context, instance string) error {
	place := s.choosePartition
	if instance != "" {
		place = func(ctx context.Context) error { return s.makeOwnTopic(ctx, instance) }
	}
	if err := place(ctx); err != nil {
		return fmt.Errorf("choosing where replies go: %w", err)
	}
	for {
		ranges, err := kafkaio.Ranges(ctx, s.client, s.topic, s.partition)
		if err == nil {
			s.offset = ranges[s.partition].End
			return nil
		}
		// A topic that was just made has a leader before its broker knows of it.
		_, answered := errors.AsType[kafka.Error](err)
		if !s.own || !answered || !kafkaio.IsRetriable(err) {
			return fmt.Errorf("finding the end of the replies: %w", err)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("finding the end of the replies: %w", err)
		case <-time.After(newTopicPoll):
		}
	}
}

// makeOwnTopic creates the instance's topic; one that a crashed predecessor left is as good.
func (s *replySource) makeOwnTopic(ctx context.Context, instance string) error {
	s.topic, s.partition, s.own = s.topic+"."+instance, 0, true
	resp, err := s.client.CreateTopics(ctx, &kafka.CreateTopicsRequest{Topics: []kafka.TopicConfig{{
		Topic: s.topic, NumPartitions: 1, ReplicationFactor: -1,
		ConfigEntries: []kafka.ConfigEntry{{ConfigName: "retention.ms", ConfigValue: ownTopicRetention}},
	}}})
	if err == nil {
		err = resp.Errors[s.topic]
	}
	if err != nil && !errors.Is(err, kafka.TopicAlreadyExists) {
		return fmt.Errorf("creating topic %s: %w", s.topic, err)
	}
	return nil
}

// choosePartition picks a partition of the shared topic, or checks the configured one.
func (s *replySource) choosePartition(ctx context.Context) error {
	resp, err := s.client.Metadata(ctx, &kafka.MetadataRequest{Topics: []string{s.topic}})
	if err != nil {
		return fmt.Errorf("asking the brokers at %s for metadata: %w", s.client.Addr, err)
	}
	n := len(resp.Topics[0].Partitions)
	switch {
	case n == 0 || int(s.partition) >= n:
		return &kafkaio.UnknownDestinationError{Topic: s.topic, Partition: s.partition, Partitions: n}
	case s.partition == kafkaio.AnyPartition:
		s.partition = rand.Int32N(int32(n))
	}
	return nil
}

// close gives back the connections, and the instance's own topic. One that cannot be deleted is litter, and no reason to
// fail.
func (s *replySource) close(ctx context.Context) {
	defer s.disconnect()
	if !s.own {
		return
	}
	resp, err := s.client.DeleteTopics(ctx, &kafka.DeleteTopicsRequest{Topics: []string{s.topic}})
	if err == nil {
		err = resp.Errors[s.topic]
	}
	if err != nil {
		s.log.Warn("deleting the topic for replies failed", slog.String("topic", s.topic), slog.Any("error", err))
	}
}

func (s *replySource) disconnect() {
	s.fetcher.Close()
	kafkaio.CloseIdle(s.client)
}

// run passes every reply to handle until ctx ends. Trouble with the brokers only delays it: it goes on where it was.
func (s *replySource) run(ctx context.Context, handle func([]kafkaio.Header, []byte)) {
	pause := backoff.NewExponentialBackOff()
	pause.InitialInterval = 20 * time.Millisecond
	pause.MaxInterval = time.Second
	for trouble := false; ctx.Err() == nil; {
		err := s.fetch(ctx, handle)
		if err == nil {
			pause.Reset()
			trouble = false
			continue
		}
		if ctx.Err() != nil {
			return
		}
		if !trouble {
			s.log.Warn("reading replies failed, trying again", slog.String("topic", s.topic), slog.Any("error", err))
		}
		trouble = true
		kafkaio.CloseIdle(s.client) // learn the leader anew
		select {
		case <-time.After(pause.NextBackOff()):
		case <-ctx.Done():
		}
	}
}

// fetch reads what has been written since the last fetch, or waits a moment for it. A reply in a transaction comes once that is
// committed.
func (s *replySource) fetch(ctx context.Context, handle func([]kafkaio.Header, []byte)) error {
	fetched, err := s.fetcher.Fetch(ctx, kafkaio.FetchRequest{
		Topic: s.topic, Partition: s.partition, Offset: s.offset, MaxBytes: fetchBytes, MaxWait: fetchWait,
	})
	if errors.Is(err, kafka.OffsetOutOfRange) {
		return s.relocate(ctx)
	}
	for _, r := range fetched.Records {
		s.offset = r.Offset + 1
		handle(r.Headers, r.Value)
	}
	if err != nil {
		return fmt.Errorf("fetching from %s/%d: %w", s.topic, s.partition, err)
	}
	s.offset = fetched.Next
	return nil
}

// relocate goes to the beginning of what there is: the topic's retention, or somebody who made the topic anew, has taken
// away the offset where we were.
func (s *replySource) relocate(ctx context.Context) error {
	ranges, err := kafkaio.Ranges(ctx, s.client, s.topic, s.partition)
	if err != nil {
		return fmt.Errorf("finding where the replies begin: %w", err)
	}
	s.offset = ranges[s.partition].Begin
	return nil
}
