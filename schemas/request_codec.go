package schemas

import (
	"fmt"

	"github.com/freshet/freshet/schemas/internal/avro"
)

// AppendRecommendationRequest appends the Avro body of q, without framing.
func AppendRecommendationRequest(dst []byte, q *RecommendationRequest) []byte {
	dst = avro.AppendString(dst, q.RequestID)
	dst = avro.AppendString(dst, q.UserID)
	dst = avro.AppendLong(dst, int64(q.Count))
	dst = avro.AppendString(dst, q.Surface)
	dst = avro.AppendOptionalString(dst, q.SeedItemID)
	dst = avro.AppendOptionalString(dst, q.Filter)
	dst = avro.AppendStrings(dst, q.ExcludeItemIDs)
	dst = avro.AppendBool(dst, q.IncludeSeen)
	dst = avro.AppendOptionalString(dst, q.Region)
	dst = avro.AppendOptional(dst, q.Age != nil)
	if q.Age != nil {
		dst = avro.AppendLong(dst, int64(*q.Age))
	}
	dst = appendList(dst, q.Recent, appendRecentEvent)
	dst = appendOptionalPosition(dst, q.SeenThrough)
	dst = avro.AppendOptionalTime(dst, q.Deadline)
	dst = avro.AppendBool(dst, q.Explain)
	dst = avro.AppendOptionalString(dst, q.Variant)
	return avro.AppendOptionalString(dst, q.Query)
}

func appendRecentEvent(dst []byte, e *RecentEvent) []byte {
	dst = avro.AppendString(dst, e.ItemID)
	dst = appendSymbol(dst, e.Type, interactionTypes)
	return avro.AppendTime(dst, e.OccurredAt)
}

func appendOptionalPosition(dst []byte, p *Position) []byte {
	dst = avro.AppendOptional(dst, p != nil)
	if p != nil {
		dst = avro.AppendLong(dst, int64(p.Partition))
		dst = avro.AppendLong(dst, p.Offset)
	}
	return dst
}

// DecodeRecommendationRequest reads an Avro body written by the current schema. Its strings share one copy of src.
func DecodeRecommendationRequest(src []byte) (RecommendationRequest, error) {
	r := avro.NewReader(src)
	q := RecommendationRequest{
		RequestID:      r.Text(),
		UserID:         r.Text(),
		Count:          r.Int(),
		Surface:        r.Text(),
		SeedItemID:     r.OptionalString(),
		Filter:         r.OptionalString(),
		ExcludeItemIDs: r.Strings(),
		IncludeSeen:    r.Bool(),
		Region:         r.OptionalString(),
		Age:            readOptionalInt(r),
		Recent:         avro.List(r, recentEventBytes, readRecentEvent),
		SeenThrough:    readOptionalPosition(r),
		Deadline:       r.OptionalTime(),
		Explain:        r.Bool(),
		Variant:        r.OptionalString(),
		Query:          r.OptionalString(),
	}
	if err := r.Finish(); err != nil {
		return RecommendationRequest{}, fmt.Errorf("decoding recommendation request: %w", err)
	}
	return q, nil
}

// recentEventBytes is the least that a RecentEvent takes: one byte for each field.
const recentEventBytes = 3

func readRecentEvent(r *avro.Reader) RecentEvent {
	return RecentEvent{
		ItemID:     r.Text(),
		Type:       InteractionType(r.Index(len(interactionTypes))),
		OccurredAt: r.Time(),
	}
}

func readOptionalInt(r *avro.Reader) *int32 {
	if !r.Optional() {
		return nil
	}
	v := r.Int()
	return &v
}

func readOptionalPosition(r *avro.Reader) *Position {
	if !r.Optional() {
		return nil
	}
	return &Position{Partition: r.Int(), Offset: r.Long()}
}
