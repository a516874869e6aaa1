package filter

import (
	"errors"
	"math"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/freshet/freshet/schemas"
)

var now = time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)

type failing struct{}

var errFailing = errors.New("it fails")

func (failing) Holds(*schemas.ItemChange, int64) (bool, error) { return false, errFailing }

func TestHolds(t *testing.T) {
	item := &schemas.ItemChange{
		ItemID: "sku", Op: schemas.UpsertItem, Title: "Shoe", Brand: "Acme", Currency: "EUR", Categories: []string{"shoes", "sport"},
		Price: new(12.5), Available: true, MinAge: 6, PublishedAt: now.Add(-48 * time.Hour),
	}
	many := TextsOf("a", "b", "c", "d", "e", "f", "g", "h", "Acme")
	for _, c := range []struct {
		name      string
		condition Node
		want      bool
	}{
		{"available", Available, true},
		{"priced", HasPrice, true},
		{"not priced", Negate(HasPrice), false},
		{"price", &Compared{Price, Less, 12.5}, false},
		{"not below", Negate(&Compared{Price, Less, 12.5}), true},
		{"unequal", &Compared{MinAge, Unequal, 6}, false},
		{"age in days", &Compared{AgeDays, AtMost, 2}, true},
		{"published", &Compared{PublishedAt, AtLeast, float64(now.Unix())}, false},
		{"unequal to NaN", &Compared{Price, Unequal, math.NaN()}, true},
		{"brand", &OneOf{Brand, TextsOf("Acme")}, true},
		{"brand of many", &OneOf{Brand, many}, true},
		{"title of many", &OneOf{Title, many}, false},
		{"currency", &OneOf{Currency, TextsOf("USD", "EUR")}, true},
		{"category", &HoldsAny{Categories, TextsOf("x", "sport")}, true},
		{"tag", &HoldsAny{Tags, TextsOf("sport")}, false},
		{"everywhere", Empty{Regions}, true},
		{"listed", Unlisted{"sku": {}}, false},
		{"and", And{Available, Never, failing{}}, false},
		{"or", Or{Never, Available, failing{}}, true},
		{"and of nothing", And{}, true},
		{"or of nothing", Or{}, false},
	} {
		got, err := c.condition.Holds(item, now.UnixMilli())
		require.NoError(t, err, c.name)
		require.Equal(t, c.want, got, c.name)
	}
	for name, condition := range map[string]Node{
		"and": And{Available, failing{}}, "or": Or{Never, failing{}, Always}, "not": Negate(failing{}),
	} {
		got, err := condition.Holds(item, now.UnixMilli())
		require.ErrorIs(t, err, errFailing, name)
		require.False(t, got, name)
	}
}

func TestNegate(t *testing.T) {
	require.Equal(t, Never, Negate(Always))
	require.Equal(t, Node(Available), Negate(Negate(Available)))
}

func TestWhatIsNoPrice(t *testing.T) {
	for _, price := range []float64{math.NaN(), math.Inf(1), 1e300, -1} {
		_, priced := PriceOf(&schemas.ItemChange{Price: &price})
		require.False(t, priced, "%v", price)
	}
	price, priced := PriceOf(&schemas.ItemChange{Price: new(-1e-50)})
	require.True(t, priced)
	require.Zero(t, price)
}
