package schemas

import (
	"strconv"
	"time"
)

// Recall says how often, within one window of broker time, the next interaction of a user was among the first K. Its Kafka key
// is Key.
type Recall struct {
	// ModelVersion names the model whose towers were asked.
	ModelVersion string `json:"model_version"`
	// WindowStart and WindowEnd bound the window, the end not included, by the broker's timestamps to the millisecond.
	WindowStart time.Time `json:"window_start"`
	WindowEnd   time.Time `json:"window_end"`
	// Segment is whose events were counted.
	Segment string `json:"segment"`
	// K is how many of the first places count as a hit.
	K int32 `json:"k"`
	// SampleShare is the share of all users that was looked at.
	SampleShare float64 `json:"sample_share"`
	// Events were asked for. Unlisted are those among them whose item no list could hold.
	Events   int64 `json:"events"`
	Unlisted int64 `json:"unlisted"`
	// Embedding is about the exact ranking of all items by the user's embedding, out of Events.
	EmbeddingHits   int64    `json:"embedding_hits"`
	EmbeddingRecall *float64 `json:"embedding_recall,omitempty"`
	EmbeddingLow    *float64 `json:"embedding_low,omitempty"`
	EmbeddingHigh   *float64 `json:"embedding_high,omitempty"`
	// Page is about the page that the user was shown, out of Paged: the events before which there was one.
	Paged      int64    `json:"paged"`
	PageHits   int64    `json:"page_hits"`
	PageRecall *float64 `json:"page_recall,omitempty"`
	PageLow    *float64 `json:"page_low,omitempty"`
	PageHigh   *float64 `json:"page_high,omitempty"`
}

// The segments of a Recall.
const (
	SegmentAll   = "all"
	SegmentKnown = "known"
	SegmentNew   = "new"
)

// Key is the Kafka key: what a row that is computed again must overwrite.
func (r *Recall) Key() string {
	return r.ModelVersion + "/" + r.WindowStart.UTC().Format(time.RFC3339) + "/" + r.Segment + "/" + strconv.Itoa(int(r.K))
}

// Recall checks that a row makes sense at the time now. The error is an *InvalidError for the first field that does not.
func (l Limits) Recall(r *Recall, now time.Time) error {
	c := checker{limits: l, now: now}
	c.id("model_version", r.ModelVersion)
	c.past("window_start", r.WindowStart)
	c.past("window_end", r.WindowEnd)
	if !r.WindowEnd.After(r.WindowStart) {
		c.refuse("window_end", showMoment(r.WindowEnd), "give a time after window_start")
	}
	switch r.Segment {
	case SegmentAll, SegmentKnown, SegmentNew:
	default:
		c.refuse("segment", Quote(r.Segment), "give one of all, known, new")
	}
	c.atLeast("k", int64(r.K), 1)
	c.share("sample_share", &r.SampleShare)
	if r.SampleShare == 0 {
		c.refuse("sample_share", "0", "give a share above 0")
	}
	c.part("events", r.Events, r.Events)
	c.part("unlisted", r.Unlisted, r.Events)
	c.part("embedding_hits", r.EmbeddingHits, r.Events)
	c.part("paged", r.Paged, r.Events)
	c.part("page_hits", r.PageHits, r.Paged)
	for _, s := range []struct {
		field string
		value *float64
	}{
		{"embedding_recall", r.EmbeddingRecall}, {"embedding_low", r.EmbeddingLow}, {"embedding_high", r.EmbeddingHigh},
		{"page_recall", r.PageRecall}, {"page_low", r.PageLow}, {"page_high", r.PageHigh},
	} {
		c.share(s.field, s.value)
	}
	return c.err
}

// part checks a count that is part of another.
func (c *checker) part(field string, n, of int64) {
	c.atLeast(field, n, 0)
	if n > of {
		c.refuse(field, strconv.FormatInt(n, 10), "give at most "+strconv.FormatInt(of, 10)+", which it is part of")
	}
}

// share checks a number from 0 to 1, where there is one.
func (c *checker) share(field string, v *float64) {
	if v != nil && !(*v >= 0 && *v <= 1) { // so that NaN is refused
		c.refuse(field, strconv.FormatFloat(*v, 'g', -1, 64), "give a number from 0 to 1")
	}
}
