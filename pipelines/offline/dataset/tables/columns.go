package tables

import (
	"cmp"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"github.com/freshet/freshet/pipelines/offline/columnar"
	"github.com/freshet/freshet/schemas"
)

// Columns names the columns that are not called as their fields are: field to column, "user_id" to "visitor" for example. A field
// that both files have (item_id, occurred_at) is that of the interactions; the item_id is that of the items, too. A prefix
// means one file: "items.item_id". An empty name leaves the field out, though there is a column of its name.
type Columns map[string]string

// The names of the files, without their extensions.
const (
	interactionsFile = "interactions"
	itemsFile        = "items"
)

// Validate says which name is not that of a field.
func (c Columns) Validate() error {
	for _, key := range slices.Sorted(maps.Keys(c)) {
		file, field, err := fieldNamed(key)
		if err != nil {
			return fmt.Errorf("%s=%s: %w", key, c[key], err)
		}
		if c[key] == "" && requiredIn(file, field) {
			return fmt.Errorf("%s=: give the name of the column, which cannot be left out", key)
		}
	}
	return nil
}

// fieldNamed takes apart FIELD, or FILE.FIELD; file is empty where none is named.
func fieldNamed(key string) (file, field string, err error) {
	file, field, qualified := strings.Cut(key, ".")
	if !qualified {
		file, field = "", key
	}
	interactions, items := fieldsOf(interactionsFile), fieldsOf(itemsFile)
	_, ofInteractions := interactions[field]
	_, ofItems := items[field]
	known := file != itemsFile && ofInteractions || file != interactionsFile && ofItems
	if qualified && file != interactionsFile && file != itemsFile {
		known = false
	}
	if !known {
		return "", "", fmt.Errorf("%q is no field: choose from %s of the interactions, or %s of the items",
			key, strings.Join(namesIn(interactionsFile), ", "), strings.Join(namesIn(itemsFile), ", "))
	}
	return file, field, nil
}

// told gives what is said of a field of a file, under FILE.FIELD or FIELD.
func told[V any](m map[string]V, file, field string) (value V, is bool) {
	if value, is = m[file+"."+field]; is {
		return value, true
	}
	_, both := fieldsOf(interactionsFile)[field]
	if field == "item_id" || file == interactionsFile || !both {
		value, is = m[field]
	}
	return value, is
}

func requiredIn(file, field string) bool {
	for _, f := range interactionFields {
		if f.name == field && f.required && file != itemsFile {
			return true
		}
	}
	return field == "item_id"
}

func fieldsOf(table string) map[string]kind {
	kinds := map[string]kind{}
	if table == interactionsFile {
		for _, f := range interactionFields {
			kinds[f.name] = f.kind
		}
		return kinds
	}
	for _, f := range itemFields {
		kinds[f.name] = f.kind
	}
	return kinds
}

func namesIn(table string) []string {
	if table == interactionsFile {
		return namesOf(interactionFields)
	}
	return namesOf(itemFields)
}

// synonyms are other names of fields that are usual, in the form of plainName. A name stands under one field of a table.
var synonyms = map[string]map[string][]string{
	interactionsFile: {
		"user_id": words("user userid uid visitor visitorid customer customerid customernumber member memberid reviewerid"),
		"item_id": words("item itemid product productid sku article articleid movieid asin newsid trackid"),
		"occurred_at": words("timestamp ts time datetime date eventtime eventtimestamp occurredat createdat eventdate " +
			"unixreviewtime"),
		"type": words("event eventtype eventname action actiontype interactiontype behaviortype " +
			"behavior behaviour"), //nolint:misspell // as they are called
		"value":      words("rating stars score overall"),
		"event_id":   words("eventid interactionid"),
		"request_id": words("requestid recommendationid"),
	},
	itemsFile: {
		"item_id":      words("item itemid id product productid sku article articleid movieid asin parentasin newsid trackid"),
		"title":        words("name itemname itemtitle productname producttitle prodname moviename movietitle"),
		"description":  words("itemdescription productdescription detaildesc abstract plot summary"),
		"categories":   words("category genre genres categoryname categorycode itemcategory productcategory"),
		"tags":         words("tag keywords labels"),
		"brand":        words("brandname manufacturer vendor"),
		"price":        words("unitprice itemprice productprice"),
		"currency":     words("currencycode"),
		"available":    words("instock isavailable availability isactive"),
		"published_at": words("publishedat publishdate publicationdate releasedate released"),
		"version":      words("itemversion"),
		"min_age":      words("minage agerating"),
		"attributes":   words("properties"),
		"occurred_at":  words("updatedat modifiedat changedat"),
	},
}

func words(list string) []string { return strings.Fields(list) }

// plainName is a name without what says nothing: case, spaces, the marks between words, and the types behind a colon of RecBole.
func plainName(name string) string {
	for _, suffix := range []string{":token", ":token_seq", ":float", ":float_seq"} {
		name = strings.TrimSuffix(name, suffix)
	}
	return strings.Map(func(r rune) rune {
		switch r {
		case ' ', '_', '-', '.', '\t', '\u00a0':
			return -1
		}
		return r
	}, strings.ToLower(name))
}

// bound is a field with its columns.
type bound struct {
	field   string
	columns []string // none where there is none
	// by says how they were found: told, or by which rule.
	by string
	// why says why there is none though there might be.
	why string
}

// The rules by which columns are found.
const (
	byOption = "told"
	byName   = ""
	byCase   = "but for case and marks"
	bySense  = "a usual name"
)

