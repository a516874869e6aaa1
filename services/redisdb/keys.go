package redisdb

import (
	"errors"
	"fmt"
	"strings"
)

// Redis hashes what stands between the first '{' and the next '}' of a key, so the id itself must not have a brace: a user
// named "a}b" would otherwise spread over several slots. '%' is escaped too, which keeps the escape free of collisions.
var escaper = strings.NewReplacer("%", "%25", "{", "%7B", "}", "%7D")

// emptyTag stands for the empty id, since Redis ignores an empty hash tag. No escape of another id equals it.
const emptyTag = "%"

// Key names a value of one user or item: prefix:{id}:kind.
func Key(prefix, id, kind string) string {
	if id == "" {
		return prefix + ":{" + emptyTag + "}:" + kind
	}
	if strings.ContainsAny(id, "%{}") {
		id = escaper.Replace(id)
	}
	return prefix + ":{" + id + "}:" + kind
}

var unescaper = strings.NewReplacer("%25", "%", "%7B", "{", "%7D", "}")

// ID is the id of a key's part ":{id}", as Key writes it.
func ID(part string) string {
	escaped := strings.TrimSuffix(strings.TrimPrefix(part, ":{"), "}")
	if escaped == emptyTag {
		return ""
	}
	return unescaper.Replace(escaped)
}

// ValidatePrefix refuses a prefix that would take the hash tag's place.
func ValidatePrefix(field, prefix string) error {
	if prefix == "" {
		return errors.New(field + " is empty: give a word that no other program on this Redis uses, such as freshet")
	}
	if strings.ContainsAny(prefix, "{}") {
		return fmt.Errorf("%s is %q: braces choose a key's cluster slot; leave them out", field, prefix)
	}
	return nil
}
