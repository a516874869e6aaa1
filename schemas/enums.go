package schemas

import (
	"fmt"

	"github.com/freshet/freshet/schemas/internal/avro"
)

// The symbols of the Avro enums, in their order; a test holds them to the .avsc files.
var (
	interactionTypes = []string{"unknown", "impression", "view", "click", "like", "dislike", "add_to_cart", "purchase", "rating",
		"complete", "hide"}
	itemOps       = []string{"unknown", "upsert", "delete"}
	replyStatuses = []string{"unknown", "ok", "degraded", "invalid_request", "deadline_exceeded", "unavailable", "internal"}
)

// String returns the symbol of the Avro enum, "add_to_cart" for example.
func (t InteractionType) String() string { return symbol(t, interactionTypes) }

// ParseInteractionType is the inverse of String; the error names the types.
func ParseInteractionType(s string) (InteractionType, error) {
	return parseSymbol[InteractionType]("type", s, interactionTypes)
}

// MarshalText writes the symbol, for JSON and YAML.
func (t InteractionType) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText reads a symbol.
func (t *InteractionType) UnmarshalText(text []byte) (err error) {
	*t, err = ParseInteractionType(string(text))
	return err
}

// String returns the symbol of the Avro enum: "upsert" or "delete".
func (o ItemOp) String() string { return symbol(o, itemOps) }

// ParseItemOp is the inverse of String; the error names the ops.
func ParseItemOp(s string) (ItemOp, error) { return parseSymbol[ItemOp]("op", s, itemOps) }

// MarshalText writes the symbol, for JSON and YAML.
func (o ItemOp) MarshalText() ([]byte, error) { return []byte(o.String()), nil }

// UnmarshalText reads a symbol.
func (o *ItemOp) UnmarshalText(text []byte) (err error) {
	*o, err = ParseItemOp(string(text))
	return err
}

// String returns the symbol of the Avro enum, "deadline_exceeded" for example.
func (s ReplyStatus) String() string { return symbol(s, replyStatuses) }

// ParseReplyStatus is the inverse of String; the error names the statuses.
func ParseReplyStatus(s string) (ReplyStatus, error) {
	return parseSymbol[ReplyStatus]("status", s, replyStatuses)
}

// MarshalText writes the symbol, for JSON and YAML.
func (s ReplyStatus) MarshalText() ([]byte, error) { return []byte(s.String()), nil }

// UnmarshalText reads a symbol.
func (s *ReplyStatus) UnmarshalText(text []byte) (err error) {
	*s, err = ParseReplyStatus(string(text))
	return err
}

type enum interface {
	InteractionType | ItemOp | ReplyStatus
}

// symbol names a value; one that no symbol stands for, which only a programming error makes, keeps its number visible.
func symbol[E enum](v E, symbols []string) string {
	if int(v) < len(symbols) {
		return symbols[v]
	}
	return fmt.Sprintf("unknown(%d)", v)
}

func parseSymbol[E enum](field, s string, symbols []string) (E, error) {
	for i, known := range symbols {
		if s == known {
			return E(i), nil
		}
	}
	return 0, invalid(field, Quote(s), oneOf(symbols))
}

// appendSymbol appends an enum's index; a value without a symbol would be a poison record, and is written as unknown.
func appendSymbol[E enum](dst []byte, v E, symbols []string) []byte {
	if int(v) >= len(symbols) {
		v = 0
	}
	return avro.AppendLong(dst, int64(v))
}

// appendList appends an Avro array as one block.
func appendList[T any](dst []byte, list []T, element func([]byte, *T) []byte) []byte {
	if len(list) > 0 {
		dst = avro.AppendLong(dst, int64(len(list)))
		for i := range list {
			dst = element(dst, &list[i])
		}
	}
	return append(dst, 0)
}
