package schemas

import (
	"fmt"

	"github.com/freshet/freshet/schemas/internal/avro"
)

// AppendInteraction appends the Avro body of e, without framing. A type that the schema does not have is written as unknown.
func AppendInteraction(dst []byte, e *Interaction) []byte {
	dst = avro.AppendString(dst, e.EventID)
	dst = avro.AppendString(dst, e.UserID)
	dst = avro.AppendString(dst, e.ItemID)
	dst = appendSymbol(dst, e.Type, interactionTypes)
	dst = avro.AppendOptionalDouble(dst, e.Value)
	dst = avro.AppendTime(dst, e.OccurredAt)
	dst = avro.AppendOptionalString(dst, e.RequestID)
	dst = avro.AppendOptionalString(dst, e.Surface)
	return avro.AppendStringMap(dst, e.Context)
}

// DecodeInteraction reads an Avro body written by the current schema. Its strings share one copy of src.
func DecodeInteraction(src []byte) (Interaction, error) {
	r := avro.NewReader(src)
	e := Interaction{
		EventID:    r.Text(),
		UserID:     r.Text(),
		ItemID:     r.Text(),
		Type:       InteractionType(r.Index(len(interactionTypes))),
		Value:      r.OptionalDouble(),
		OccurredAt: r.Time(),
		RequestID:  r.OptionalString(),
		Surface:    r.OptionalString(),
		Context:    r.StringMap(),
	}
	if err := r.Finish(); err != nil {
		return Interaction{}, fmt.Errorf("decoding interaction: %w", err)
	}
	return e, nil
}
