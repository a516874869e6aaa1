package items

import (
	"context"
	"fmt"
	"strconv"

	"github.com/redis/go-redis/v9"
)

// IndexState says what is known of the collection of a model.
type IndexState uint8

const (
	// IndexUnknown says that nobody has judged the model's collection yet.
	IndexUnknown IndexState = iota
	// IndexPartial says that the collection lacks rows, or it is another than the one that was judged.
	IndexPartial
	// IndexWhole says that the collection holds a row for each live item.
	IndexWhole
)

// The mark of a collection lies here and not with the rows, bound to the collection's id: Milvus gives each collection that is
// made a new one, so that one which was dropped and made again has no mark, and an emptied Redis has none either.
func (s *Store) indexKey() string { return s.cfg.KeyPrefix + ":index" }

const wholePrefix, partialMark, filledPrefix = "whole ", "partial", "group "

// IndexState tells what is known of the collection of a model, whose id is collection.
func (s *Store) IndexState(ctx context.Context, model string, collection int64) (IndexState, error) {
	marks, err := s.rdb.HMGet(ctx, s.indexKey(), model).Result()
	if err != nil {
		return IndexUnknown, fmt.Errorf("looking for the mark of model %s in %s: %w", model, s.indexKey(), err)
	}
	switch mark, _ := marks[0].(string); mark {
	case "":
		return IndexUnknown, nil
	case wholePrefix + strconv.FormatInt(collection, 10):
		return IndexWhole, nil
	default:
		return IndexPartial, nil
	}
}

// MarkIndexWhole notes that the collection holds a row for each live item.
func (s *Store) MarkIndexWhole(ctx context.Context, model string, collection int64) error {
	return s.markIndex(ctx, model, wholePrefix+strconv.FormatInt(collection, 10))
}

// MarkIndexPartial notes that the collection of a model lacks rows, until MarkIndexWhole.
func (s *Store) MarkIndexPartial(ctx context.Context, model string) error {
	return s.markIndex(ctx, model, partialMark)
}

func (s *Store) markIndex(ctx context.Context, model, mark string) error {
	if err := s.rdb.HSet(ctx, s.indexKey(), model, mark).Err(); err != nil {
		return fmt.Errorf("marking the collection of model %s in %s: %w", model, s.indexKey(), err)
	}
	return nil
}

// IndexFilledBy returns the model whose collection a consumer group fills, or filled last; "" where there is none. What the
// group read meanwhile is not in the collection of another model.
func (s *Store) IndexFilledBy(ctx context.Context, group string) (string, error) {
	read, err := s.rdb.HMGet(ctx, s.indexKey(), filledPrefix+group).Result()
	if err != nil {
		return "", fmt.Errorf("asking %s which model group %s fills: %w", s.indexKey(), group, err)
	}
	model, _ := read[0].(string)
	return model, nil
}

// NoteIndexFilledBy notes the model whose collection a consumer group fills from now on.
func (s *Store) NoteIndexFilledBy(ctx context.Context, group, model string) error {
	if err := s.rdb.HSet(ctx, s.indexKey(), filledPrefix+group, model).Err(); err != nil {
		return fmt.Errorf("noting in %s that group %s fills model %s: %w", s.indexKey(), group, model, err)
	}
	return nil
}

// IndexedRecent counts the recent items, and those of them whose row is marked as being in the index of a model: a sample that
// costs two round trips, of at most RecentKept items.
func (s *Store) IndexedRecent(ctx context.Context, model string) (recent, indexed int64, err error) {
	ids, err := s.Recent(ctx, s.cfg.RecentKept)
	if err != nil {
		return 0, 0, err
	}
	indexed, err = s.Indexed(ctx, model, ids)
	return int64(len(ids)), indexed, err
}

// Indexed counts the items whose row is marked as being in the index of a model, in one round trip.
func (s *Store) Indexed(ctx context.Context, model string, ids []string) (indexed int64, err error) {
	if len(ids) == 0 {
		return 0, nil
	}
	pipe := s.rdb.Pipeline()
	for _, id := range ids {
		pipe.HMGet(ctx, s.vectorsKey(id), markField(model))
	}
	reads, err := pipe.Exec(ctx)
	if err != nil {
		return 0, fmt.Errorf("counting the items that are indexed: %w", err)
	}
	for _, read := range reads {
		if marks, ok := read.(*redis.SliceCmd); ok && marks.Val()[0] != nil {
			indexed++
		}
	}
	return indexed, nil
}
