package schemas

import (
	"math/rand/v2"
	"strconv"
	"testing"
	"time"

	"github.com/linkedin/goavro/v2"
	"github.com/stretchr/testify/require"
)

// goavro bounds no preallocation unless told to; the oracle is fed hostile bytes as well.
func init() {
	goavro.MaxBlockCount = 1 << 12
	goavro.MaxBlockSize = 1 << 20
}

// oracle reads and writes a record by goavro, through the map form that goavro speaks.
type oracle[T Record] struct {
	*goavro.Codec
	native func(*T) map[string]any // what goavro takes for the record
}

func newOracle[T Record](t testing.TB, native func(*T) map[string]any) oracle[T] {
	c, err := goavro.NewCodec(embeddedSchemas().current[codecOf[T]().record])
	require.NoError(t, err)
	return oracle[T]{c, native}
}

func interactionNative(e *Interaction) map[string]any {
	return map[string]any{
		"event_id": e.EventID, "user_id": e.UserID, "item_id": e.ItemID, "type": e.Type.String(),
		"value": optional("double", e.Value), "occurred_at": e.OccurredAt,
		"request_id": optionalText(e.RequestID), "surface": optionalText(e.Surface), "context": anyMap(e.Context),
	}
}

func itemNative(c *ItemChange) map[string]any {
	return map[string]any{
		"item_id": c.ItemID, "op": c.Op.String(), "version": c.Version, "occurred_at": c.OccurredAt,
		"title": c.Title, "description": c.Description, "categories": anyList(c.Categories), "tags": anyList(c.Tags),
		"brand": c.Brand, "price": optional("double", c.Price), "currency": c.Currency, "available": c.Available,
		"regions": anyList(c.Regions), "published_at": optionalTime(c.PublishedAt), "min_age": c.MinAge,
		"attributes": anyMap(c.Attributes),
	}
}

func requestNative(q *RecommendationRequest) map[string]any {
	recent := make([]any, len(q.Recent))
	for i, e := range q.Recent {
		recent[i] = map[string]any{"item_id": e.ItemID, "type": e.Type.String(), "occurred_at": e.OccurredAt}
	}
	return map[string]any{
		"request_id": q.RequestID, "user_id": q.UserID, "count": q.Count, "surface": q.Surface,
		"seed_item_id": optionalText(q.SeedItemID), "filter": optionalText(q.Filter),
		"exclude_item_ids": anyList(q.ExcludeItemIDs), "include_seen": q.IncludeSeen, "region": optionalText(q.Region),
		"age": optional("int", q.Age), "recent": recent, "seen_through": positionNative(q.SeenThrough),
		"deadline": optionalTime(q.Deadline), "explain": q.Explain, "variant": optionalText(q.Variant),
		"query": optionalText(q.Query),
	}
}

func replyNative(p *RecommendationReply) map[string]any {
	items := make([]any, len(p.Items))
	for i, it := range p.Items {
		items[i] = map[string]any{"item_id": it.ItemID, "score": it.Score, "source": it.Source, "reasons": anyList(it.Reasons)}
	}
	waterfall := make([]any, len(p.Waterfall))
	for i, s := range p.Waterfall {
		waterfall[i] = map[string]any{"stage": s.Stage, "in": s.In, "out": s.Out}
	}
	timings := make([]any, len(p.Timings))
	for i, s := range p.Timings {
		timings[i] = map[string]any{"stage": s.Stage, "micros": s.Micros}
	}
	degraded := make([]any, len(p.Degraded))
	for i, d := range p.Degraded {
		degraded[i] = string(d)
	}
	f := &p.Freshness
	return map[string]any{
		"request_id": p.RequestID, "user_id": p.UserID, "status": p.Status.String(), "error": optionalText(p.Error),
		"items": items, "waterfall": waterfall, "fallback": optionalText(p.Fallback), "timings": timings, "degraded": degraded,
		"freshness": map[string]any{
			"model_version": f.ModelVersion, "index_version": f.IndexVersion, "profile": positionNative(f.Profile),
			"profile_age_millis": f.ProfileAgeMillis, "seen_through_satisfied": optional("boolean", f.SeenThroughSatisfied),
		},
	}
}

func recallNative(r *Recall) map[string]any {
	return map[string]any{
		"model_version": r.ModelVersion, "window_start": r.WindowStart, "window_end": r.WindowEnd, "segment": r.Segment, "k": r.K,
		"sample_share": r.SampleShare, "events": r.Events, "unlisted": r.Unlisted,
		"embedding_hits": r.EmbeddingHits, "embedding_recall": optional("double", r.EmbeddingRecall),
		"embedding_low": optional("double", r.EmbeddingLow), "embedding_high": optional("double", r.EmbeddingHigh),
		"paged": r.Paged, "page_hits": r.PageHits, "page_recall": optional("double", r.PageRecall),
		"page_low": optional("double", r.PageLow), "page_high": optional("double", r.PageHigh),
	}
}

func positionNative(p *Position) any {
	if p == nil {
		return nil
	}
	return goavro.Union("freshet.v1.Position", map[string]any{"partition": p.Partition, "offset": p.Offset})
}

func optional[V any](name string, v *V) any {
	if v == nil {
		return nil
	}
	return goavro.Union(name, *v)
}

