package recommender

import (
	"fmt"
	"slices"

	"github.com/freshet/freshet/schemas"
)

// explain sees to it that every item of a page that was asked to explain itself has a reason: besides the ranker's, the
// newest item of the user's history that is most like it, or at least its place among the neighbours.
func (b *batch) explain(j *job) {
	if !j.request.Explain {
		return
	}
	place := make(map[string]int, len(j.hits))
	for i, h := range j.hits {
		place[h.ItemID] = i + 1
	}
	for i := range j.page {
		c := &j.page[i]
		if like := b.mostLike(j, c.Item); like != nil && (j.request.Query == "" || j.personal) {
			c.Reasons = append(c.Reasons, "like "+like.Title)
		}
		if at := place[c.Item.ItemID]; at > 0 && len(c.Reasons) == 0 {
			c.Reasons = []string{fmt.Sprintf("no. %d of the %d nearest to %s", at, len(j.hits), j.sought())}
		}
	}
}

// sought names what the vector stands for.
func (j *job) sought() string {
	switch {
	case j.request.Query == "":
		return "your taste"
	case j.personal:
		return "your search and your taste"
	default:
		return "your search"
	}
}

// mostLike is the item of the newest history that has most in common with item; nil where none shares a category or brand.
func (b *batch) mostLike(j *job, item *schemas.ItemChange) *schemas.ItemChange {
	var best *schemas.ItemChange
	most := 0
	for _, e := range j.newestHistory() {
		past := b.record(e.ItemID)
		if past == nil || past.Title == "" {
			continue
		}
		if n := likeness(&past.ItemChange, item); n > most {
			best, most = &past.ItemChange, n
		}
	}
	return best
}

// likeness counts categories and brand in common, and tags only besides those: a tag alone ("gift") makes nothing alike.
func likeness(a, b *schemas.ItemChange) int {
	n := inCommon(a.Categories, b.Categories)
	if a.Brand != "" && a.Brand == b.Brand {
		n++
	}
	if n == 0 {
		return 0
	}
	return n + inCommon(a.Tags, b.Tags)
}

func inCommon(a, b []string) int {
	n := 0
	for _, s := range a {
		if slices.Contains(b, s) {
			n++
		}
	}
	return n
}

// shelfReason explains an item that fills a page.
func shelfReason(source string) []string { return []string{source + " now"} }
