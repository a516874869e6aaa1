package fromtopics

import (
	"context"
	"fmt"
	"log/slog"
	"time"

	"github.com/freshet/freshet/consumers/stream"
	"github.com/freshet/freshet/consumers/stream/partition"
	"github.com/freshet/freshet/consumers/stream/replay"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
)

// Config says what to read.
type Config struct {
	Kafka    kafkaio.Config
	Reading  partition.Reading
	Registry schemas.Registry
	// The names of the topics.
	Interactions, Items string
	// How the ids stand in their keys.
	InteractionKeys, ItemKeys *schemas.Keys
	Limits                    schemas.Limits
	// Since and Until bound the time at which an event occurred, Until itself left out. A zero time is no bound. Items are
	// always as they are now: a compacted topic does not have their past.
	Since, Until time.Time
	Log          *slog.Logger
	// Progress, if set, is told now and then how many offsets of how many were read of what.
	Progress func(what string, done, total int64)
}

// Validate says which time is impossible.
func (c *Config) Validate() error {
	if !c.Until.IsZero() && !c.Since.Before(c.Until) {
		return fmt.Errorf("since %s is not before until %s: give an earlier one", c.Since.Format(time.RFC3339), c.Until.Format(time.RFC3339))
	}
	return nil
}

// Counts says what became of the records that the last reading found.
type Counts struct {
	// Records of the topic, of which Malformed do not decode and Invalid make no sense.
	Records, Malformed, Invalid int64
	// Kept were handed over: events, or items.
	Kept int64
	// Outside the times asked for, and Erased by a tombstone: events that were left out. Tombstones are no events.
	Outside, Erased, Tombstones int64
	// Deleted are items that are not in the catalogue any more.
	Deleted int64
}

// Topics reads the two topics. It is for one goroutine.
type Topics struct {
	cfg          Config
	interactions *schemas.Serde[schemas.Interaction]
	items        *schemas.Serde[schemas.ItemChange]
	// Events and Catalogue tell of the last EachInteraction and EachItem.
	Events, Catalogue Counts
}

// Open prepares reading.
func Open(ctx context.Context, cfg Config) (*Topics, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	t := &Topics{cfg: cfg}
	var err error
	if t.interactions, err = schemas.NewSerde[schemas.Interaction](ctx, cfg.Registry, cfg.Interactions); err != nil {
		return nil, err
	}
	if t.items, err = schemas.NewSerde[schemas.ItemChange](ctx, cfg.Registry, cfg.Items); err != nil {
		return nil, err
	}
	return t, nil
}

func (t *Topics) snapshot(ctx context.Context, topic string) (*replay.Snapshot, error) {
	return replay.NewSnapshot(ctx, t.cfg.Kafka, t.cfg.Reading, topic, t.cfg.Log)
}

// progressEvery is after how many records progress is told.
const progressEvery = 4096

// each reads a snapshot and tells of the progress.
func (t *Topics) each(ctx context.Context, s *replay.Snapshot, what string, each func(*stream.Record) error) error {
	tell := func() {
		if t.cfg.Progress != nil {
			done, total := s.Progress()
			t.cfg.Progress(what, done, total)
		}
	}
	read := 0
	err := s.Each(ctx, func(r *stream.Record) error {
		if read++; read%progressEvery == 0 {
			tell()
		}
		return each(r)
	})
	if err == nil {
		tell()
	}
	return err
}

