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
	// Evaluation measures recall. It is in no consumer group.
	Evaluation Role = "evaluation"
)

// Group is the name of the role's consumer group; common begins the names of all groups.
func (r Role) Group(common string) string { return common + "." + string(r) }

// AllRoles lists every role that serves, in the order in which they start: the catalogue makes the collection that the others look
// for. Evaluation is none of them: of those there may be many members, of it there is to be one, and it costs memory.
func AllRoles() []Role { return []Role{Catalogue, Interactions, Recommendations} }

// known lists every role there is, in the order in which they start.
func known() []Role { return append(AllRoles(), Evaluation) }

// ParseRoles reads role names; none means all that serve.
func ParseRoles(names []string) ([]Role, error) {
	if len(names) == 0 {
		return AllRoles(), nil
	}
	for _, name := range names {
		if !slices.Contains(known(), Role(name)) {
			return nil, fmt.Errorf("role %q is unknown: use one of %s", name, strings.Join(roleNames(), ", "))
		}
	}
	var roles []Role
	for _, r := range known() {
		if slices.Contains(names, string(r)) {
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
