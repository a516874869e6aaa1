package schemas

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/freshet/freshet/schemas/internal/avro"
)

// Record is what Freshet's topics carry.
type Record interface {
	Interaction | ItemChange | RecommendationRequest | RecommendationReply | Recall
}

// The wire format of Confluent's serializers: a zero byte, the writer's schema id as four bytes, most significant first, then the
// Avro body.
const (
	frameMagic = 0
	frameBytes = 5
)

const (
	// unknownFor is how long a schema id that the registry did not know is believed unknown. Records of a producer that uses another
	// registry come in their thousands, and each would ask again.
	unknownFor = 30 * time.Second
	// maxUnknown bounds how many such ids are remembered: hostile bytes can name four billion.
	maxUnknown = 1024
)

// Serde writes and reads the records of one topic in Confluent's wire format. It is safe for concurrent use.
type Serde[T Record] struct {
	registry Registry
	id       int // of the current schema
	codec    codec[T]
	reader   *avro.Schema
	scratch  sync.Pool // of *[]byte: records rewritten to the current schema

	mu      sync.RWMutex
	writers map[int]writer    // by schema id
	unknown map[int]time.Time // schema ids that the registry did not know, and when it was asked
}

// writer is a foreign schema: how to read its records, or why that can never be.
type writer struct {
	resolution *avro.Resolution
	err        error
}

// NewSerde registers the current schema of T under <topic>-value and returns the topic's Serde.
func NewSerde[T Record](ctx context.Context, r Registry, topic string) (*Serde[T], error) {
	c := codecOf[T]()
	text := embeddedSchemas().current[c.record]
	reader, err := avro.Parse(text)
	if err != nil {
		return nil, fmt.Errorf("preparing the codec of %s: %w", topic, err)
	}
	id, err := r.Register(ctx, topic+"-value", text)
	if err != nil {
		return nil, err
	}
	if id < 0 || id > math.MaxInt32 {
		return nil, fmt.Errorf("preparing the codec of %s: the registry gave the schema id %d, which no frame can carry", topic, id)
	}
	return &Serde[T]{
		registry: r,
		id:       id,
		codec:    c,
		reader:   reader,
		scratch:  sync.Pool{New: func() any { return new([]byte) }},
		writers:  make(map[int]writer),
		unknown:  make(map[int]time.Time),
	}, nil
}

// Append appends the framed record.
func (s *Serde[T]) Append(dst []byte, rec *T) []byte {
	dst = append(dst, frameMagic)
	dst = binary.BigEndian.AppendUint32(dst, uint32(s.id))
	return s.codec.encode(dst, rec)
}

// Decode reads a framed record, whoever wrote it: what another version of the schema wrote is resolved to the current one,
// missing fields filled by their defaults. Errors for which IsMalformed is true come from the bytes and will come again;
// others come from the registry, or from ctx, and may pass.
func (s *Serde[T]) Decode(ctx context.Context, framed []byte) (T, error) {
	var none T
	if len(framed) < frameBytes || framed[0] != frameMagic {
		return none, malformed("decoding %s: the record does not begin with a zero byte and four bytes of schema id", s.codec.record)
	}
	id, body := binary.BigEndian.Uint32(framed[1:]), framed[frameBytes:]
	if id == uint32(s.id) {
		return s.codec.decode(body)
	}
	if id > math.MaxInt32 {
		return none, malformed("decoding %s: schema id %d is none that a registry gives", s.codec.record, id)
	}
	w, err := s.writer(ctx, int(id))
	if err != nil {
		return none, fmt.Errorf("decoding %s: %w", s.codec.record, err)
	}
	return s.decodeForeign(w, body)
}

func (s *Serde[T]) decodeForeign(w writer, body []byte) (T, error) {
	buf := s.scratch.Get().(*[]byte)
	defer s.scratch.Put(buf)
	out, err := w.resolution.Append((*buf)[:0], body)
	if err != nil {
		var none T
		return none, fmt.Errorf("decoding %s: %w", s.codec.record, err)
	}
	if cap(out) <= maxScratch {
		*buf = out
	}
	return s.codec.decode(out)
}

// maxScratch bounds what is kept between records, so that one huge record does not hold its memory for ever.
const maxScratch = 64 << 10

// writer returns how to read the records of a foreign schema id. Two goroutines that meet a new id at once both ask; the answers
// are the same.
func (s *Serde[T]) writer(ctx context.Context, id int) (writer, error) {
	s.mu.RLock()
	w, known := s.writers[id]
	asked, unknown := s.unknown[id]
	s.mu.RUnlock()
	switch {
	case known:
		return w, w.err
	case unknown && time.Since(asked) < unknownFor:
		return writer{}, fmt.Errorf("schema id %d: %w", id, ErrUnknownSchema)
	}
	text, err := s.registry.Schema(ctx, id)
	if errors.Is(err, ErrUnknownSchema) {
		s.noteUnknown(id)
	}
	if err != nil {
		return writer{}, err
	}
	w = resolveWriter(text, s.reader)
	if w.err != nil {
		w.err = malformed("schema id %d: %w", id, w.err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.writers[id] = w
	return w, w.err
}

func (s *Serde[T]) noteUnknown(id int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.unknown) >= maxUnknown {
		clear(s.unknown)
	}
	s.unknown[id] = time.Now()
}

func resolveWriter(text string, reader *avro.Schema) writer {
	schema, err := avro.Parse(text)
	if err != nil {
		return writer{err: err}
	}
	return writer{resolution: avro.Resolve(schema, reader)}
}

// malformedError says that bytes can never be decoded, where no avro.Error says so already.
type malformedError struct{ error }

func (e malformedError) Unwrap() error { return errors.Unwrap(e.error) }

func malformed(format string, args ...any) error {
	return malformedError{fmt.Errorf(format, args...)}
}

// IsMalformed says whether err means that the bytes can never be decoded (a dead letter), as against a registry that is out of
// reach (worth a retry).
func IsMalformed(err error) bool {
	var bytes *avro.Error
	var frame malformedError
	return errors.As(err, &bytes) || errors.As(err, &frame) || errors.Is(err, ErrUnknownSchema)
}

// codec is the typed code of one record.
type codec[T Record] struct {
	record string // as in contracts
	encode func(dst []byte, rec *T) []byte
	decode func(src []byte) (T, error)
}

func codecOf[T Record]() codec[T] {
	var c any
	switch any(*new(T)).(type) {
	case Interaction:
		c = codec[Interaction]{"interaction", AppendInteraction, DecodeInteraction}
	case ItemChange:
		c = codec[ItemChange]{"item_change", AppendItemChange, DecodeItemChange}
	case RecommendationRequest:
		c = codec[RecommendationRequest]{"recommendation_request", AppendRecommendationRequest, DecodeRecommendationRequest}
	case RecommendationReply:
		c = codec[RecommendationReply]{"recommendation_reply", AppendRecommendationReply, DecodeRecommendationReply}
	case Recall:
		c = codec[Recall]{"recall", AppendRecall, DecodeRecall}
	}
	return c.(codec[T])
}