// tombstone returns the id that a record without a value is about; none where its key holds no id, of which the role makes a dead
// letter.
func tombstone(ctx context.Context, keys *schemas.Keys, r *stream.Record) (id string, err error) {
	id, err = keys.Tombstone(ctx, r.Key, r)
	switch {
	case schemas.IsInvalid(err):
		return "", nil
	case err != nil: // the registry is away
		return "", fmt.Errorf("decoding %s/%d at %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	return id, nil
}

// tombstone counts one by what its key held.
func (c *Counts) tombstone(id string, err error) {
	switch {
	case id != "":
		c.Tombstones++
	case err == nil:
		c.Invalid++
	}
}

// decoded decodes a record and judges it as of now, as a rebuild does: ok is false for one that was counted instead.
func decoded[T schemas.Record](
	ctx context.Context, serde *schemas.Serde[T], r *stream.Record, judge func(*T, time.Time) error, counts *Counts,
) (record T, ok bool, err error) {
	record, err = serde.Decode(ctx, r.Value, r)
	switch {
	case err == nil:
	case schemas.IsMalformed(err):
		counts.Malformed++
		return record, false, nil
	default: // the registry is away
		return record, false, fmt.Errorf("decoding %s/%d at %d: %w", r.Topic, r.Partition, r.Offset, err)
	}
	if valid := judge(&record, time.Now()) == nil; !valid {
		counts.Invalid++
		return record, false, nil
	}
	return record, true, nil
}

// EachInteraction gives the events in the order in which they were published, which is also what it knows of those of one moment:
// all events of a user are in one partition, in their order. The topic is read twice: at first for the
// tombstones, since an event is to be left out that comes long before one.
func (t *Topics) EachInteraction(ctx context.Context, each func(e *schemas.Interaction, order int64) error) error {
	t.Events = Counts{}
	s, err := t.snapshot(ctx, t.cfg.Interactions)
	if err != nil {
		return err
	}
	defer s.Close()
	e := erasures{last: map[string]position{}, passed: map[int32]int64{}}
	err = t.each(ctx, s, "erasures", func(r *stream.Record) error {
		if r.Value != nil {
			return nil
		}
		user, err := tombstone(ctx, t.cfg.InteractionKeys, r)
		if user != "" {
			e.last[user] = position{r.Partition, r.Offset}
		}
		return err
	})
	if err != nil {
		return err
	}
	return t.each(ctx, s, "interactions", func(r *stream.Record) error {
		e.passed[r.Partition] = r.Offset
		return t.interaction(ctx, r, &e, each)
	})
}

// erasures knows the last tombstone of each user, and how far the second reading has come. A tombstone has been passed where
// its partition has been read to it, or beyond: retention may remove it between the two readings.
type erasures struct {
	last   map[string]position
	passed map[int32]int64
}

type position struct {
	partition int32
	offset    int64
}

// erases says whether the user's last tombstone is yet to come.
func (e *erasures) erases(user string) bool {
	last, erased := e.last[user]
	passed, begun := e.passed[last.partition]
	return erased && (!begun || passed < last.offset)
}

func (t *Topics) interaction(
	ctx context.Context, r *stream.Record, e *erasures, each func(e *schemas.Interaction, order int64) error,
) error {
	t.Events.Records++
	if r.Value == nil {
		user, err := tombstone(ctx, t.cfg.InteractionKeys, r)
		t.Events.tombstone(user, err)
		return err
	}
	event, ok, err := decoded(ctx, t.interactions, r, t.cfg.Limits.Interaction, &t.Events)
	switch {
	case err != nil || !ok:
		return err
	case e.erases(event.UserID):
		t.Events.Erased++
	case event.OccurredAt.Before(t.cfg.Since) || !t.cfg.Until.IsZero() && !event.OccurredAt.Before(t.cfg.Until):
		t.Events.Outside++
	default:
		t.Events.Kept++
		return each(&event, t.Events.Kept)
	}
	return nil
}

// EachItem gives the newest change of each item that was not deleted, in the order of the ids. The whole catalogue is in memory
// meanwhile.
func (t *Topics) EachItem(ctx context.Context, each func(*schemas.ItemChange) error) (err error) {
	t.Catalogue = Counts{}
	s, err := t.snapshot(ctx, t.cfg.Items)
	if err != nil {
		return err
	}
	defer s.Close()
	latest := catalogue{}
	err = t.each(ctx, s, "items", func(r *stream.Record) error {
		t.Catalogue.Records++
		if r.Value == nil {
			id, err := tombstone(ctx, t.cfg.ItemKeys, r)
			t.Catalogue.tombstone(id, err)
			if id != "" {
				latest.remove(id)
			}
			return err
		}
		change, ok, err := decoded(ctx, t.items, r, t.cfg.Limits.ItemChange, &t.Catalogue)
		if err == nil && ok {
			latest.add(&change)
		}
		return err
	})
	if err != nil {
		return err
	}
	for _, item := range latest.sorted() {
		if item.Op == schemas.DeleteItem {
			t.Catalogue.Deleted++
			continue
		}
		t.Catalogue.Kept++
		if err := each(&item); err != nil {
			return err
		}
	}
	return nil
}
