package towers

import "github.com/freshet/freshet/schemas"

// CountsForTaste says which interactions move the user tower: the ones by which a user chose an item. An impression was
// the system's choice; a dislike or hide is the contrary of a choice, and the recurrence knows no sign.
func CountsForTaste(t schemas.InteractionType) bool {
	switch t {
	case schemas.View, schemas.Click, schemas.Like, schemas.AddToCart, schemas.Purchase, schemas.Rating, schemas.Complete:
		return true
	default:
		return false
	}
}
