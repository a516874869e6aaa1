package towers_test

import (
	"fmt"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

// The state of a user is moved by one event at a time; reading the whole history again gives the same embedding, to the bit.
func Example() {
	catalogue := []towers.ItemFeatures{{ItemID: "tea", Title: "Green tea"}, {ItemID: "jam", Title: "Plum jam"}}
	items, users := towertest.Towers(towertest.Shape{Dim: 8}, catalogue) // LoadItemTower and LoadUserTower read a bundle's
	vectors := make([][]float32, len(catalogue))
	history := make([]towers.Event, len(catalogue))
	for i := range catalogue {
		vectors[i] = make([]float32, items.Dim())
		items.Encode(vectors[i], &catalogue[i])
		history[i] = towers.Event{Item: vectors[i], Kind: schemas.View}
	}

	state, embedding := make([]float32, users.StateSize()), make([]float32, users.Dim())
	for _, event := range history {
		users.Advance(state, embedding, event)
	}
	again := make([]float32, users.Dim())
	users.Encode(make([]float32, users.StateSize()), again, history)
	same := true
	for i := range again {
		same = same && again[i] == embedding[i]
	}
	fmt.Println(len(embedding), "numbers, the same both ways:", same)

	// Output:
	// 8 numbers, the same both ways: true
}
