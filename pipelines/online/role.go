package online

import (
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
)

// Group is the name of the role's consumer group; common begins the names of all groups.
func (r Role) Group(common string) string { return common + "." + string(r) }

// AllRoles lists every role, in the order in which they start: the catalogue makes the collection that the others look for.
func AllRoles() []Role { return []Role{Catalogue, Interactions, Recommendations} }

// ParseRoles reads role names; none means all.
func ParseRoles(names []string) ([]Role, error) {
	if len(names) == 0 {
		return AllRoles(), nil
	}
	for _, name := range names {
		if !slices.Contains(AllRoles(), Role(name)) {
			return nil, fmt.Errorf("role %q is unknown: use one of %s", name, strings.Join(roleNames(), ", "))
		}
	}
	var roles []Role
	for _, r := range AllRoles() {
		if slices.Contains(names, string(r)) {
			roles = append(roles, r)
		}
	}
	return roles, nil
}

func roleNames() []string {
	roles := AllRoles()
	out := make([]string, len(roles))
	for i, r := range roles {
		out[i] = string(r)
	}
	return out
}
