package items

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"

	"github.com/redis/go-redis/v9"

	"github.com/freshet/freshet/services/redisdb"
)

// The vectors hash has two fields a model:
//
//	v:<model>   format byte 1, stamp of the record, then the item tower's output as little-endian float32
//	i:<model>   stamp of the record, then 8 bytes filter digest, big-endian: the index holds a row made from just these
const (
	vectorFormat = 1
	vectorHeader = 1 + stampBytes
	markBytes    = stampBytes + 8
)

const remedyVectors = "delete the key and publish the item again"

func vectorField(model string) string { return "v:" + model }
func markField(model string) string   { return "i:" + model }

func appendFloats(dst []byte, vector []float32) []byte {
	for _, x := range vector {
		dst = binary.LittleEndian.AppendUint32(dst, math.Float32bits(x))
	}
	return dst
}

func decodeVector(value string) (stamp, []float32, error) {
	if value == "" {
		return stamp{}, nil, errors.New("the vector is empty")
	}
	if err := redisdb.CheckFormat("the vector", value[0], vectorFormat); err != nil {
		return stamp{}, nil, err
	}
	if len(value) <= vectorHeader || (len(value)-vectorHeader)%4 != 0 {
		return stamp{}, nil, fmt.Errorf("the vector has %d bytes", len(value))
	}
	s, err := readStamp(value[1:])
	if err != nil {
		return stamp{}, nil, err
	}
	vector := make([]float32, (len(value)-vectorHeader)/4)
	for i := range vector {
		b := value[vectorHeader+4*i:]
		vector[i] = math.Float32frombits(uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16 | uint32(b[3])<<24)
	}
	return s, vector, nil
}

// VectorReads are vector reads that wait in a pipeline for its Exec.
type VectorReads struct {
	store *Store
	ids   []string
	reads []*redis.StringCmd
}

// QueueVectors puts the reads of items' vectors of one model into the caller's pipeline, so that they share its round trip.
func (s *Store) QueueVectors(ctx context.Context, pipe redis.Pipeliner, model string, ids []string) *VectorReads {
	queued := &VectorReads{store: s, ids: ids, reads: make([]*redis.StringCmd, len(ids))}
	for i, id := range ids {
		queued.reads[i] = pipe.HGet(ctx, s.vectorsKey(id), vectorField(model))
	}
	return queued
}

// Vector returns the i-th vector after the pipeline's Exec; nil where the item has none of the model.
func (r *VectorReads) Vector(i int) ([]float32, error) {
	value, err := r.reads[i].Result()
	if errors.Is(err, redis.Nil) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("reading the vector of item %q: %w", r.ids[i], err)
	}
	_, vector, err := decodeVector(value)
	if err != nil {
		return nil, redisdb.ReadError(r.store.vectorsKey(r.ids[i]), remedyVectors, err)
	}
	return vector, nil
}

// Vectors reads items' vectors of one model in one pipelined round trip; the answer is aligned with ids, nil where an item
// has none.
func (s *Store) Vectors(ctx context.Context, model string, ids []string) ([][]float32, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	pipe := s.rdb.Pipeline()
	queued := s.QueueVectors(ctx, pipe, model, ids)
	// The error of Exec is the first of the reads' own errors.
	_, _ = pipe.Exec(ctx)
	vectors := make([][]float32, len(ids))
	for i := range ids {
		var err error
		if vectors[i], err = queued.Vector(i); err != nil {
			return nil, err
		}
	}
	return vectors, nil
}

// Refuse is the error of the i-th vector for a reader that finds it unfit.
func (r *VectorReads) Refuse(i int, err error) error {
	return redisdb.ReadError(r.store.vectorsKey(r.ids[i]), remedyVectors, err)
}
