package demo

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/consumers/stream/replay"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

// tellPoison is step 5.
func (d *Demo) tellPoison(ctx context.Context) error {
	writer := kafkaio.NewWriter(d.settings.Kafka, d.settings.Writer, d.log)
	defer func() { _ = writer.Close(context.WithoutCancel(ctx)) }()
	letters := stream.NewDeadLetters(d.settings.Kafka, writer)

	poison := []byte("\x00\xff\xff\xff\xff this is no interaction")
	topic := d.settings.Topics.Interactions.Name
	if _, err := writer.Write(ctx, kafkaio.Message{
		Topic: topic, Partition: kafkaio.AnyPartition, Key: []byte(d.heroID()), Value: poison,
	}); err != nil {
		return err
	}
	_, _, err := d.publishAndAwait(ctx, d.heroEvent(schemas.View, d.world.data.Items[0].ItemID))
	if err != nil {
		return fmt.Errorf("publishing behind the poison: %w", err)
	}
	letter, err := awaitLetter(ctx, letters, topic, poison)
	if err != nil {
		return err
	}
	d.check(letter.Reason != "", "poison event: dead letter %s %d:%d, reason %q",
		stream.DeadLetterTopic(topic), letter.Position.Partition, letter.Position.Offset, letter.Reason)
	d.check(true, "and the next event of the same partition was applied")

	requests := d.settings.Topics.Requests.Name
	reply, err := d.askRaw(ctx, writer, poison)
	if err != nil {
		return fmt.Errorf("sending a poison request: %w", err)
	}
	letter, err = awaitLetter(ctx, letters, requests, poison)
	if err != nil {
		return err
	}
	d.check(reply.Status == schemas.StatusInvalidRequest, "poison request: reply %s, %q", reply.Status, reply.Error)
	d.check(letter.Reason != "", "and a dead letter in %s", stream.DeadLetterTopic(requests))

	refused := new(producers.ReplyError)
	bad := d.heroRequest()
	bad.Filter = "item.prize < 20"
	_, err = d.client.Recommend(ctx, bad)
	d.check(errors.As(err, &refused), "a filter with a typing error: %v", err)
	after, err := d.client.Recommend(ctx, d.heroRequest())
	if err != nil {
		return err
	}
	d.check(after.Status == schemas.StatusOK, "the stream goes on: the next request is answered")
	return nil
}

// askRaw sends bytes as a request would be sent and returns the reply that comes to a partition of its own correlation id.
func (d *Demo) askRaw(ctx context.Context, writer *kafkaio.Writer, value []byte) (schemas.RecommendationReply, error) {
	registry, err := schemas.NewRegistry(d.settings.Registry, nil)
	if err != nil {
		return schemas.RecommendationReply{}, err
	}
	replies := d.settings.Topics.Replies.Name
	serde, err := schemas.NewSerde[schemas.RecommendationReply](ctx, registry, replies)
	if err != nil {
		return schemas.RecommendationReply{}, err
	}
	correlation := fmt.Appendf(nil, "demo-poison-%d", time.Now().UnixNano())
	if _, err := writer.Write(ctx, kafkaio.Message{
		Topic: d.settings.Topics.Requests.Name, Partition: kafkaio.AnyPartition, Key: []byte(d.heroID()), Value: value,
		Headers: []kafkaio.Header{
			{Key: kafkaio.HeaderCorrelationID, Value: correlation},
			{Key: kafkaio.HeaderReplyTopic, Value: []byte(replies)},
		},
	}); err != nil {
		return schemas.RecommendationReply{}, err
	}
	var answer *stream.Record
	err = until(ctx, func() (bool, error) {
		err := replay.Scan(ctx, d.settings.Kafka, replies, func(r stream.Record) error {
			if id, _ := kafkaio.HeaderValue(r.Headers, kafkaio.HeaderCorrelationID); bytes.Equal(id, correlation) {
				answer = &r
			}
			return nil
		})
		return answer != nil, err
	})
	if err != nil {
		return schemas.RecommendationReply{}, err
	}
	return serde.Decode(ctx, answer.Value, answer)
}

// awaitLetter returns the topic's dead letter that holds the value.
func awaitLetter(ctx context.Context, letters *stream.DeadLetters, topic string, value []byte) (stream.DeadLetter, error) {
	var found *stream.DeadLetter
	err := until(ctx, func() (bool, error) {
		err := letters.List(ctx, topic, stream.Selection{}, func(l stream.DeadLetter) error {
			if bytes.Equal(l.Original.Value, value) {
				found = &l
			}
			return nil
		})
		return found != nil, err
	})
	if err != nil {
		return stream.DeadLetter{}, fmt.Errorf("waiting for a dead letter of %s: %w", topic, err)
	}
	return *found, nil
}

// untilTimeout bounds the wait for something that takes milliseconds.
const untilTimeout = 10 * time.Second

// until calls reached until it holds.
func until(ctx context.Context, reached func() (bool, error)) error {
	ctx, cancel := context.WithTimeout(ctx, untilTimeout)
	defer cancel()
	for {
		ok, err := reached()
		if ok || err != nil {
			return err
		}
		select {
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(askPoll):
		}
	}
}
