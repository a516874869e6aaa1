package collector

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/freshet/freshet/services/terminal"
)

// shown are the attributes that a tree shows, by how they begin; the span's name has the others' sense, or they are long.
var shown = []string{
	"messaging.destination.partition.id", "messaging.kafka.offset", "messaging.batch.message_count", "messaging.consumer.group.name",
	"db.operation.batch.size", "db.system.name", "error.type", "freshet.",
}

// linksShown is how many links of one span a tree lists; a batch has hundreds.
const linksShown = 3

// Traces groups spans by trace; the traces are in the order of their beginnings.
func Traces(spans []Span) [][]Span {
	byID := map[string][]Span{}
	for _, s := range spans {
		byID[s.Trace] = append(byID[s.Trace], s)
	}
	traces := slices.Collect(maps.Values(byID))
	for _, t := range traces {
		slices.SortFunc(t, func(a, b Span) int {
			return 2*a.Start.Compare(b.Start) + strings.Compare(a.ID, b.ID)
		})
	}
	slices.SortFunc(traces, func(a, b []Span) int { return 2*a[0].Start.Compare(b[0].Start) + strings.Compare(a[0].ID, b[0].ID) })
	return traces
}

// WriteTree prints the spans of one trace, each below its parent: when it began after the first, how long it took, name, kind,
// service, attributes and links. A span whose parent has not come stands at the top.
func WriteTree(w io.Writer, trace []Span) error {
	if len(trace) == 0 {
		return nil
	}
	t := tree{begin: trace[0].Start, below: map[string][]*Span{}}
	known := map[string]bool{}
	for i := range trace {
		known[trace[i].ID] = true
	}
	var roots []*Span
	for i := range trace {
		if s := &trace[i]; known[s.Parent] && s.Parent != s.ID {
			t.below[s.Parent] = append(t.below[s.Parent], s)
		} else {
			roots = append(roots, s)
		}
	}
	_, _ = terminal.Fprintf(&t.text, "trace %s, %d spans\n", trace[0].Trace, len(trace))
	for _, r := range roots {
		t.write(r, "", "")
	}
	_, err := io.WriteString(w, t.text.String())
	return err
}

type tree struct {
	text  strings.Builder
	begin time.Time
	below map[string][]*Span
}

// write prints a span behind first, and what is below it behind rest.
func (t *tree) write(s *Span, first, rest string) {
	_, _ = terminal.Fprintf(&t.text, "%10s %9s  %s%s (%s, %s)", "+"+milliseconds(s.Start.Sub(t.begin)), milliseconds(s.Duration()),
		first, s.Name, s.Kind, s.Service)
	for _, key := range slices.Sorted(maps.Keys(s.Attributes)) {
		if slices.ContainsFunc(shown, func(prefix string) bool { return strings.HasPrefix(key, prefix) }) {
			_, _ = terminal.Fprintf(&t.text, " %s=%s", key, s.Attributes[key])
		}
	}
	if s.Failed {
		_, _ = terminal.Fprintf(&t.text, " FAILED %s", s.Status)
	}
	for i, l := range s.Links {
		if i == linksShown {
			_, _ = terminal.Fprintf(&t.text, " and %d more", len(s.Links)-i)
			break
		}
		if l.Trace == s.Trace {
			_, _ = terminal.Fprintf(&t.text, " → %.8s", l.ID)
		} else {
			_, _ = terminal.Fprintf(&t.text, " → %.8s of trace %.8s…", l.ID, l.Trace)
		}
	}
	t.text.WriteByte('\n')
	children := t.below[s.ID]
	delete(t.below, s.ID) // ids that repeat must not send the walk in a circle
	for i, child := range children {
		if i == len(children)-1 {
			t.write(child, rest+"└─ ", rest+"   ")
		} else {
			t.write(child, rest+"├─ ", rest+"│  ")
		}
	}
}

func milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.2fms", float64(d)/float64(time.Millisecond))
}
