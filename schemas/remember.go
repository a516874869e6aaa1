package schemas

import (
	"context"
	"errors"
	"sync"
	"time"
)

const (
	// unknownFor is how long a schema id that the registry did not know is believed unknown. Records of a producer that uses another
	// registry come in their thousands, and each would ask again.
	unknownFor = 30 * time.Second
	// maxUnknown bounds how many such ids are remembered: hostile bytes can name four billion.
	maxUnknown = 1024
)

// readers are what was made of the schemas that records name, T for each. Two goroutines that meet a new id at once both ask the
// registry; the answers are the same. It is safe for concurrent use.
type readers[T any] struct {
	registry Registry
	prepare  func(SchemaID, Schema) T

	mu      sync.RWMutex
	known   map[SchemaID]T
	unknown map[SchemaID]asked
}

// asked is what the registry said of an id that it did not know, and when.
type asked struct {
	at  time.Time
	err error
}

func newReaders[T any](registry Registry, prepare func(SchemaID, Schema) T) *readers[T] {
	return &readers[T]{registry: registry, prepare: prepare, known: make(map[SchemaID]T), unknown: make(map[SchemaID]asked)}
}

// of returns what was made of a schema. The error is the registry's.
func (r *readers[T]) of(ctx context.Context, id SchemaID) (of T, err error) {
	r.mu.RLock()
	of, known := r.known[id]
	earlier, unknown := r.unknown[id]
	r.mu.RUnlock()
	switch {
	case known:
		return of, nil
	case unknown && time.Since(earlier.at) < unknownFor:
		return of, earlier.err
	}
	schema, err := r.registry.Schema(ctx, id)
	if errors.Is(err, ErrUnknownSchema) {
		r.noteUnknown(id, err)
	}
	if err != nil {
		return of, err
	}
	of = r.prepare(id, schema)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.known[id] = of
	return of, nil
}

func (r *readers[T]) noteUnknown(id SchemaID, err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.unknown) >= maxUnknown {
		clear(r.unknown)
	}
	r.unknown[id] = asked{time.Now(), err}
}
