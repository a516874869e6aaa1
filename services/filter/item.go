package filter

import (
	"math"

	"github.com/freshet/freshet/schemas"
)

type (
	// Flag is a truth that conditions can read of an item.
	Flag uint8
	// Number is a number of an item.
	Number uint8
	// Text is a text of an item.
	Text uint8
	// List is a list of texts of an item.
	List uint8
)

// The flags.
const (
	Available Flag = iota
	HasPrice
)

// The numbers.
const (
	// Price is 0 for an item without one.
	Price Number = iota
	// PublishedAt is in Unix seconds, 0 where unknown.
	PublishedAt
	// AgeDays counts from PublishedAt: an item of unknown age passes for very old.
	AgeDays
	MinAge
)

// The texts.
const (
	ID Text = iota
	Title
	Brand
	Currency
)

// The lists of texts.
const (
	Categories List = iota
	Tags
	Regions
)

func (f Number) of(it *schemas.ItemChange, nowMillis int64) float64 {
	switch f {
	case Price:
		p, _ := PriceOf(it)
		return p
	case PublishedAt:
		return float64(PublishedSeconds(it))
	case AgeDays:
		return AgeInDays(it, nowMillis)
	default:
		return float64(it.MinAge)
	}
}

func (f Text) of(it *schemas.ItemChange) string {
	switch f {
	case ID:
		return it.ItemID
	case Title:
		return it.Title
	case Brand:
		return it.Brand
	default:
		return it.Currency
	}
}

func (f List) of(it *schemas.ItemChange) []string {
	switch f {
	case Categories:
		return it.Categories
	case Tags:
		return it.Tags
	default:
		return it.Regions
	}
}

// IsAvailable reports whether an item may be shown at all.
func IsAvailable(it *schemas.ItemChange) bool { return it.Available && it.Op != schemas.DeleteItem }

// PriceOf is an item's price as conditions see it. NaN and what is below 0 or beyond float32, as the index sees it, is no price.
func PriceOf(it *schemas.ItemChange) (price float64, priced bool) {
	if it.Price == nil {
		return 0, false
	}
	if indexed := float32(*it.Price); !(indexed >= 0) || indexed > math.MaxFloat32 {
		return 0, false
	}
	return max(0, *it.Price), true
}

// PublishedMillis is when an item was published, in Unix milliseconds; 0 where that is unknown.
func PublishedMillis(it *schemas.ItemChange) int64 {
	if it.PublishedAt.IsZero() {
		return 0
	}
	return it.PublishedAt.UnixMilli()
}

// PublishedSeconds is when an item was published, in Unix seconds; 0 where that is unknown.
func PublishedSeconds(it *schemas.ItemChange) int64 {
	if it.PublishedAt.IsZero() {
		return 0
	}
	return it.PublishedAt.Unix()
}

// MillisPerDay is the unit of AgeDays in milliseconds.
const MillisPerDay = 24 * 60 * 60 * 1000

// AgeInDays is how long ago an item was published; negative for one that is yet to come.
func AgeInDays(it *schemas.ItemChange, nowMillis int64) float64 {
	return (float64(nowMillis) - float64(PublishedMillis(it))) / MillisPerDay
}
