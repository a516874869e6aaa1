package schemas

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"
)

// checker holds the first thing that is wrong with a record. A rule is a function that returns the remedy, or nothing where
// the value is well: names and values for the error are put together only when one is needed.
type checker struct {
	limits Limits
	now    time.Time
	err    error
}

func (c *checker) refuse(field, value, remedy string) {
	if c.err == nil {
		c.err = invalid(field, value, remedy)
	}
}

func (c *checker) id(field, id string) {
	if remedy := c.idRemedy(id); remedy != "" {
		c.refuse(field, Quote(id), remedy)
	}
}

// ID checks an id that comes without a record, by the rules for the ids in records. field names it in the error.
func (l Limits) ID(field, id string) error {
	c := checker{limits: l}
	c.id(field, id)
	return c.err
}

func (c *checker) optionalID(field, id string) {
	if id != "" {
		c.id(field, id)
	}
}

func (c *checker) idRemedy(id string) string {
	if id == "" {
		return "give an id: it must not be empty"
	}
	if remedy := textRemedy(id, c.limits.MaxIDBytes); remedy != "" {
		return remedy
	}
	if strings.ContainsFunc(id, unicode.IsControl) {
		return "give an id without control characters: ids are printed"
	}
	return ""
}

func (c *checker) text(field, s string, most int) {
	if remedy := textRemedy(s, most); remedy != "" {
		c.refuse(field, Quote(s), remedy)
	}
}

func textRemedy(s string, most int) string {
	switch {
	case len(s) > most:
		return fmt.Sprintf("give at most %d bytes", most)
	case !utf8.ValidString(s):
		return "give valid UTF-8"
	}
	return ""
}

func (c *checker) texts(field string, list []string) {
	c.length(field, len(list), c.limits.MaxListLength)
	for i, s := range list {
		c.element(field, i, "", s, textRemedy(s, c.limits.MaxStringBytes))
	}
}

// element refuses a string within a list: field[i], or a part of it such as ".item_id".
func (c *checker) element(field string, i int, part, value, remedy string) {
	if remedy != "" {
		c.refuse(elementName(field, i, part), Quote(value), remedy)
	}
}

func elementName(field string, i int, part string) string {
	return field + "[" + strconv.Itoa(i) + "]" + part
}

func (c *checker) entries(field string, m map[string]string) {
	c.length(field, len(m), c.limits.MaxListLength)
	for key, value := range m {
		if remedy := textRemedy(key, c.limits.MaxStringBytes); remedy != "" {
			c.refuse(field+" key", Quote(key), remedy)
		}
		if remedy := textRemedy(value, c.limits.MaxStringBytes); remedy != "" {
			c.refuse(field+"["+Quote(key)+"]", Quote(value), remedy)
		}
	}
}

func (c *checker) length(field string, n, most int) {
	if n > most {
		c.refuse(field, fmt.Sprintf("of %d entries", n), fmt.Sprintf("give at most %d", most))
	}
}

func (c *checker) atLeast(field string, v, least int64) {
	if v < least {
		c.refuse(field, strconv.FormatInt(v, 10), fmt.Sprintf("give a number from %d", least))
	}
}

func (c *checker) atMost(field string, v int64, most int) {
	if v > int64(most) {
		c.refuse(field, strconv.FormatInt(v, 10), fmt.Sprintf("give at most %d", most))
	}
}

func (c *checker) number(field string, v, least float64) {
	switch {
	case math.IsNaN(v) || math.IsInf(v, 0):
		c.refuse(field, strconv.FormatFloat(v, 'g', -1, 64), "give a finite number, or leave it out")
	case v < least:
		c.refuse(field, strconv.FormatFloat(v, 'g', -1, 64), fmt.Sprintf("give a number from %g, or leave it out", least))
	}
}

// past checks the time of something that has happened.
func (c *checker) past(field string, t time.Time) {
	c.moment(field, t, c.limits.HappenedRemedy(t, c.now))
}

func (c *checker) recent(i int, e *RecentEvent) {
	c.element("recent", i, ".item_id", e.ItemID, c.idRemedy(e.ItemID))
	if !known(e.Type, interactionTypes) {
		c.refuse(elementName("recent", i, ".type"), e.Type.String(), oneOf(interactionTypes))
	}
	if remedy := c.limits.HappenedRemedy(e.OccurredAt, c.now); remedy != "" {
		c.moment(elementName("recent", i, ".occurred_at"), e.OccurredAt, remedy)
	}
}

// query checks the text that a request searches for. A text without a letter or digit has no word: it would match nothing, and
// what the asker took for a search is more likely a mistake.
func (c *checker) query(q *RecommendationRequest) {
	c.text("query", q.Query, c.limits.MaxQueryBytes)
	switch {
	case q.Query == "":
	case !strings.ContainsFunc(q.Query, func(r rune) bool { return unicode.IsLetter(r) || unicode.IsDigit(r) }):
		c.refuse("query", Quote(q.Query), "give words made of letters or digits, or leave it out")
	case q.SeedItemID != "":
		c.refuse("query", Quote(q.Query)+" beside seed_item_id "+Quote(q.SeedItemID), "give query or seed_item_id, not both")
	}
}

func checkSymbol[E enum](c *checker, field string, v E, symbols []string) {
	if !known(v, symbols) {
		c.refuse(field, symbol(v, symbols), oneOf(symbols))
	}
}

func known[E enum](v E, symbols []string) bool { return v > 0 && int(v) < len(symbols) }

func oneOf(symbols []string) string { return "give one of " + strings.Join(symbols[1:], ", ") }
