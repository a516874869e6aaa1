package schemas

import (
	"fmt"

	"github.com/freshet/freshet/schemas/internal/avro"
)

// AppendRecommendationReply appends the Avro body of p, without framing.
func AppendRecommendationReply(dst []byte, p *RecommendationReply) []byte {
	dst = avro.AppendString(dst, p.RequestID)
	dst = avro.AppendString(dst, p.UserID)
	dst = appendSymbol(dst, p.Status, replyStatuses)
	dst = avro.AppendOptionalString(dst, p.Error)
	dst = appendList(dst, p.Items, appendRecommendedItem)
	dst = appendFreshness(dst, &p.Freshness)
	dst = appendList(dst, p.Waterfall, appendWaterfallStep)
	dst = avro.AppendOptionalString(dst, p.Fallback)
	dst = appendList(dst, p.Timings, appendStageTiming)
	return appendList(dst, p.Degraded, appendDegradation)
}

func appendRecommendedItem(dst []byte, i *RecommendedItem) []byte {
	dst = avro.AppendString(dst, i.ItemID)
	dst = avro.AppendFloat(dst, i.Score)
	dst = avro.AppendString(dst, i.Source)
	return avro.AppendStrings(dst, i.Reasons)
}

func appendFreshness(dst []byte, f *Freshness) []byte {
	dst = avro.AppendString(dst, f.ModelVersion)
	dst = avro.AppendString(dst, f.IndexVersion)
	dst = appendOptionalPosition(dst, f.Profile)
	dst = avro.AppendLong(dst, f.ProfileAgeMillis)
	dst = avro.AppendOptional(dst, f.SeenThroughSatisfied != nil)
	if f.SeenThroughSatisfied != nil {
		dst = avro.AppendBool(dst, *f.SeenThroughSatisfied)
	}
	return dst
}

func appendWaterfallStep(dst []byte, s *WaterfallStep) []byte {
	dst = avro.AppendString(dst, s.Stage)
	dst = avro.AppendLong(dst, int64(s.In))
	return avro.AppendLong(dst, int64(s.Out))
}

func appendStageTiming(dst []byte, t *StageTiming) []byte {
	return avro.AppendLong(avro.AppendString(dst, t.Stage), t.Micros)
}

func appendDegradation(dst []byte, d *Degradation) []byte { return avro.AppendString(dst, string(*d)) }

// DecodeRecommendationReply reads an Avro body written by the current schema. Its strings share one copy of src.
func DecodeRecommendationReply(src []byte) (RecommendationReply, error) {
	r := avro.NewReader(src)
	p := RecommendationReply{
		RequestID: r.Text(),
		UserID:    r.Text(),
		Status:    ReplyStatus(r.Index(len(replyStatuses))),
		Error:     r.OptionalString(),
		Items:     avro.List(r, recommendedItemBytes, readRecommendedItem),
		Freshness: Freshness{
			ModelVersion:         r.Text(),
			IndexVersion:         r.Text(),
			Profile:              readOptionalPosition(r),
			ProfileAgeMillis:     r.Long(),
			SeenThroughSatisfied: readOptionalBool(r),
		},
		Waterfall: avro.List(r, waterfallStepBytes, readWaterfallStep),
		Fallback:  r.OptionalString(),
		Timings:   avro.List(r, stageTimingBytes, readStageTiming),
		Degraded:  avro.List(r, degradationBytes, readDegradation),
	}
	if err := r.Finish(); err != nil {
		return RecommendationReply{}, fmt.Errorf("decoding recommendation reply: %w", err)
	}
	return p, nil
}

// The least that an element takes: one byte for each field, four for a float.
const (
	recommendedItemBytes = 7
	waterfallStepBytes   = 3
	stageTimingBytes     = 2
	degradationBytes     = 1
)

func readRecommendedItem(r *avro.Reader) RecommendedItem {
	return RecommendedItem{ItemID: r.Text(), Score: r.Float(), Source: r.Text(), Reasons: r.Strings()}
}

func readWaterfallStep(r *avro.Reader) WaterfallStep {
	return WaterfallStep{Stage: r.Text(), In: r.Int(), Out: r.Int()}
}

func readStageTiming(r *avro.Reader) StageTiming {
	return StageTiming{Stage: r.Text(), Micros: r.Long()}
}

func readDegradation(r *avro.Reader) Degradation { return Degradation(r.Text()) }

func readOptionalBool(r *avro.Reader) *bool {
	if !r.Optional() {
		return nil
	}
	v := r.Bool()
	return &v
}
