package items

import "sync"

// decodedKept is how many decoded records a store remembers at the most; each takes about a kilobyte.
const decodedKept = 16_384

// decoded remembers what records decode to. Decoding costs more than reading: a page looks at some two hundred records, and
// those of popular items again and again. It never saves a read: an entry counts only for the very bytes that Redis has just
// given, so that a change counts at once.
//
// There are two generations. When the young one is full it becomes the old one, and what nobody has asked for since then is
// forgotten with it.
type decoded struct {
	mu         sync.RWMutex
	young, old map[string]decodedRecord
}

type decodedRecord struct {
	value string
	item  *Item
}

func newDecoded() *decoded { return &decoded{young: map[string]decodedRecord{}} }

// find puts the items of those ids whose values are remembered in their places of found. It tells whether all are in the young
// generation, so that there is nothing to keep.
func (d *decoded) find(ids []string, values []any, found []*Item) (allYoung bool) {
	d.mu.RLock()
	defer d.mu.RUnlock()
	allYoung = true
	for i, id := range ids {
		value, there := values[i].(string)
		if !there {
			continue
		}
		entry, young := d.young[id]
		if !young {
			entry = d.old[id]
		}
		if entry.item != nil && entry.value == value {
			found[i] = entry.item
		}
		allYoung = allYoung && young && found[i] != nil
	}
	return allYoung
}

// keep remembers all items of ids that are readable.
func (d *decoded) keep(ids []string, values []any, items []*Item) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for i, it := range items {
		if it == nil || it.Err != nil {
			continue
		}
		value := values[i].(string)
		if entry, known := d.young[ids[i]]; known && entry.value == value {
			continue
		}
		if len(d.young) >= decodedKept/2 {
			d.young, d.old = make(map[string]decodedRecord, decodedKept/2), d.young
		}
		d.young[ids[i]] = decodedRecord{value, it}
	}
}