func optionalText(s string) any {
	if s == "" {
		return nil
	}
	return goavro.Union("string", s)
}

func optionalTime(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return goavro.Union("long.timestamp-millis", t)
}

func anyList(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}

func anyMap(m map[string]string) map[string]any {
	out := make(map[string]any, len(m))
	for key, value := range m {
		out[key] = value
	}
	return out
}

// generator makes random records. Maps get at most one entry, since goavro writes their entries in random order.
type generator struct{ *rand.Rand }

func (g generator) text() string {
	alphabet := []string{"", "a", "u-17", "Ærø", "日本", "\x00", "it's", "\"quoted\"", "🚲",
		"long " + strconv.FormatUint(g.Uint64(), 36)}
	return alphabet[g.IntN(len(alphabet))]
}

func (g generator) time() time.Time {
	return time.UnixMilli(g.Int64N(4e12) - 1e12).UTC()
}

func (g generator) optionalTime() time.Time {
	if g.IntN(3) == 0 {
		return time.Time{}
	}
	return g.time()
}

func (g generator) double() *float64 {
	if g.IntN(3) == 0 {
		return nil
	}
	v := g.NormFloat64() * 1e6
	return &v
}

func (g generator) texts() []string { return listOf(g, g.text) }

func (g generator) textMap() map[string]string {
	if g.IntN(2) == 0 {
		return nil
	}
	return map[string]string{g.text(): g.text()}
}

func listOf[T any](g generator, element func() T) []T {
	var out []T
	for range g.IntN(4) {
		out = append(out, element())
	}
	return out
}

func (g generator) interaction() Interaction {
	return Interaction{
		EventID: g.text(), UserID: g.text(), ItemID: g.text(), Type: InteractionType(g.IntN(len(interactionTypes))),
		Value: g.double(), OccurredAt: g.time(), RequestID: g.text(), Surface: g.text(), Context: g.textMap(),
	}
}

func (g generator) item() ItemChange {
	return ItemChange{
		ItemID: g.text(), Op: ItemOp(g.IntN(len(itemOps))), Version: g.Int64() - g.Int64(), OccurredAt: g.time(),
		Title: g.text(), Description: g.text(), Categories: g.texts(), Tags: g.texts(), Brand: g.text(), Price: g.double(),
		Currency: g.text(), Available: g.IntN(2) == 0, Regions: g.texts(), PublishedAt: g.optionalTime(),
		MinAge: int32(g.Uint32()), Attributes: g.textMap(),
	}
}

func (g generator) position() *Position {
	if g.IntN(2) == 0 {
		return nil
	}
	return &Position{Partition: int32(g.Uint32()), Offset: int64(g.Uint64())}
}

func (g generator) request() RecommendationRequest {
	q := RecommendationRequest{
		RequestID: g.text(), UserID: g.text(), Count: int32(g.Uint32()), Surface: g.text(), SeedItemID: g.text(), Filter: g.text(),
		ExcludeItemIDs: g.texts(), IncludeSeen: g.IntN(2) == 0, Region: g.text(),
		Recent: listOf(g, func() RecentEvent {
			return RecentEvent{ItemID: g.text(), Type: InteractionType(g.IntN(len(interactionTypes))), OccurredAt: g.time()}
		}),
		SeenThrough: g.position(), Deadline: g.optionalTime(), Explain: g.IntN(2) == 0, Variant: g.text(),
		Query: g.text(),
	}
	if g.IntN(2) == 0 {
		age := int32(g.IntN(100))
		q.Age = &age
	}
	return q
}

func (g generator) reply() RecommendationReply {
	p := RecommendationReply{
		RequestID: g.text(), UserID: g.text(), Status: ReplyStatus(g.IntN(len(replyStatuses))), Error: g.text(),
		Items: listOf(g, func() RecommendedItem {
			return RecommendedItem{ItemID: g.text(), Score: g.Float32(), Source: g.text(), Reasons: g.texts()}
		}),
		Freshness: Freshness{
			ModelVersion: g.text(), IndexVersion: g.text(), Profile: g.position(), ProfileAgeMillis: g.Int64(),
		},
		Waterfall: listOf(g, func() WaterfallStep {
			return WaterfallStep{Stage: g.text(), In: int32(g.Uint32()), Out: int32(g.Uint32())}
		}),
		Fallback: g.text(),
		Timings:  listOf(g, func() StageTiming { return StageTiming{Stage: g.text(), Micros: g.Int64()} }),
		Degraded: listOf(g, func() Degradation { return Degradation(g.text()) }),
	}
	if g.IntN(2) == 0 {
		v := g.IntN(2) == 0
		p.Freshness.SeenThroughSatisfied = &v
	}
	return p
}

func (g generator) recall() Recall {
	return Recall{
		ModelVersion: g.text(), WindowStart: g.time(), WindowEnd: g.time(), Segment: g.text(), K: int32(g.Uint32()),
		SampleShare: g.Float64(), Events: g.Int64(), Unlisted: g.Int64(),
		EmbeddingHits: g.Int64(), EmbeddingRecall: g.double(), EmbeddingLow: g.double(), EmbeddingHigh: g.double(),
		Paged: g.Int64(), PageHits: g.Int64(), PageRecall: g.double(), PageLow: g.double(), PageHigh: g.double(),
	}
}
