package towers_test

import (
	"fmt"

	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/towers"
	"github.com/freshet/freshet/services/towers/towertest"
)

// The state of a user is moved by one act at a time; reading the whole history again gives the same embedding, to the bit.
func Example() {
	catalogue := []towers.ItemFeatures{{ItemID: "tea", Title: "Green tea"}, {ItemID: "jam", Title: "Plum jam"}}
	items, users := towertest.Towers(towertest.Shape{Dim: 8}, catalogue) // LoadItemTower and LoadUserTower read a bundle's
	vectors := make([][]float32, len(catalogue))
	history := make([]towers.Act, len(catalogue))
	for i := range catalogue {
		vectors[i] = make([]float32, items.Dim())
		items.Encode(vectors[i], &catalogue[i])
		history[i] = towers.Act{Item: vectors[i], Kind: schemas.View, At: 1000 * int64(i)}
	}

	var state towers.State
	embedding := make([]float32, users.Dim())
	for _, act := range history {
		users.Follow(&state, embedding, []towers.Act{act})
	}
	var anew towers.State
	again := make([]float32, users.Dim())
	users.Follow(&anew, again, history)
	same := true
	for i := range again {
		same = same && again[i] == embedding[i]
	}
	fmt.Println(len(embedding), "numbers, the same both ways:", same)

	// Output:
	// 8 numbers, the same both ways: true
}
