package grafana

import (
	"bytes"
	"embed"
	"encoding/json"
	"fmt"
	"io/fs"
	"path"
	"regexp"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

//go:embed dashboards/*.json alerts.yaml
var files embed.FS

// Expression is the expression of a panel or a rule.
type Expression struct {
	// Place is where it stands: file, panel or rule.
	Place string
	Text  string
	// Shown are the labels that the legend or the text of an alert uses.
	Shown []string
}

// Exposed is what a program exposes: the values of each label of each metric, by the names of samples (_bucket, _sum and _count
// for histograms).
type Exposed map[string]map[string][]string

// added are the labels that Prometheus puts on what it scrapes, scraped the metrics that it makes itself.
var (
	added   = []string{"job", "instance"}
	scraped = []string{"up"}
)

// Expressions lists all expressions of the dashboards and the rules.
func Expressions() ([]Expression, error) { return expressionsOf(files) }

func expressionsOf(from fs.FS) ([]Expression, error) {
	var all []Expression
	names, err := fs.Glob(from, "dashboards/*.json")
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		text, err := fs.ReadFile(from, name)
		if err != nil {
			return nil, err
		}
		var d Dashboard
		if err := json.Unmarshal(text, &d); err != nil {
			return nil, fmt.Errorf("reading %s: %w", name, err)
		}
		for _, panel := range d.Panels {
			for _, target := range panel.Targets {
				place := path.Base(name) + ": " + panel.Title
				all = append(all, Expression{place, target.Expression, placeholders(target.Legend)})
			}
		}
	}
	rules, err := rulesOf(from)
	if err != nil {
		return nil, err
	}
	for _, r := range rules {
		shown := placeholders(r.Annotations["summary"] + r.Annotations["description"])
		all = append(all, Expression{"alerts.yaml: " + r.Alert, r.Expression, shown})
	}
	return all, nil
}

// Rule is an alert of alerts.yaml. No rule there records a series.
type Rule struct {
	Alert       string            `yaml:"alert"`
	Expression  string            `yaml:"expr"`
	For         string            `yaml:"for"`
	Labels      map[string]string `yaml:"labels"`
	Annotations map[string]string `yaml:"annotations"`
}

func rulesOf(from fs.FS) (rules []Rule, err error) {
	text, err := fs.ReadFile(from, "alerts.yaml")
	if err != nil {
		return nil, err
	}
	decoder := yaml.NewDecoder(bytes.NewReader(text))
	decoder.KnownFields(true)
	var file struct {
		Groups []struct {
			Name  string `yaml:"name"`
			Rules []Rule `yaml:"rules"`
		} `yaml:"groups"`
	}
	if err := decoder.Decode(&file); err != nil {
		return nil, fmt.Errorf("reading alerts.yaml: %w", err)
	}
	for _, g := range file.Groups {
		rules = append(rules, g.Rules...)
	}
	return rules, nil
}

var (
	legendLabel = regexp.MustCompile(`\{\{\s*(?:\$labels\.)?([a-zA-Z_][a-zA-Z0-9_]*)\s*\}\}`)
	// valuePrinted is the value of an alert in its text, which is no label.
	valuePrinted = regexp.MustCompile(`\{\{\s*\$value[^}]*\}\}`)
)

func placeholders(text string) (labels []string) {
	for _, match := range legendLabel.FindAllStringSubmatch(valuePrinted.ReplaceAllString(text, ""), -1) {
		labels = append(labels, match[1])
	}
	return labels
}

// Check names every metric, label and label value of the expressions that is not exposed, and every expression that names
// nothing or cannot be parsed.
func Check(expressions []Expression, exposed Exposed) (wrong []string) {
	for _, e := range expressions {
		found, err := Parse(e.Text)
		if err != nil {
			wrong = append(wrong, fmt.Sprintf("%s: %v", e.Place, err))
			continue
		}
		if len(found) == 0 {
			wrong = append(wrong, fmt.Sprintf("%s: names no metric", e.Place))
		}
		for _, r := range found {
			for _, complaint := range exposed.lacks(r) {
				wrong = append(wrong, e.Place+": "+complaint)
			}
		}
		for _, label := range e.Shown {
			named := slices.ContainsFunc(found, func(r Reference) bool { return slices.Contains(r.Labels, label) })
			if !named && !exposed.haveLabel(found, label) {
				wrong = append(wrong, fmt.Sprintf("%s: shows label %s, which the expression does not have", e.Place, label))
			}
		}
	}
	return wrong
}

func (x Exposed) haveLabel(found []Reference, label string) bool {
	return slices.ContainsFunc(found, func(r Reference) bool { return x[r.Metric][label] != nil })
}

func (x Exposed) lacks(r Reference) (complaints []string) {
	labels, there := x[r.Metric]
	switch {
	case slices.Contains(scraped, r.Metric):
		labels = map[string][]string{}
	case !there:
		return []string{fmt.Sprintf("metric %s is not exposed", r.Metric)}
	}
	for _, label := range r.Labels {
		values, has := labels[label]
		wanted, asked := r.Values[label]
		matches := func(value string) bool {
			ok, err := regexp.MatchString("^(?:"+wanted+")$", value)
			return ok && err == nil
		}
		switch {
		case slices.Contains(added, label):
		case !has:
			complaints = append(complaints, fmt.Sprintf("metric %s has no label %s", r.Metric, label))
		case asked && !slices.ContainsFunc(values, matches):
			complaints = append(complaints, fmt.Sprintf("label %s of metric %s is never %q, only %s",
				label, r.Metric, wanted, strings.Join(values, ", ")))
		}
	}
	return complaints
}
