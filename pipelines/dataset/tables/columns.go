package tables

import (
	"fmt"
	"maps"
	"slices"
	"strings"
)

// Columns names the columns that are not called as their fields are: field to column, "user_id" to "visitor" for example. A field
// that both files have (item_id, occurred_at) is that of the interactions; the item_id is that of the items, too. A prefix
// means one file: "items.item_id".
type Columns map[string]string

// The names of the files, without their extensions.
const (
	interactionsFile = "interactions"
	itemsFile        = "items"
)

// Validate says which name is not that of a field.
func (c Columns) Validate() error {
	interactions, items := namesOf(interactionFields), namesOf(itemFields)
	for _, key := range slices.Sorted(maps.Keys(c)) {
		file, name, qualified := strings.Cut(key, ".")
		if !qualified {
			file, name = "", key
		}
		known := file != itemsFile && slices.Contains(interactions, name) || file != interactionsFile && slices.Contains(items, name)
		if qualified && file != interactionsFile && file != itemsFile {
			known = false
		}
		if !known {
			return fmt.Errorf("%s=%s: %q is no field: choose from %s of the interactions, or %s of the items",
				key, c[key], key, strings.Join(interactions, ", "), strings.Join(items, ", "))
		}
		if c[key] == "" {
			return fmt.Errorf("%s=: give the name of the column", key)
		}
	}
	return nil
}

// of gives the name of a field's column in a file, and whether it was told.
func (c Columns) of(file, field string) (name string, told bool) {
	if name, told = c[file+"."+field]; told {
		return name, true
	}
	shared := field == "item_id" || file == interactionsFile || !slices.Contains(namesOf(interactionFields), field)
	if name, told = c[field]; told && shared {
		return name, true
	}
	return field, false
}

// bind finds the fields' columns among those that a file has; places[i] is that of fields[i], or -1.
func bind[T any](file string, fields []field[T], columns Columns, has []string) (places []int, err error) {
	for _, f := range fields {
		name, told := columns.of(file, f.name)
		at := slices.Index(has, name)
		switch {
		case at < 0 && told:
			return nil, fmt.Errorf("there is no column %q for %s: it has %s; correct --columns", name, f.name, shown(has))
		case at < 0 && f.required:
			return nil, fmt.Errorf("there is no column %s: it has %s; name it with --columns %s.%s=COLUMN", f.name, shown(has), file, f.name)
		case at >= 0 && slices.Contains(has[at+1:], name):
			return nil, fmt.Errorf("there are two columns %q: rename one", name)
		}
		places = append(places, at)
	}
	return places, nil
}

// shown lists names, the first of many.
func shown(names []string) string {
	const most = 20
	quoted := make([]string, 0, most)
	for _, name := range names[:min(most, len(names))] {
		quoted = append(quoted, fmt.Sprintf("%.40q", name))
	}
	if len(names) > most {
		quoted = append(quoted, fmt.Sprintf("and %d more", len(names)-most))
	}
	return strings.Join(quoted, ", ")
}

func namesOf[T any](fields []field[T]) []string {
	names := make([]string, len(fields))
	for i := range fields {
		names[i] = fields[i].name
	}
	return names
}
