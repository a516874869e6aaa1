package schemas

import (
	"math"
	"testing"

	"github.com/stretchr/testify/require"
)

func TestARatingIsJudgedByTheScale(t *testing.T) {
	stars, half, none := DefaultRatingScale(), RatingScale{Lowest: 0.5, Highest: 5}, RatingScale{}
	for _, c := range []struct {
		scale RatingScale
		kind  InteractionType
		value float64
		want  InteractionType
	}{
		{stars, Rating, 1, Dislike}, {stars, Rating, 2.9, Dislike}, {stars, Rating, 3, Rating}, {stars, Rating, 5, Rating},
		{stars, Rating, 0, Rating}, {stars, Rating, 9, Rating}, {stars, Rating, math.NaN(), Rating},
		{half, Rating, 0.5, Dislike}, {half, Rating, 2.5, Dislike}, {half, Rating, 3, Rating},
		{none, Rating, 0, Rating}, {none, Rating, 1, Rating},
		{stars, Complete, 1, Complete}, {stars, Like, 1, Like}, {stars, Hide, 5, Hide},
		{RatingScale{Lowest: -1, Highest: 1}, Rating, -1, Dislike}, {RatingScale{Lowest: 0, Highest: 1}, Rating, 1, Rating},
	} {
		require.Equal(t, c.want, c.scale.Judge(c.kind, float32(c.value)), "%v of %v on %v", c.kind, c.value, c.scale)
		e := Interaction{Type: c.kind, Value: &c.value}
		require.Equal(t, c.want, c.scale.KindOf(&e))
	}
	require.Equal(t, Rating, stars.KindOf(&Interaction{Type: Rating}))
}

func TestRatingScaleValidate(t *testing.T) {
	require.NoError(t, DefaultRatingScale().Validate())
	require.NoError(t, RatingScale{}.Validate())
	for _, s := range []RatingScale{{Lowest: 5, Highest: 1}, {Highest: math.NaN()}, {Highest: math.Inf(1)}, {Lowest: math.Inf(-1)}} {
		require.ErrorContains(t, s.Validate(), "ratings.highest")
	}
}
