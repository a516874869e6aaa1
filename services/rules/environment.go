package rules

import (
	"math"

	"github.com/freshet/freshet/schemas"
)

// environment is all that an expression can see. Its types are what expressions are checked against.
type environment struct {
	Item    itemFields    `expr:"item"`
	Request requestFields `expr:"request"`
}

type itemFields struct {
	ID         string   `expr:"id"`
	Title      string   `expr:"title"`
	Categories []string `expr:"categories"`
	Tags       []string `expr:"tags"`
	Brand      string   `expr:"brand"`
	// Price is 0 where HasPrice is false.
	Price     float64  `expr:"price"`
	HasPrice  bool     `expr:"has_price"`
	Currency  string   `expr:"currency"`
	Available bool     `expr:"available"`
	Regions   []string `expr:"regions"`
	// PublishedAt is in unix seconds, 0 where unknown: such an item passes for very old.
	PublishedAt int64             `expr:"published_at"`
	AgeDays     float64           `expr:"age_days"`
	MinAge      int               `expr:"min_age"`
	Attributes  map[string]string `expr:"attributes"`
}

type requestFields struct {
	UserID  string `expr:"user_id"`
	Surface string `expr:"surface"`
	Region  string `expr:"region"`
	// Age is 0 where HasAge is false.
	Age    int  `expr:"age"`
	HasAge bool `expr:"has_age"`
	// Now is in unix seconds.
	Now         int64 `expr:"now"`
	IncludeSeen bool  `expr:"include_seen"`
	// Query is empty where the request does not search.
	Query string `expr:"query"`
}

// field is an item field that a predicate leaf can read without the virtual machine.
type field uint8

const (
	noField field = iota
	fieldID
	fieldTitle
	fieldBrand
	fieldCurrency
	fieldCategories
	fieldTags
	fieldRegions
	fieldPrice
	fieldHasPrice
	fieldAvailable
	fieldPublishedAt
	fieldAgeDays
	fieldMinAge
	fieldAttributes
)

var itemFieldNames = map[string]field{
	"id": fieldID, "title": fieldTitle, "brand": fieldBrand, "currency": fieldCurrency,
	"categories": fieldCategories, "tags": fieldTags, "regions": fieldRegions,
	"price": fieldPrice, "has_price": fieldHasPrice, "available": fieldAvailable,
	"published_at": fieldPublishedAt, "age_days": fieldAgeDays, "min_age": fieldMinAge, "attributes": fieldAttributes,
}

var requestFieldNames = map[string]bool{
	"user_id": true, "surface": true, "region": true, "age": true, "has_age": true, "now": true, "include_seen": true,
	"query": true,
}

const millisPerDay = 24 * 60 * 60 * 1000

// priceOf is an item's price as expressions see it. NaN and what is below 0 or beyond float32, as the index sees it, is no price.
func priceOf(it *schemas.ItemChange) (float64, bool) {
	if it.Price == nil {
		return 0, false
	}
	if indexed := float32(*it.Price); !(indexed >= 0) || indexed > math.MaxFloat32 {
		return 0, false
	}
	return max(0, *it.Price), true
}

// publishedMillis is 0 where the time is unknown.
func publishedMillis(it *schemas.ItemChange) int64 {
	if it.PublishedAt.IsZero() {
		return 0
	}
	return it.PublishedAt.UnixMilli()
}

func publishedSeconds(it *schemas.ItemChange) int64 {
	if it.PublishedAt.IsZero() {
		return 0
	}
	return it.PublishedAt.Unix()
}

func ageDays(it *schemas.ItemChange, nowMillis int64) float64 {
	return (float64(nowMillis) - float64(publishedMillis(it))) / millisPerDay
}

func isAvailable(it *schemas.ItemChange) bool { return it.Available && it.Op != schemas.DeleteItem }

func (f *itemFields) fill(it *schemas.ItemChange, nowMillis int64) {
	f.ID, f.Title, f.Brand, f.Currency = it.ItemID, it.Title, it.Brand, it.Currency
	f.Categories, f.Tags, f.Regions, f.Attributes = it.Categories, it.Tags, it.Regions, it.Attributes
	f.Price, f.HasPrice = priceOf(it)
	f.Available = isAvailable(it)
	f.PublishedAt, f.AgeDays = publishedSeconds(it), ageDays(it, nowMillis)
	f.MinAge = int(it.MinAge)
}

func (f *requestFields) fill(r *Request) {
	*f = requestFields{
		UserID: r.UserID, Surface: r.Surface, Region: r.Region, Now: r.Now.Unix(), IncludeSeen: r.IncludeSeen,
		Query: r.Query,
	}
	if r.Age != nil {
		f.Age, f.HasAge = int(*r.Age), true
	}
}
