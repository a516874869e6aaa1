package schemas

import (
	"fmt"

	"github.com/freshet/freshet/schemas/internal/avro"
)

// AppendRecall appends the Avro body of r, without framing.
func AppendRecall(dst []byte, r *Recall) []byte {
	dst = avro.AppendString(dst, r.ModelVersion)
	dst = avro.AppendTime(dst, r.WindowStart)
	dst = avro.AppendTime(dst, r.WindowEnd)
	dst = avro.AppendString(dst, r.Segment)
	dst = avro.AppendLong(dst, int64(r.K))
	dst = avro.AppendDouble(dst, r.SampleShare)
	dst = avro.AppendLong(dst, r.Events)
	dst = avro.AppendLong(dst, r.Unlisted)
	dst = avro.AppendLong(dst, r.EmbeddingHits)
	dst = avro.AppendOptionalDouble(dst, r.EmbeddingRecall)
	dst = avro.AppendOptionalDouble(dst, r.EmbeddingLow)
	dst = avro.AppendOptionalDouble(dst, r.EmbeddingHigh)
	dst = avro.AppendLong(dst, r.Paged)
	dst = avro.AppendLong(dst, r.PageHits)
	dst = avro.AppendOptionalDouble(dst, r.PageRecall)
	dst = avro.AppendOptionalDouble(dst, r.PageLow)
	return avro.AppendOptionalDouble(dst, r.PageHigh)
}

// DecodeRecall reads an Avro body written by the current schema. Its strings share one copy of src.
func DecodeRecall(src []byte) (Recall, error) {
	from := avro.NewReader(src)
	r := Recall{
		ModelVersion:    from.Text(),
		WindowStart:     from.Time(),
		WindowEnd:       from.Time(),
		Segment:         from.Text(),
		K:               from.Int(),
		SampleShare:     from.Double(),
		Events:          from.Long(),
		Unlisted:        from.Long(),
		EmbeddingHits:   from.Long(),
		EmbeddingRecall: from.OptionalDouble(),
		EmbeddingLow:    from.OptionalDouble(),
		EmbeddingHigh:   from.OptionalDouble(),
		Paged:           from.Long(),
		PageHits:        from.Long(),
		PageRecall:      from.OptionalDouble(),
		PageLow:         from.OptionalDouble(),
		PageHigh:        from.OptionalDouble(),
	}
	if err := from.Finish(); err != nil {
		return Recall{}, fmt.Errorf("decoding recall: %w", err)
	}
	return r, nil
}
