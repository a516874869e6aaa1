package rules

import (
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/filter"
)

// environment is all that an expression can see. Its types are what expressions are checked against.
type environment struct {
	Item    itemValues    `expr:"item"`
	Request requestValues `expr:"request"`
}

type itemValues struct {
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

type requestValues struct {
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

// itemFields are the fields of an item by their names, with what a leaf reads there; nil where only the virtual machine can.
var itemFields = map[string]any{
	"id": filter.ID, "title": filter.Title, "brand": filter.Brand, "currency": filter.Currency,
	"categories": filter.Categories, "tags": filter.Tags, "regions": filter.Regions,
	"price": filter.Price, "published_at": filter.PublishedAt, "age_days": filter.AgeDays, "min_age": filter.MinAge,
	"available": filter.Available, "has_price": filter.HasPrice, "attributes": nil,
}

var requestFields = map[string]bool{
	"user_id": true, "surface": true, "region": true, "age": true, "has_age": true, "now": true, "include_seen": true,
	"query": true,
}

func (f *itemValues) fill(it *schemas.ItemChange, nowMillis int64) {
	f.ID, f.Title, f.Brand, f.Currency = it.ItemID, it.Title, it.Brand, it.Currency
	f.Categories, f.Tags, f.Regions, f.Attributes = it.Categories, it.Tags, it.Regions, it.Attributes
	f.Price, f.HasPrice = filter.PriceOf(it)
	f.Available = filter.IsAvailable(it)
	f.PublishedAt, f.AgeDays = filter.PublishedSeconds(it), filter.AgeInDays(it, nowMillis)
	f.MinAge = int(it.MinAge)
}

func (f *requestValues) fill(r *Request) {
	*f = requestValues{
		UserID: r.UserID, Surface: r.Surface, Region: r.Region, Now: r.Now.Unix(), IncludeSeen: r.IncludeSeen,
		Query: r.Query,
	}
	if r.Age != nil {
		f.Age, f.HasAge = int(*r.Age), true
	}
}
