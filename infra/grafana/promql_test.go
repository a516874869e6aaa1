package grafana

import (
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/require"
)

func TestParse(t *testing.T) {
	for text, want := range map[string][]Reference{
		`up`: {{Metric: "up", Values: map[string]string{}}},
		`sum by (a, b) (rate(x_total{c="1", d!~"2"}[$__rate_interval])) / -sum(y)`: {
			{Metric: "x_total", Labels: []string{"c", "d", "a", "b"}, Values: map[string]string{"c": "1"}},
			{Metric: "y", Values: map[string]string{}},
		},
		`histogram_quantile(0.99, sum(rate(h_bucket[1h30m])) by (le)) > bool 14.4 * 1e-2`: {
			{Metric: "h_bucket", Labels: []string{"le"}, Values: map[string]string{}},
		},
		`x / on(a) group_left(b) y offset 5m`: {
			{Metric: "x", Labels: []string{"a"}, Values: map[string]string{}},
			{Metric: "y", Labels: []string{"a"}, Values: map[string]string{}},
		},
		`max_over_time(x[1h]) # and so on`:         {{Metric: "x", Values: map[string]string{}}},
		`topk(3, x) or vector(0) unless absent(x)`: {{Metric: "x", Values: map[string]string{}}, {Metric: "x", Values: map[string]string{}}},
	} {
		got, err := Parse(text)
		require.NoError(t, err, text)
		require.Equal(t, want, got, text)
	}
}

func TestParseRefusesWhatItDoesNotKnow(t *testing.T) {
	for _, text := range []string{
		``, `sum(`, `sum(x`, `x y`, `x{`, `x{a}`, `x{a="b"`, `x{a=b}`, `{a="b"}`, `label_replace(x, "a", "b", "c", "d")`, `x[5m`, `1 +`,
		`sum by a (x)`, `x @ 5`, `sum without (a) (x)`, `x ^ 2`, `"text"`, `(x`, `x)`,
	} {
		_, err := Parse(text)
		require.Error(t, err, text)
		require.Contains(t, err.Error(), "parsing", text)
	}
}

var page = Exposed{
	"x_total":  {"kind": {"a", "b"}, "server": {"redis"}},
	"h_bucket": {"le": {"1", "+Inf"}},
}

func TestCheckFindsWhatIsNotExposed(t *testing.T) {
	for text, want := range map[string]string{
		`x_total`: "", `sum by (instance, kind) (x_total{job="freshet"})`: "", `up{job="freshet"}`: "", `x_total{kind=~"z|b"}`: "",
		`y_total`:                         "metric y_total is not exposed",
		`sum by (colour) (x_total)`:       "metric x_total has no label colour",
		`x_total{colour!="red"}`:          "metric x_total has no label colour",
		`x_total{kind="c"}`:               `label kind of metric x_total is never "c", only a, b`,
		`x_total{kind=~"c|d"}`:            `label kind of metric x_total is never "c|d", only a, b`,
		`x_total / on(kind) h_bucket`:     "metric h_bucket has no label kind",
		`up{colour="red"}`:                "metric up has no label colour",
		`vector(1)`:                       "names no metric",
		`sum(x_total`:                     "parsing",
		`x_total + sum by (le) (x_total)`: "metric x_total has no label le",
	} {
		wrong := Check([]Expression{{Place: "panel", Text: text}}, page)
		if want == "" {
			require.Empty(t, wrong, text)
			continue
		}
		require.Len(t, wrong, 1, text)
		require.Contains(t, wrong[0], want)
	}
	require.Empty(t, Check([]Expression{{"panel", "x_total", []string{"kind"}}}, page))
	require.Equal(t, []string{"panel: shows label colour, which the expression does not have"},
		Check([]Expression{{"panel", "x_total", []string{"colour"}}}, page))
}

// A wrong name in a copy of our own files is found, wherever it stands.
func TestAWrongNameInTheFilesIsFound(t *testing.T) {
	dashboard, err := os.ReadFile("dashboards/freshet-interactions.json")
	require.NoError(t, err)
	alerts, err := os.ReadFile("alerts.yaml")
	require.NoError(t, err)
	copyOf := func(dashboard, alerts string) []Expression {
		list, err := expressionsOf(fstest.MapFS{
			"dashboards/one.json": {Data: []byte(dashboard)}, "alerts.yaml": {Data: []byte(alerts)},
		})
		require.NoError(t, err)
		return list
	}
	values := map[string][]string{ // that these matchers ask for
		"": {"any"}, "broker": {"broker"}, "occurred_at": {"occurred_at"}, "redis": {"redis"}, "freshet": {"freshet"},
		"all": {"all"}, "10": {"10"},
		"1|1[.]0": {"1.0"}, ".+[.]interactions": {"freshet.interactions"}, "(.+[.])?interactions": {"freshet.interactions"},
		"degraded|deadline_exceeded|unavailable|internal": {"degraded"},
	}
	exposed := Exposed{} // just what the files name
	for _, e := range copyOf(string(dashboard), string(alerts)) {
		found, err := Parse(e.Text)
		require.NoError(t, err)
		for _, r := range found {
			if exposed[r.Metric] == nil {
				exposed[r.Metric] = map[string][]string{}
			}
			for _, label := range r.Labels {
				exposed[r.Metric][label] = append(exposed[r.Metric][label], values[r.Values[label]]...)
			}
		}
	}
	require.Empty(t, Check(copyOf(string(dashboard), string(alerts)), exposed))
	for _, c := range []struct{ old, wrong, in string }{
		{"freshet_events_total", "freshet_event_total", "one.json: Events"},
		{"outcome", "outcomes", "one.json: Events"},
		{`since=\"broker\"`, `since=\"brokers\"`, "one.json: Event to embedding"},
	} {
		require.Contains(t, string(dashboard), c.old)
		wrong := Check(copyOf(strings.ReplaceAll(string(dashboard), c.old, c.wrong), string(alerts)), exposed)
		require.NotEmpty(t, wrong, c.wrong)
		require.Contains(t, wrong[0], c.in)
	}
	wrong := Check(copyOf(string(dashboard), strings.ReplaceAll(string(alerts), "freshet_ready", "freshet_readiness")), exposed)
	require.Equal(t, []string{"alerts.yaml: FreshetMemberNotReady: metric freshet_readiness is not exposed"}, wrong)
}