// bind finds the columns of all fields of a table among those that it has.
func bind(table string, names map[string]Names, has []string, required func(field string) bool) ([]bound, error) {
	taken := map[string]bool{}
	for _, columns := range names {
		for _, c := range columns {
			taken[c] = true
		}
	}
	var all []bound
	for _, field := range namesIn(table) {
		b, isTold, err := boundOf(table, field, names, has, taken)
		if err != nil {
			return nil, err
		}
		// Events of the wrong type are worse than a question; other fields can be without.
		if len(b.columns) == 0 && field == "type" && b.why != "" && !isTold {
			return nil, fmt.Errorf("the column of the type is not clear: %s, or leave it out with --columns type=, which makes each row a view",
				b.why)
		}
		if len(b.columns) == 0 && required(field) {
			if b.why != "" {
				b.why = " (" + b.why + ")"
			}
			return nil, fmt.Errorf("there is no column %s%s: it has %s; name it with --columns %s.%s=COLUMN",
				field, b.why, shown(has), table, field)
		}
		for _, c := range b.columns {
			if at := slices.Index(has, c); slices.Contains(has[at+1:], c) {
				return nil, fmt.Errorf("there are two columns %q: rename one", c)
			}
		}
		all = append(all, b)
	}
	return all, nil
}

// boundOf finds the columns of one field; isTold says that they were told, if only to be none.
func boundOf(table, field string, names map[string]Names, has []string, taken map[string]bool) (b bound, isTold bool, err error) {
	b.field = field
	columns, isTold := names[field]
	switch {
	case isTold && len(columns) == 1 && columns[0] == "":
		b.why = "left out by --columns"
	case isTold:
		for _, c := range columns {
			if !slices.Contains(has, c) {
				return b, true, fmt.Errorf("there is no column %q for %s: it has %s; correct --columns", c, field, shown(has))
			}
		}
		b.columns, b.by = columns, byOption
	case field == orderField:
		if slices.Contains(has, orderColumn) {
			b.columns = Names{orderColumn}
		}
	default:
		b.columns, b.by, b.why = find(table, field, has, taken)
	}
	return b, isTold, nil
}

// find looks for the column of a field by its name, then by its name but for case, then by the usual synonyms.
func find(table, field string, has []string, taken map[string]bool) (columns Names, by, why string) {
	if slices.Contains(has, field) && !taken[field] {
		return Names{field}, byName, ""
	}
	alike := func(is func(plain string) bool) (found []string) {
		for _, c := range has {
			if !taken[c] && is(plainName(c)) {
				found = append(found, c)
			}
		}
		return found
	}
	for _, rule := range []struct {
		by string
		is func(plain string) bool
	}{
		{byCase, func(plain string) bool { return plain == plainName(field) }},
		{bySense, func(plain string) bool { return slices.Contains(synonyms[table][field], plain) }},
	} {
		switch found := alike(rule.is); {
		case len(found) == 1:
			return found, rule.by, ""
		case len(found) > 1:
			return nil, "", fmt.Sprintf("%s may all be meant: name one with --columns", shown(found))
		}
	}
	return nil, "", ""
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

// Values says what values mean: FIELD.VALUE to a meaning, "type.addtocart" to "add_to_cart" for example. An empty meaning is none:
// rows whose field must have one are left out.
type Values map[string]string

// Validate says which key is none.
func (v Values) Validate() error {
	for _, key := range slices.Sorted(maps.Keys(v)) {
		_, field, _, err := valueNamed(key)
		if err == nil {
			err = checkMeaning(field, v[key])
		}
		if err != nil {
			return fmt.Errorf("%s=%s: %w", key, v[key], err)
		}
	}
	return nil
}

// checkMeaning holds that a field can have the value that another is said to mean.
func checkMeaning(field, meaning string) (err error) {
	switch {
	case meaning == "":
	case field == "type":
		_, err = schemas.ParseInteractionType(symbolOf(meaning))
	case field == "op":
		_, err = schemas.ParseItemOp(symbolOf(meaning))
	case field == "available":
		_, err = booleanOf(&columnar.Cell{Values: []columnar.Value{{Kind: columnar.Text, Text: []byte(meaning)}}})
	}
	return err
}

// valueNamed takes apart FIELD.VALUE or FILE.FIELD.VALUE.
func valueNamed(key string) (file, field, value string, err error) {
	first, rest, found := strings.Cut(key, ".")
	if !found {
		return "", "", "", errors.New("give FIELD.VALUE=MEANING, such as type.addtocart=add_to_cart")
	}
	if first == interactionsFile || first == itemsFile {
		field, value, found = strings.Cut(rest, ".")
		if !found {
			return "", "", "", errors.New("give FILE.FIELD.VALUE=MEANING")
		}
		_, _, err = fieldNamed(first + "." + field)
		return first, field, value, err
	}
	_, _, err = fieldNamed(first)
	return "", first, rest, err
}

// ForFields is what is said of fields: FIELD or FILE.FIELD to a text.
type ForFields map[string]string

// validate says which key names no field of the kind.
func (f ForFields) validate(what string, kind kind) error {
	for _, key := range slices.Sorted(maps.Keys(f)) {
		file, field, err := fieldNamed(key)
		if err != nil {
			return fmt.Errorf("%s=%s: %w", key, f[key], err)
		}
		if fieldsOf(cmp.Or(file, interactionsFile))[field] != kind && fieldsOf(cmp.Or(file, itemsFile))[field] != kind {
			return fmt.Errorf("%s=%s: %s is no %s", key, f[key], field, what)
		}
	}
	return nil
}
