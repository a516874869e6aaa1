package demo

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"slices"
	"time"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/rules"
	"github.com/freshet/freshet/services/terminal"
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
	rows := make([]terminal.Row, len(reply.Waterfall))
	for i, s := range reply.Waterfall {
		rows[i] = terminal.Row{s.Stage, s.In, s.Out, s.Out - s.In}
	}
	d.table(terminal.Row{"stage or rule", "in", "out", "removed"}, rows)
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
	d.check(unavailable == 0 && removed(&reply, "index:available") > 0,
		"no unavailable item on it; the index kept %d back for rule available", removed(&reply, "index:available"))
	d.check(elsewhere == 0 && removed(&reply, "index:region") > 0,
		"no item of another region on it; the index kept %d back for rule region", removed(&reply, "index:region"))

	if err := d.tellNewRule(ctx); err != nil {
		return err
	}

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

// The rule that step 4 changes under the running system: from a cap that spreads a category over the page to one that
// removes what is too much.
const (
	capRule   = "category_cap"
	softCap   = "max: 5\n    window: 10"
	atMost    = 2
	strictCap = "max: 2"
)

// tellNewRule changes the rules file and, once its effect was seen, changes it back.
func (d *Demo) tellNewRule(ctx context.Context) error {
	strict := bytes.Replace(rules.DefaultSource(), []byte(softCap), []byte(strictCap), 1)
	begin := time.Now()
	page, err := d.changeRules(ctx, strict, true)
	if err != nil {
		return err
	}
	most, of := d.commonest(page.Items)
	d.note("The rules file now says: at most %d of a category on a page. In force after %.1f s, without a restart.",
		atMost, time.Since(begin).Seconds())
	d.check(most <= atMost && len(page.Items) > 0, "at most %d of a category on the page (here: %d of %s); rule %s removed %d",
		atMost, most, of, capRule, removed(&page, capRule))
	_, err = d.changeRules(ctx, rules.DefaultSource(), false)
	return err
}

// changeRules writes the rules file and returns the first reply whose waterfall shows whether the cap removes items.
func (d *Demo) changeRules(ctx context.Context, text []byte, removes bool) (schemas.RecommendationReply, error) {
	var page schemas.RecommendationReply
	if err := os.WriteFile(d.settings.RulesFile, text, 0o600); err != nil {
		return page, fmt.Errorf("changing the rules: %w", err)
	}
	err := d.askUntil(ctx, d.heroRequest(), func(r *schemas.RecommendationReply) bool {
		page = *r
		return removed(r, capRule) > 0 == removes
	})
	if err != nil {
		return page, fmt.Errorf("waiting for the changed rules: %w", err)
	}
	return page, nil
}

// commonest is the category that occurs most on a page.
func (d *Demo) commonest(items []schemas.RecommendedItem) (int, string) {
	counts := map[string]int{}
	best := ""
	for _, it := range items {
		for _, c := range d.world.categories(it.ItemID) {
			counts[c]++
			if counts[c] > counts[best] {
				best = c
			}
		}
	}
	return counts[best], best
}
