package schemas

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"strings"
	"sync"

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

	maxSchemaID = 1<<31 - 1 // the registry's ids are Java's ints
)

// Serde writes and reads the records of one topic in Confluent's wire format. It is safe for concurrent use.
type Serde[T Record] struct {
	id      int // of the current schema
	codec   codec[T]
	reader  *avro.Schema
	scratch sync.Pool // of *[]byte: records rewritten to the current schema
	writers *readers[writer]
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
	if id < 0 || id > maxSchemaID {
		return nil, fmt.Errorf("preparing the codec of %s: the registry gave the schema id %d, which no frame can carry", topic, id)
	}
	return &Serde[T]{
		id:      id,
		codec:   c,
		reader:  reader,
		scratch: sync.Pool{New: func() any { return new([]byte) }},
		writers: newReaders(r, func(id SchemaID, schema Schema) writer { return resolveWriter(id, schema, reader) }),
	}, nil
}

// Append appends the framed record.
func (s *Serde[T]) Append(dst []byte, rec *T) []byte {
	dst = append(dst, frameMagic)
	dst = binary.BigEndian.AppendUint32(dst, uint32(s.id))
	return s.codec.encode(dst, rec)
}

// Decode reads a record, whoever wrote it: what another version of the schema wrote is resolved to the current one, missing fields
// filled by their defaults. The schema's id stands in Confluent's frame or in headers, which may be nil. Errors for which IsMalformed
// is true come from the record and will come again; others come from the registry, or from ctx, and may pass.
func (s *Serde[T]) Decode(ctx context.Context, value []byte, headers Headers) (T, error) {
	if len(value) >= frameBytes && value[0] == frameMagic && binary.BigEndian.Uint32(value[1:]) == uint32(s.id) {
		record, err := s.codec.decode(value[frameBytes:])
		if err != nil {
			return record, explain(err, misframe(value))
		}
		return record, nil
	}
	var none T
	at, problem := locate(value, headers, func() bool { _, err := s.codec.decode(value); return err == nil })
	if problem != "" {
		return none, malformed("decoding %s: %s", s.codec.record, problem)
	}
	record, err := s.decodeForeign(ctx, at)
	if IsMalformed(err) {
		return none, explain(fmt.Errorf("decoding %s: %w", s.codec.record, err), misframe(value))
	}
	if err != nil {
		return none, fmt.Errorf("decoding %s: %w", s.codec.record, err)
	}
	return record, nil
}

// explain adds what a value was recognised as to the error of reading it.
func explain(err error, recognised string) error {
	if recognised == "" {
		return err
	}
	return fmt.Errorf("%w; %s", err, recognised)
}

func (s *Serde[T]) decodeForeign(ctx context.Context, at located) (record T, err error) {
	w, err := s.writers.of(ctx, at.id)
	if err == nil {
		err = w.err
	}
	if err != nil {
		return record, err
	}
	buf := s.scratch.Get().(*[]byte)
	defer s.scratch.Put(buf)
	out, unknown, err := w.resolution.Append((*buf)[:0], at.body)
	if err != nil {
		return record, err
	}
	if unknown != nil && s.codec.strict {
		return record, malformed("%s: %w", at.id, s.unknownSymbol(unknown))
	}
	if cap(out) <= maxScratch {
		*buf = out
	}
	return s.codec.decode(out)
}

// unknownSymbol names what would otherwise be refused as "unknown", which its producer never wrote.
func (s *Serde[T]) unknownSymbol(u *avro.UnknownSymbol) error {
	field := strings.TrimPrefix(u.Path, s.reader.Name+".")
	return invalid(field, Quote(u.Symbol), oneOf(u.Known)+", or upgrade Freshet to a version that knows it")
}

// maxScratch bounds what is kept between records, so that one huge record does not hold its memory for ever.
const maxScratch = 64 << 10

func resolveWriter(id SchemaID, schema Schema, reader *avro.Schema) writer {
	parsed, err := avro.Parse(schema.Text, schema.Named...)
	if err != nil {
		return writer{err: malformed("%s: %w", id, err)}
	}
	return writer{resolution: avro.Resolve(parsed, reader)}
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
	strict bool   // a record with a symbol that nobody here knows means nothing
	encode func(dst []byte, rec *T) []byte
	decode func(src []byte) (T, error)
}

func codecOf[T Record]() codec[T] {
	var c any
	switch any(*new(T)).(type) {
	case Interaction:
		c = codec[Interaction]{"interaction", true, AppendInteraction, DecodeInteraction}
	case ItemChange:
		c = codec[ItemChange]{"item_change", true, AppendItemChange, DecodeItemChange}
	case RecommendationRequest:
		c = codec[RecommendationRequest]{"recommendation_request", true, AppendRecommendationRequest, DecodeRecommendationRequest}
	case RecommendationReply:
		c = codec[RecommendationReply]{"recommendation_reply", false, AppendRecommendationReply, DecodeRecommendationReply}
	case Recall:
		c = codec[Recall]{"recall", false, AppendRecall, DecodeRecall}
	}
	return c.(codec[T])
}
