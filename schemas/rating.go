package schemas

import (
	"fmt"
	"math"
)

// RatingScale is the range of the values of a shop's ratings. It decides, for everything that reads events, which rating is no
// choice but its contrary. The zero scale judges nothing: each rating is a choice.
type RatingScale struct {
	// Lowest is the worst rating.
	Lowest float64 `yaml:"lowest" env:"LOWEST"`
	// Highest is the best one. A rating below the middle of both counts as a dislike, one of neither in between, or without a value,
	// as a choice. Equal to lowest, each rating is a choice.
	Highest float64 `yaml:"highest" env:"HIGHEST"`
}

// DefaultRatingScale is that of one to five stars.
func DefaultRatingScale() RatingScale { return RatingScale{Lowest: 1, Highest: 5} }

// Validate names what cannot be a scale.
func (s RatingScale) Validate() error {
	if !(s.Highest >= s.Lowest) || math.IsInf(s.Highest, 0) || math.IsInf(s.Lowest, 0) {
		return fmt.Errorf("ratings.highest is %v and ratings.lowest %v: give the values of the best and of the worst rating",
			s.Highest, s.Lowest)
	}
	return nil
}

// Holds tells whether a value is on the scale.
func (s RatingScale) Holds(value float32) bool {
	return s.Highest > s.Lowest && float64(value) >= s.Lowest && float64(value) <= s.Highest
}

// Judge is the kind as which an event of a type counts: a rating below the middle of the scale is a dislike. value is NaN where
// there is none. What is not on the scale is not judged: where a shop has another scale than the configuration says, its best
// rating must not be taken for the worst.
func (s RatingScale) Judge(t InteractionType, value float32) InteractionType {
	if t == Rating && s.Holds(value) && float64(value) < (s.Lowest+s.Highest)/2 {
		return Dislike
	}
	return t
}

// KindOf is Judge of an interaction.
func (s RatingScale) KindOf(e *Interaction) InteractionType {
	if e.Value == nil {
		return e.Type
	}
	return s.Judge(e.Type, float32(*e.Value))
}
