package bench

import (
	"context"
	"sync"

	"github.com/redis/go-redis/v9"
	"github.com/segmentio/kafka-go"

	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/redisdb"
)

// relay is the floor of freshness: events go through Kafka to a plain consumer, which SETs a fixed value under the key of
// each, one pipeline for each fetch.
type relay struct {
	writer *kafkaio.Writer
	client *kafka.Client
	rdb    redis.UniversalClient
	serde  *schemas.Serde[schemas.Interaction]
	topic  string
	prefix string
	value  []byte

	stop    context.CancelFunc
	working sync.WaitGroup
	failed  firstError
}

func (l *lab) startRelay(ctx context.Context, value []byte) (*relay, error) {
	s := l.settings("")
	s.Topics.Interactions.Name = l.topic("relay")
	if err := l.createTopics(ctx, s); err != nil {
		return nil, err
	}
	registry, err := schemas.NewRegistry(s.Registry, l.Log)
	if err != nil {
		return nil, err
	}
	serde, err := schemas.NewSerde[schemas.Interaction](ctx, registry, s.Topics.Interactions.Name)
	if err != nil {
		return nil, err
	}
	background, stop := context.WithCancel(context.WithoutCancel(ctx))
	r := &relay{
		writer: kafkaio.NewWriter(s.Kafka, s.Writer, l.Log), client: s.Kafka.Client(), rdb: l.rdb, serde: serde,
		topic: s.Topics.Interactions.Name, prefix: l.prefix() + "-raw", value: value, stop: stop,
	}
	for _, p := range partitionsOf(s.Topics.Interactions) { // the topic is new: it begins at 0
		r.working.Go(func() { r.follow(background, p) })
	}
	return r, nil
}

// follow writes what comes to a partition into Redis until ctx ends.
func (r *relay) follow(ctx context.Context, partition int32) {
	var offset int64
	for ctx.Err() == nil {
		pipe := r.rdb.Pipeline()
		var err error
		offset, err = fetch(ctx, r.client, r.topic, partition, offset, func(record *kafka.Record) error {
			key, err := readBytes(record.Key)
			if err != nil {
				return err
			}
			if _, err := readBytes(record.Value); err != nil {
				return err
			}
			pipe.Set(ctx, r.key(string(key)), r.value, 0)
			return nil
		})
		if err == nil && pipe.Len() > 0 {
			_, err = pipe.Exec(ctx)
		}
		if err != nil && ctx.Err() == nil {
			r.failed.keep(err)
			return
		}
	}
}

func (r *relay) key(user string) string { return redisdb.Key(r.prefix, user, "value") }

// send writes an event as a publisher would, without its checks.
func (r *relay) send(ctx context.Context, e *schemas.Interaction) error {
	m := kafkaio.Message{
		Topic: r.topic, Partition: kafkaio.AnyPartition, Key: []byte(e.UserID), Value: r.serde.Append(nil, e),
	}
	return r.writer.Enqueue(ctx, m, func(_ kafkaio.Position, err error) { r.failed.keep(err) })
}

func (r *relay) close(ctx context.Context) error {
	err := r.writer.Close(ctx)
	r.stop()
	r.working.Wait()
	kafkaio.CloseIdle(r.client)
	return err
}
