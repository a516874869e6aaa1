package demo

import (
	"context"
	"maps"
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/terminal"
)

// shownFound is how many of a search's items the story shows.
const shownFound = 5

// tellSearch is step 7: a category's name, misspelt, asked for by the story's user and by a stranger.
func (d *Demo) tellSearch(ctx context.Context) error {
	category := d.searchable()
	text := misspelt(category)
	mine, others := d.heroRequest(), d.heroRequest()
	others.UserID = "somebody-else"
	var rows []terminal.Row
	for place := range shownFound {
		rows = append(rows, terminal.Row{place + 1, "", ""})
	}
	counts := [2]int{}
	for column, q := range []*schemas.RecommendationRequest{mine, others} {
		q.Query = text
		page, err := d.client.Recommend(ctx, q)
		if err != nil {
			return err
		}
		counts[column] = d.countOf(page.Items, category)
		for i, it := range page.Items[:min(len(page.Items), shownFound)] {
			rows[i][column+1] = clip(d.world.title(it.ItemID), titleWidth)
		}
	}
	d.note("Search for %q:", text)
	d.table(terminal.Row{"#", "for the same user", "for a stranger"}, rows)
	d.check(counts[0] > pageLength*6/10 && counts[1] > pageLength*6/10,
		"most of it is %s: %d of %d items for the user, %d for a stranger", category, counts[0], pageLength, counts[1])
	return nil
}

// searchable is the category of one long word of which as much may be shown to everybody as of others: at least half as many items
// as of the largest.
func (d *Demo) searchable() string {
	items := map[string]int{}
	for i := range d.world.data.Items {
		it := &d.world.data.Items[i]
		for _, c := range it.Categories {
			if it.Available && len(it.Regions) == 0 && it.MinAge == 0 {
				items[c]++
			}
		}
	}
	best, largest := "", slices.Max(slices.Collect(maps.Values(items)))
	for c, n := range items {
		longer := utf8.RuneCountInString(c) - utf8.RuneCountInString(best)
		if 2*n >= largest && !strings.ContainsAny(c, " -") && (longer > 0 || longer == 0 && c < best) {
			best = c
		}
	}
	return best
}

// misspelt swaps two letters in the middle of a word.
func misspelt(word string) string {
	letters := []rune(strings.ToLower(word))
	if at := len(letters) / 2; at+1 < len(letters) {
		letters[at], letters[at+1] = letters[at+1], letters[at]
	}
	return string(letters)
}
