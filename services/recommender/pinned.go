package recommender

import (
	"slices"

	"github.com/freshet/freshet/services/ranking"
	"github.com/freshet/freshet/services/rules"
)

// stepPinned is the waterfall step of the items that a rule pins and retrieval did not find.
const stepPinned = "pinned"

// addPinned puts the items that rules pin among the candidates, since a pin only places what is there. What is filtered
// out of all candidates is filtered out of these as well.
func (b *batch) addPinned(j *job, set *rules.Set) {
	found := len(j.ranked)
	for _, id := range set.Pinned(&j.rules) {
		item := eligible(b.record(id))
		is := func(c ranking.Candidate) bool { return c.Item.ItemID == id }
		if item == nil || slices.ContainsFunc(j.ranked, is) {
			continue
		}
		j.ranked = append(j.ranked, ranking.Candidate{Item: item, Retrieval: ranking.NotRetrieved, Source: ranking.SourcePinned})
	}
	j.pinned = len(j.ranked) - found
}
