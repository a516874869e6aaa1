package fromtopics

import (
	"cmp"
	"slices"

	"github.com/freshet/freshet/schemas"
)

// catalogue holds the newest change of each item, by the rules of services/items: the larger version wins; at equal versions a
// deletion wins over an upsert, and otherwise the first one stays; a tombstone deletes whatever the version, and keeps it.
type catalogue map[string]schemas.ItemChange

func (c catalogue) add(i *schemas.ItemChange) {
	has, known := c[i.ItemID]
	deletes := i.Op == schemas.DeleteItem && has.Op != schemas.DeleteItem
	if !known || i.Version > has.Version || i.Version == has.Version && deletes {
		c[i.ItemID] = *i
	}
}

func (c catalogue) remove(id string) {
	c[id] = schemas.ItemChange{ItemID: id, Op: schemas.DeleteItem, Version: c[id].Version}
}

// sorted gives all items, the deleted ones too, by their ids.
func (c catalogue) sorted() []schemas.ItemChange {
	all := make([]schemas.ItemChange, 0, len(c))
	for _, i := range c {
		all = append(all, i)
	}
	slices.SortFunc(all, func(a, b schemas.ItemChange) int { return cmp.Compare(a.ItemID, b.ItemID) })
	return all
}
