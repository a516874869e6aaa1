package rules_test

import (
	"fmt"
	"time"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/ranking"
	"github.com/freshet/freshet/services/rules"
)

// A rules file is read once, and applied to the ranked candidates of each request.
func Example() {
	set, err := rules.Parse([]byte(`
rules:
  - {kind: exclude_seen}
  - {kind: filter, name: in_budget, keep: item.price < 20}
  - {kind: cap, name: one_a_brand, by: brand, max: 1}
`))
	if err != nil {
		fmt.Println(err)
		return
	}
	item := func(id, brand string, price, score float64) ranking.Candidate {
		return ranking.Candidate{
			Item:  &schemas.ItemChange{ItemID: id, Op: schemas.UpsertItem, Brand: brand, Price: &price, Available: true},
			Score: float32(score),
		}
	}
	request := &rules.Request{
		UserID: "u-42", Count: 3, Now: time.UnixMilli(1769860800000), Explain: true,
		Seen: func(id string) bool { return id == "seen" },
	}
	page, steps := set.Apply(request, []ranking.Candidate{
		item("seen", "Alp", 5, 4), item("dear", "Alp", 50, 3), item("tea", "Alp", 5, 2), item("jam", "Alp", 6, 1), item("rice", "Bay", 7, 0.5),
	})
	for _, c := range page {
		fmt.Println(c.Item.ItemID)
	}
	for _, s := range steps {
		fmt.Println(s.Stage, s.In, s.Out)
	}

	_, err = rules.Parse([]byte("rules: [{kind: filter, name: cheap, keep: item.prize < 20}]"))
	fmt.Println(err)

	// Output:
	// tea
	// rice
	// exclude_seen 5 4
	// in_budget 4 3
	// exclude_listed 3 3
	// request_filter 3 3
	// one_a_brand 3 2
	// line 1, column 43: rule "cheap": keep, line 1, character 6: item has no field "prize": did you mean item.price?
}
