package stream

import (
	"context"
	"errors"
	"fmt"

	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/producers/kafkaio"
)

// Selection says which letters of a dead-letter topic are meant. The zero Selection means all that are still there.
type Selection struct {
	// Pending leaves out the letters before the place where the last Redrive ended.
	Pending bool
	// Match leaves out the letters for which it returns false; nil leaves out none.
	Match func(*DeadLetter) bool
	// Limit is the most letters, 0 for no limit.
	Limit int
}

// Redriven is what a Redrive did.
type Redriven struct {
	// Republished were written to the original topic.
	Republished int
	// Unusable were left alone: they are no dead letters of the topic, or lack a part of their value.
	Unusable int
}

// List calls each for every selected dead letter of a topic, partition by partition, oldest first. What is not a dead letter
// is given with a Reason that says so, and nothing but its Position, time, and bytes as the Original.
func (d *DeadLetters) List(ctx context.Context, topic string, s Selection, each func(DeadLetter) error) error {
	n := 0
	return d.read(ctx, topic, s, func(r Record) error {
		letter, err := ParseDeadLetter(r)
		if err != nil {
			letter = DeadLetter{
				Position: kafkaio.Position{Partition: r.Partition, Offset: r.Offset}, Written: r.Time,
				Original: Record{Key: r.Key, Value: r.Value, Headers: r.Headers}, Reason: err.Error(),
			}
		}
		if s.Match != nil && !s.Match(&letter) {
			return nil
		}
		if err := each(letter); err != nil {
			return err
		}
		if n++; n == s.Limit {
			return errEnough
		}
		return nil
	})
}

// Redrive writes the selected dead letters of a topic to that topic again, each by its key, with its value, and its headers
// without those of the dead letter. What a letter says about its original topic is only compared, never trusted: it cannot
// have anything written elsewhere.
//
// The letters stay where they are. A Redrive without a Match remembers, as the committed offsets of the group
// <topic>.dlt.redrive, how far it came, and Selection.Pending begins there. It remembers after it has written: when it dies
// between the two, a letter is redriven a second time, and idempotent handlers make nothing of it.
func (d *DeadLetters) Redrive(ctx context.Context, topic string, s Selection) (Redriven, error) {
	var did Redriven
	reached := make(map[int32]int64)
	err := d.read(ctx, topic, s, func(r Record) error {
		letter, err := ParseDeadLetter(r)
		usable := err == nil && letter.Original.Topic == topic && letter.Truncated != TruncatedValue
		switch {
		case !usable:
			did.Unusable++
		case s.Match != nil && !s.Match(&letter):
		default:
			if _, err := d.writer.Write(ctx, kafkaio.Message{
				Topic: topic, Partition: kafkaio.AnyPartition,
				Key: r.Key, Value: r.Value, Headers: letter.Original.Headers,
			}); err != nil {
				return fmt.Errorf("redriving the dead letter at %d@%d: %w", r.Partition, r.Offset, err)
			}
			did.Republished++
		}
		reached[r.Partition] = r.Offset + 1
		if did.Republished == s.Limit && s.Limit > 0 {
			return errEnough
		}
		return nil
	})
	if s.Match == nil {
		err = errors.Join(err, d.remember(context.WithoutCancel(ctx), topic, reached))
	}
	return did, err
}

// read calls each for every record of a topic's dead-letter topic, up to its end as of now.
func (d *DeadLetters) read(ctx context.Context, topic string, s Selection, each func(Record) error) error {
	c := newCluster(d.kafka, DeadLetterTopic(topic))
	defer c.close()
	partitions, err := allPartitions(ctx, d.kafka, c.topic)
	if err != nil {
		return err
	}
	spans, err := c.spans(ctx, partitions...)
	if err != nil {
		return err
	}
	if s.Pending {
		from, err := d.remembered(ctx, topic, c, partitions)
		if err != nil {
			return err
		}
		for p, at := range from {
			spans[p] = span{max(spans[p].first, at), spans[p].end, spans[p].log}
		}
	}
	return scanSpans(ctx, c, spans, each)
}

// redriveGroup is the group whose committed offsets tell how far a topic's dead letters were redriven.
func redriveGroup(topic string) string { return DeadLetterTopic(topic) + ".redrive" }

// remembered returns how far the last Redrive came.
func (d *DeadLetters) remembered(ctx context.Context, topic string, c *cluster, partitions []int32) (map[int32]int64, error) {
	ids := make([]int, len(partitions))
	for i, p := range partitions {
		ids[i] = int(p)
	}
	group := redriveGroup(topic)
	resp, err := c.client.OffsetFetch(ctx, &kafka.OffsetFetchRequest{GroupID: group, Topics: map[string][]int{c.topic: ids}})
	if err == nil {
		err = resp.Error
	}
	if errors.Is(err, kafka.GroupIdNotFound) {
		return nil, nil // never
	}
	if err != nil {
		return nil, fmt.Errorf("asking how far %s was redriven: %w", c.topic, err)
	}
	reached := make(map[int32]int64, len(partitions))
	for _, p := range resp.Topics[c.topic] {
		if p.Error != nil {
			return nil, fmt.Errorf("asking how far %s/%d was redriven: %w", c.topic, p.Partition, p.Error)
		}
		reached[int32(p.Partition)] = max(p.CommittedOffset, 0)
	}
	return reached, nil
}

// remember commits how far a Redrive came, as a consumer outside of any generation.
func (d *DeadLetters) remember(ctx context.Context, topic string, reached map[int32]int64) error {
	if len(reached) == 0 {
		return nil
	}
	c := newCluster(d.kafka, DeadLetterTopic(topic))
	defer c.close()
	commits := make([]kafka.OffsetCommit, 0, len(reached))
	for p, next := range reached {
		commits = append(commits, kafka.OffsetCommit{Partition: int(p), Offset: next})
	}
	resp, err := c.client.OffsetCommit(ctx, &kafka.OffsetCommitRequest{
		GroupID: redriveGroup(topic), GenerationID: -1, Topics: map[string][]kafka.OffsetCommit{c.topic: commits},
	})
	if err != nil {
		return fmt.Errorf("remembering how far %s was redriven: %w", c.topic, err)
	}
	for _, p := range resp.Topics[c.topic] {
		if p.Error != nil {
			return fmt.Errorf("remembering how far %s/%d was redriven: %w", c.topic, p.Partition, p.Error)
		}
	}
	return nil
}
