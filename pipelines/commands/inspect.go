package commands

import (
	"errors"
	"fmt"
	"maps"
	"math"
	"slices"
	"strings"
	"time"

	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/candidates"
	"github.com/freshet/freshet/services/profiles"
	"github.com/freshet/freshet/services/terminal"
	"github.com/freshet/freshet/services/towers"
)

// Inspect groups the commands that show what is stored.
type Inspect struct {
	User InspectUser `cmd:"" help:"Show a user's profile in Redis: watermarks, history, embedding."`
	Item InspectItem `cmd:"" help:"Show an item's record in Redis and its candidate in Milvus."`

	Recall InspectRecall `cmd:"" help:"Show how often the next interaction was among the first k, as the role recall found."`
}

// InspectUser shows a profile.
type InspectUser struct {
	User string `arg:"" help:"Id of the user to show."`
}

// Run prints the profile, decoded.
func (c *InspectUser) Run(env *Env) (err error) {
	connections, model, err := inspectLive(env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, connections.Close()) }()
	loaded, err := connections.Profiles.Load(env.Context, []string{c.User}, model)
	if err != nil {
		return err
	}
	p := loaded[0]
	if p == nil {
		return fmt.Errorf("user %q has no profile: no event of theirs was applied, or it expired", c.User)
	}
	at, erased, err := connections.Profiles.ErasedAt(env.Context, c.User)
	if err != nil {
		return err
	}
	if erased {
		if err := c.sayErased(env, at); err != nil || len(p.Counters) == 0 {
			return err
		}
	}
	return c.print(env, p, model)
}

// sayErased says since when nothing is known of the user but watermarks, or what came after the erasure.
func (c *InspectUser) sayErased(env *Env, at time.Time) error {
	when := "at a time that was not kept"
	if !at.IsZero() {
		when = "at " + at.Format(time.RFC3339Nano)
	}
	_, err := terminal.Fprintf(env.Out, "user %q was erased %s; of what was before, only the offsets up to which it was read are kept\n",
		c.User, when)
	return err
}

func (c *InspectUser) print(env *Env, p *profiles.Profile, model string) error {
	facts := terminal.NewTable(env.Out, terminal.Row{"user", c.User})
	if !p.UpdatedAt.IsZero() {
		facts.AppendRow(terminal.Row{"updated", p.UpdatedAt.UTC().Format(time.RFC3339Nano)})
	}
	for _, partition := range slices.Sorted(maps.Keys(p.Watermarks)) {
		facts.AppendRow(terminal.Row{"watermark", fmt.Sprintf("partition %d offset %d", partition, p.Watermarks[partition])})
	}
	facts.AppendRow(terminal.Row{"events", eventsLine(p.Counters)})
	facts.AppendRow(terminal.Row{"seen items", p.SeenCount()})
	facts.AppendRow(terminal.Row{"turned down", p.TurnedDownCount()})
	facts.AppendRow(terminal.Row{"model", model})
	facts.AppendRow(terminal.Row{"embedding", vectorLine(p.Embedding)})
	facts.AppendRow(terminal.Row{"tower state", stateLine(p.State)})
	facts.Render()
	history := terminal.NewTable(env.Out, terminal.Row{"occurred", "type", "item", "value"})
	for _, e := range p.History {
		value := ""
		if e.HasValue {
			value = fmt.Sprint(e.Value)
		}
		history.AppendRow(terminal.Row{e.OccurredAt.UTC().Format(time.DateTime), e.Type.String(), e.ItemID, value})
	}
	history.Render()
	return nil
}

// eventsLine counts the events by type.
func eventsLine(c profiles.Counters) string {
	var parts []string
	for i, n := range c {
		if n > 0 {
			parts = append(parts, fmt.Sprintf("%d %s", n, schemas.InteractionType(i)))
		}
	}
	if len(parts) == 0 {
		return "none"
	}
	return strings.Join(parts, ", ")
}

// vectorLine shows a vector by its size, its length and its first values.
func stateLine(s *towers.State) string {
	if s == nil {
		return "none"
	}
	return vectorLine(s.Values())
}

func vectorLine(v []float32) string {
	if v == nil {
		return "none"
	}
	sum := 0.0
	for _, x := range v {
		sum += float64(x) * float64(x)
	}
	const shown = 6
	return fmt.Sprintf("%d values, length %.3f, %.3f …", len(v), math.Sqrt(sum), v[:min(shown, len(v))])
}

// InspectItem shows an item.
type InspectItem struct {
	Item string `arg:"" help:"Id of the item to show."`
}

// Run prints the record as JSON and the candidate as a table.
func (c *InspectItem) Run(env *Env) (err error) {
	connections, model, err := inspectLive(env)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, connections.Close()) }()
	loaded, err := connections.Items.Load(env.Context, []string{c.Item})
	if err != nil {
		return err
	}
	it := loaded[0]
	if it == nil {
		return fmt.Errorf("item %q is unknown: no change of it was applied, or it was deleted long ago", c.Item)
	}
	if !it.Deleted { // of a deleted item nothing is kept but its version
		if err := terminal.FprintJSON(env.Out, it.ItemChange); err != nil {
			return fmt.Errorf("printing the record: %w", err)
		}
	}
	t := terminal.NewTable(env.Out, terminal.Row{"item", c.Item})
	t.AppendRow(terminal.Row{"deleted", it.Deleted})
	t.AppendRow(terminal.Row{"model", model})
	row, found, err := connections.Index.Get(env.Context, model, c.Item)
	switch {
	case model == "":
		t.AppendRow(terminal.Row{"candidate", "no collection is live"})
	case err != nil:
		return err
	case !found:
		t.AppendRow(terminal.Row{"candidate", "none"})
	default:
		t.AppendRow(terminal.Row{"candidate vector", vectorLine(row.Vector)})
		t.AppendRow(terminal.Row{"filter columns", fmt.Sprintf("available %t, price %g, categories %q, regions %q, brand %q, min age %d",
			row.Available, row.Price, row.Categories, row.Regions, row.Brand, row.MinAge)})
	}
	t.Render()
	return nil
}

// inspectLive connects and asks which model is live; it is "" where none is.
func inspectLive(env *Env) (*online.Connections, string, error) {
	s, err := env.Settings()
	if err != nil {
		return nil, "", err
	}
	connections, err := online.Inspect(env.Context, s, env.Log)
	if err != nil {
		return nil, "", err
	}
	model, err := connections.Index.Live(env.Context)
	if err != nil && !candidates.IsNoLive(err) {
		return nil, "", errors.Join(err, connections.Close())
	}
	return connections, model, nil
}
