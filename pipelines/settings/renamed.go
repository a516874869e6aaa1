package settings

import (
	"bytes"
	"fmt"
	"os"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// renamed are sections by their old names, which go on working, with a notice.
var renamed = map[string]string{"evaluation": "recall"}

// Notices say what of the file and the environment has another name now; they are for people.
func (s Settings) Notices() []string { return s.notices }

// renameSections gives the sections of a file their present names. Lines and columns stay for the errors of what is read then.
func renameSections(text []byte) (now []byte, notices []string, err error) {
	var root yaml.Node
	if err := yaml.Unmarshal(text, &root); err != nil || len(root.Content) == 0 || root.Content[0].Kind != yaml.MappingNode {
		return text, nil, nil //nolint:nilerr // whoever reads the settings says what is wrong
	}
	has := map[string]*yaml.Node{}
	for i := 0; i < len(root.Content[0].Content); i += 2 {
		key := root.Content[0].Content[i]
		has[key.Value] = key
	}
	lines := bytes.SplitAfter(text, []byte("\n"))
	for old, name := range renamed {
		key := has[old]
		if key == nil {
			continue
		}
		if has[name] != nil {
			return nil, nil, fmt.Errorf("it has sections %s and %s, which are one: move the settings of %s into %s", old, name, old, name)
		}
		line := &lines[key.Line-1]
		*line = append(bytes.Clone((*line)[:key.Column-1]), bytes.Replace((*line)[key.Column-1:], []byte(old), []byte(name), 1)...)
		notices = append(notices, fmt.Sprintf("section %s is called %s now: rename it in the configuration", old, name))
	}
	return bytes.Join(lines, nil), notices, nil
}

// environment has our variables under their present names.
func environment() (variables map[string]string, notices []string, err error) {
	variables = ourVariables()
	for old, name := range renamed {
		before, now := EnvPrefix+strings.ToUpper(old)+"_", EnvPrefix+strings.ToUpper(name)+"_"
		for variable, value := range ourVariables() {
			rest, is := strings.CutPrefix(variable, before)
			if !is {
				continue
			}
			if other, both := variables[now+rest]; both && other != value {
				return nil, nil, fmt.Errorf("%s and %s are one setting, and differ: leave out the first, which is the old name", variable, now+rest)
			}
			delete(variables, variable)
			variables[now+rest] = value
			notices = append(notices, fmt.Sprintf("variable %s is called %s now", variable, now+rest))
		}
	}
	slices.Sort(notices)
	return variables, notices, nil
}

func ourVariables() map[string]string {
	all := map[string]string{}
	for _, variable := range os.Environ() {
		if name, value, _ := strings.Cut(variable, "="); strings.HasPrefix(name, EnvPrefix) {
			all[name] = value
		}
	}
	return all
}
