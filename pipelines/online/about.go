package online

import (
	"context"
	"fmt"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/pipelines/settings"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/schemas"
)

// Abouts tell which ids the records of the topics are about, or their keys name; those of a record that nobody can read are none. An
// error may pass: the registry is away.
type Abouts struct {
	topics       topics.Config
	interactions *schemas.Serde[schemas.Interaction]
	items        *schemas.Serde[schemas.ItemChange]
	requests     *schemas.Serde[schemas.RecommendationRequest]
	userKeys     *schemas.Keys
	itemKeys     *schemas.Keys
}

// NewAbouts asks the registry for the schemas of the topics.
func NewAbouts(ctx context.Context, s settings.Settings) (a *Abouts, err error) {
	registry, err := schemas.NewRegistry(s.Registry, nil)
	if err != nil {
		return nil, fmt.Errorf("opening the schema registry: %w", err)
	}
	if s.Registry.URL != "" {
		registry = explainedRegistry{registry}
	}
	a = &Abouts{
		topics: s.Topics, userKeys: s.Topics.InteractionKeys(s.Limits, registry), itemKeys: s.Topics.ItemKeys(s.Limits, registry),
	}
	if a.interactions, err = schemas.NewSerde[schemas.Interaction](ctx, registry, s.Topics.Interactions.Name); err != nil {
		return nil, err
	}
	if a.items, err = schemas.NewSerde[schemas.ItemChange](ctx, registry, s.Topics.Items.Name); err != nil {
		return nil, err
	}
	a.requests, err = schemas.NewSerde[schemas.RecommendationRequest](ctx, registry, s.Topics.Requests.Name)
	return a, err
}

// Of returns the ids of a record by its topic.
func (a *Abouts) Of(ctx context.Context, r *stream.Record) ([]string, error) {
	switch r.Topic {
	case a.topics.Interactions.Name:
		return ids(ctx, r, byKey(a.userKeys), a.interactions, func(e *schemas.Interaction) string { return e.UserID })
	case a.topics.Items.Name:
		return ids(ctx, r, byKey(a.itemKeys), a.items, func(c *schemas.ItemChange) string { return c.ItemID })
	}
	raw := func(_ context.Context, r *stream.Record) (string, error) { return string(r.Key), nil }
	return ids(ctx, r, raw, a.requests, func(q *schemas.RecommendationRequest) string { return q.UserID })
}

func byKey(keys *schemas.Keys) func(context.Context, *stream.Record) (string, error) {
	return func(ctx context.Context, r *stream.Record) (string, error) {
		if r.Value == nil {
			return keys.Tombstone(ctx, r.Key, r)
		}
		return keys.ID(ctx, r.Key)
	}
}

// ids are those of the key and of the value.
func ids[T schemas.Record](
	ctx context.Context, r *stream.Record, key func(context.Context, *stream.Record) (string, error),
	serde *schemas.Serde[T], id func(*T) string,
) (list []string, err error) {
	lasting := func(err error) bool { return schemas.IsInvalid(err) || schemas.IsMalformed(err) }
	named, err := key(ctx, r)
	if err == nil && named != "" {
		list = append(list, named)
	} else if err != nil && !lasting(err) {
		return nil, err
	}
	if r.Value == nil {
		return list, nil
	}
	record, err := serde.Decode(ctx, r.Value, r)
	if err == nil && id(&record) != named {
		list = append(list, id(&record))
	} else if err != nil && !lasting(err) {
		return nil, err
	}
	return list, nil
}
