package settings

import (
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// moved are settings that stand elsewhere now: from their old paths to their new ones.
var moved = map[string]string{
	"consumers.replies.default_deadline": "recommender.default_deadline",
}

// variableOf is the variable that overrides the setting at a path.
func variableOf(path string) string {
	return EnvPrefix + strings.ToUpper(strings.ReplaceAll(path, ".", "_"))
}

// refuseMoved names the new place of each setting that stands at its old one.
func refuseMoved(document *yaml.Node) error {
	var errs []error
	for _, old := range slices.Sorted(maps.Keys(moved)) {
		if line := lineOf(document, old); line > 0 {
			errs = append(errs, fmt.Errorf("line %d: %s is %s now: give the value there", line, old, moved[old]))
		}
	}
	return errors.Join(errs...)
}

// lineOf is the line of the key at a path; 0 where there is none.
func lineOf(n *yaml.Node, path string) int {
	if n.Kind == yaml.DocumentNode && len(n.Content) > 0 {
		return lineOf(n.Content[0], path)
	}
	if n.Kind != yaml.MappingNode {
		return 0
	}
	name, inner, deeper := strings.Cut(path, ".")
	for i := 0; i+1 < len(n.Content); i += 2 {
		switch {
		case n.Content[i].Value != name:
		case deeper:
			return lineOf(n.Content[i+1], inner)
		default:
			return n.Content[i].Line
		}
	}
	return 0
}
