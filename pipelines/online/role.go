package online

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
)

// Role is one long-running consumer.
type Role string

// The roles; a process runs any of them.
const (
	Interactions    Role = "interactions"
	Catalogue       Role = "catalogue"
	Recommendations Role = "recommendations"
	// Recall measures recall. It is in no consumer group.
	Recall Role = "recall"
)

// renamed are roles by their old names, which go on working.
var renamed = map[string]Role{"evaluation": Recall}

// Renamed says which of the names has another now, for people.
func Renamed(names []string) (notices []string) {
	for _, name := range names {
		if now, is := renamed[name]; is {
			notices = append(notices, fmt.Sprintf("role %s is called %s now", name, now))
		}
	}
	return notices
}

// Group is the name of the role's consumer group; common begins the names of all groups.
func (r Role) Group(common string) string { return common + "." + string(r) }

// AllRoles lists every role that serves, in the order in which they start: the catalogue makes the collection that the others look
// for. Recall is none of them: of those there may be many members, of it there is to be one, and it costs memory.
func AllRoles() []Role { return []Role{Catalogue, Interactions, Recommendations} }

// known lists every role there is, in the order in which they start.
func known() []Role { return append(AllRoles(), Recall) }

// ParseRoles reads role names; none means all that serve.
func ParseRoles(names []string) ([]Role, error) {
	if len(names) == 0 {
		return AllRoles(), nil
	}
	named := make([]Role, len(names))
	for i, name := range names {
		named[i] = cmp.Or(renamed[name], Role(name))
		if !slices.Contains(known(), named[i]) {
			return nil, fmt.Errorf("role %q is unknown: use one of %s", name, strings.Join(roleNames(), ", "))
		}
	}
	var roles []Role
	for _, r := range known() {
		if slices.Contains(named, r) {
			roles = append(roles, r)
		}
	}
	return roles, nil
}

func roleNames() []string {
	roles := known()
	out := make([]string, len(roles))
	for i, r := range roles {
		out[i] = string(r)
	}
	return out
}
