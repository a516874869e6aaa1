package demo

import (
	"context"
	"fmt"
	"slices"
	"strings"

	"github.com/jedib0t/go-pretty/v6/table"

	"github.com/freshet/freshet/schemas"
)

// tellRules is step 4. A long page makes the rules work.
func (d *Demo) tellRules(ctx context.Context) error {
	const long = 30
	request := d.heroRequest()
	request.Count = long
	category, _ := d.world.favourite(d.world.histories[d.world.hero])
	reply, err := d.client.Recommend(ctx, request)
	if err != nil {
		return err
	}
	d.note("A page of %d for region %s, who removed what:", long, d.world.region)
	rows := make([]table.Row, len(reply.Waterfall))
	for i, s := range reply.Waterfall {
		rows[i] = table.Row{s.Stage, s.In, s.Out, s.Out - s.In}
	}
	d.table(table.Row{"stage or rule", "in", "out", "removed"}, rows)
	seen, unavailable, elsewhere := 0, 0, 0
	mine := d.world.histories[d.world.hero]
	for _, it := range reply.Items {
		i, known := d.world.place[it.ItemID]
		if !known {
			continue // the new item of step 3
		}
		item := &d.world.data.Items[i]
		if slices.Contains(mine, i) {
			seen++
		}
		if !item.Available {
			unavailable++
		}
		if len(item.Regions) > 0 && !slices.Contains(item.Regions, d.world.region) {
			elsewhere++
		}
	}
	d.check(len(reply.Items) == long, "the page is full: %d items", len(reply.Items))
	d.check(seen == 0, "none of the user's %d seen items on it; rule exclude_seen removed %d", len(mine), removed(&reply, "exclude_seen"))
	d.check(unavailable == 0, "no unavailable item on it")
	d.check(elsewhere == 0, "no item of another region on it")

	reply, err = d.client.Recommend(ctx, d.heroRequest())
	if err != nil {
		return err
	}
	most, of := d.commonest(reply.Items)
	d.check(most <= capPerCategory, "at most %d of a first category on a page of %d (here: %d of %s)", capPerCategory, pageLength, most, of)

	filtered := d.heroRequest()
	filtered.Filter = fmt.Sprintf("not (%q in item.categories)", category)
	reply, err = d.client.Recommend(ctx, filtered)
	if err != nil {
		return err
	}
	d.check(len(reply.Items) == pageLength && d.countOf(reply.Items, category) == 0,
		"a request's own filter %s: %d items, none of them %s", filtered.Filter, len(reply.Items), category)
	return nil
}

func removed(r *schemas.RecommendationReply, stage string) int32 {
	for _, s := range r.Waterfall {
		if s.Stage == stage {
			return s.In - s.Out
		}
	}
	return 0
}

// capPerCategory is what the built-in rule category_cap allows.
const capPerCategory = 4

// commonest is the first category that occurs most on a page.
func (d *Demo) commonest(items []schemas.RecommendedItem) (int, string) {
	counts := map[string]int{}
	best := ""
	for _, it := range items {
		if c := d.world.categories(it.ItemID); len(c) > 0 {
			counts[c[0]]++
			if counts[c[0]] > counts[best] {
				best = c[0]
			}
		}
	}
	return counts[best], strings.TrimSpace(best)
}
