package towers

import "github.com/freshet/freshet/schemas"

// CountsForTaste says which interactions are choices: they move every user tower, and are what comes next for one that learns.
// An impression was the system's choice; a dislike or hide is the contrary of one.
func CountsForTaste(t schemas.InteractionType) bool {
	switch t {
	case schemas.View, schemas.Click, schemas.Like, schemas.AddToCart, schemas.Purchase, schemas.Rating, schemas.Complete:
		return true
	default:
		return false
	}
}

// TurnsDown says which interactions are the contrary of a choice. They move a user tower that has learnt them, and no other: the
// recurrence knows no sign of its own.
func TurnsDown(t schemas.InteractionType) bool {
	return t == schemas.Dislike || t == schemas.Hide
}
