package producers

import (
	"context"
	"fmt"
	"time"

	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

// EventPublisher publishes interactions and item changes. It is safe for concurrent use: one for a process is enough, and
// the better it is shared, the better it batches.
type EventPublisher struct {
	cfg          Config
	writer       *kafkaio.Writer
	interactions *schemas.Serde[schemas.Interaction]
	items        *schemas.Serde[schemas.ItemChange]
	userKeys     *schemas.KeyWriter
	itemKeys     *schemas.KeyWriter
}

// NewEventPublisher makes a publisher. It asks the schema registry, if there is one, but not Kafka: that is first asked with
// the first event, which waits for brokers that are out of reach until its context ends.
func NewEventPublisher(ctx context.Context, cfg Config) (*EventPublisher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, fmt.Errorf("checking the publisher's configuration: %w", err)
	}
	registry, err := schemas.NewRegistry(cfg.Registry, cfg.logger())
	if err != nil {
		return nil, err
	}
	p := &EventPublisher{cfg: cfg}
	if p.interactions, err = schemas.NewSerde[schemas.Interaction](ctx, registry, cfg.Topics.Interactions); err != nil {
		return nil, err
	}
	if p.items, err = schemas.NewSerde[schemas.ItemChange](ctx, registry, cfg.Topics.Items); err != nil {
		return nil, err
	}
	topics := cfg.Topics
	p.userKeys, err = schemas.NewKeyWriter(ctx, topics.InteractionKeys, "topics.interactions", topics.Interactions, cfg.Limits, registry)
	if err != nil {
		return nil, err
	}
	p.itemKeys, err = schemas.NewKeyWriter(ctx, topics.ItemKeys, "topics.items", topics.Items, cfg.Limits, registry)
	if err != nil {
		return nil, err
	}
	p.writer = kafkaio.NewWriter(cfg.Kafka, cfg.Writer, cfg.logger())
	return p, nil
}

// PublishInteraction publishes what a user did and returns where it lies once all in-sync replicas have it. The position as
// a request's SeenThrough makes the answer reflect the event.
func (p *EventPublisher) PublishInteraction(ctx context.Context, e *schemas.Interaction) (schemas.Position, error) {
	m, err := p.interaction(e)
	if err != nil {
		return schemas.Position{}, err
	}
	return p.write(ctx, m)
}

// PublishInteractionAsync takes an event to be published, and waits only while the queue is full, until ctx ends. If it
// returns nil, done is called exactly once; if it returns an error, never. The record is encoded before it returns, so the
// event may be reused. done is called for several events at the same time, must return soon, and must not call the publisher.
func (p *EventPublisher) PublishInteractionAsync(
	ctx context.Context, e *schemas.Interaction, done func(schemas.Position, error),
) error {
	m, err := p.interaction(e)
	if err != nil {
		return err
	}
	return p.enqueue(ctx, m, done)
}

// PublishItem publishes the whole new state of an item.
func (p *EventPublisher) PublishItem(ctx context.Context, change *schemas.ItemChange) (schemas.Position, error) {
	m, err := p.item(change)
	if err != nil {
		return schemas.Position{}, err
	}
	return p.write(ctx, m)
}

// PublishItemAsync is to PublishItem what PublishInteractionAsync is to PublishInteraction.
func (p *EventPublisher) PublishItemAsync(
	ctx context.Context, change *schemas.ItemChange, done func(schemas.Position, error),
) error {
	m, err := p.item(change)
	if err != nil {
		return err
	}
	return p.enqueue(ctx, m, done)
}

// EraseUser makes Freshet forget a user: a tombstone on the interactions topic. The user's events that are in the topic stay
// there until its retention ends. It refuses an id that no reader would take from the key, and a context's end means that the
// tombstone may be there or not: publish it again, which is harmless.
func (p *EventPublisher) EraseUser(ctx context.Context, userID string) (schemas.Position, error) {
	return p.tombstone(ctx, p.cfg.Topics.Interactions, p.userKeys, "user_id", userID)
}

// RemoveItem takes an item out of the catalogue for good, whatever its version: a tombstone on the items topic, which also
// lets compaction remove what was said about it. To hide an item for a while, publish it with Available false.
func (p *EventPublisher) RemoveItem(ctx context.Context, itemID string) (schemas.Position, error) {
	return p.tombstone(ctx, p.cfg.Topics.Items, p.itemKeys, "item_id", itemID)
}

// Close takes no more events and returns when all that were taken are written, or with an error when ctx ends first.
func (p *EventPublisher) Close(ctx context.Context) error {
	if err := p.writer.Close(ctx); err != nil {
		return fmt.Errorf("closing the publisher: %w", err)
	}
	return nil
}

func (p *EventPublisher) interaction(e *schemas.Interaction) (kafkaio.Message, error) {
	if err := p.cfg.Limits.Interaction(e, time.Now()); err != nil {
		return kafkaio.Message{}, fmt.Errorf("checking an interaction: %w", err)
	}
	key, err := p.userKeys.Append(nil, e.UserID)
	if err != nil {
		return kafkaio.Message{}, fmt.Errorf("making the key of an interaction: %w", err)
	}
	return keyed(p.cfg.Topics.Interactions, key, p.interactions.Append(nil, e)), nil
}

func (p *EventPublisher) item(change *schemas.ItemChange) (kafkaio.Message, error) {
	if err := p.cfg.Limits.ItemChange(change, time.Now()); err != nil {
		return kafkaio.Message{}, fmt.Errorf("checking an item change: %w", err)
	}
	key, err := p.itemKeys.Append(nil, change.ItemID)
	if err != nil {
		return kafkaio.Message{}, fmt.Errorf("making the key of an item change: %w", err)
	}
	return keyed(p.cfg.Topics.Items, key, p.items.Append(nil, change)), nil
}

func (p *EventPublisher) tombstone(
	ctx context.Context, topic string, keys *schemas.KeyWriter, field, id string,
) (schemas.Position, error) {
	key, err := keys.Tombstone(ctx, field, id)
	if err != nil {
		return schemas.Position{}, fmt.Errorf("checking a tombstone: %w", err)
	}
	return p.write(ctx, keyed(topic, key, nil))
}

func (p *EventPublisher) write(ctx context.Context, m kafkaio.Message) (schemas.Position, error) {
	at, err := p.writer.Write(ctx, m)
	return schemas.Position(at), err
}

func (p *EventPublisher) enqueue(ctx context.Context, m kafkaio.Message, done func(schemas.Position, error)) error {
	return p.writer.Enqueue(ctx, m, func(at kafkaio.Position, err error) { done(schemas.Position(at), err) })
}

// keyed is a message whose key chooses the partition.
func keyed(topic string, key, value []byte) kafkaio.Message {
	return kafkaio.Message{Topic: topic, Partition: kafkaio.AnyPartition, Key: key, Value: value}
}
