package commands

import (
	"context"
	"errors"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/terminal"
)

// Recommend asks for a page; its flags are the fields of the request.
type Recommend struct {
	User        string        `arg:"" help:"Id of the user to recommend to."`
	Count       int32         `short:"n" default:"10" help:"Length of the page."`
	Surface     string        `placeholder:"NAME" help:"Place in the product, for rules that look at it."`
	Similar     string        `placeholder:"ITEM" help:"Items similar to this one instead of items for the user's taste."`
	Query       string        `placeholder:"TEXT" help:"Items that this text means, leaning to the user's taste; not together with --similar."`
	Filter      string        `placeholder:"EXPR" help:"Rule expression over the item, such as 'item.price < 20'."`
	Exclude     []string      `placeholder:"ITEM" help:"Items to leave out; comma separated or repeated."`
	IncludeSeen bool          `help:"Keep items that the user has interacted with."`
	Region      string        `placeholder:"REGION" help:"Only items that may be shown there."`
	Age         *int32        `placeholder:"YEARS" help:"Age in years; without it only items for everybody."`
	Recent      []string      `placeholder:"TYPE:ITEM" help:"Events that the profile may not have yet, such as like:42; oldest first."`
	SeenThrough string        `placeholder:"PARTITION:OFFSET" help:"Wait until the profile has applied the user's event at this position."`
	Timeout     time.Duration `default:"2s" help:"How long to wait for the reply; it becomes the request's deadline."`
	Variant     string        `placeholder:"NAME" help:"Arm of an experiment."`
	RequestID   string        `placeholder:"ID" help:"Id of the request, for attribution; made up when missing."`
	Explain     bool          `help:"Show reasons, the waterfall of counts and the timings."`
	JSON        bool          `name:"json" help:"Print the reply as JSON."`
}

// Run sends the request and prints the reply.
func (c *Recommend) Run(env *Env) error {
	request, err := c.request(time.Now())
	if err != nil {
		return usageError{err}
	}
	s, err := env.Settings()
	if err != nil {
		return err
	}
	_, end, err := env.observe(s, env.Err, false)
	if err != nil {
		return err
	}
	defer end()
	ctx, cancel := context.WithTimeout(env.Context, c.Timeout)
	defer cancel()
	if err := online.RequireTopics(ctx, s, s.Topics.Requests.Name, s.Topics.Replies.Name); err != nil {
		return err
	}
	client, err := producers.NewRecommendationClient(ctx, s.Producer(env.Log))
	if err != nil {
		return online.Explain(err)
	}
	defer func() { _ = client.Close(context.WithoutCancel(ctx)) }()
	reply, err := client.Recommend(ctx, request)
	if refused := new(producers.ReplyError); errors.As(err, &refused) && c.JSON {
		return errors.Join(c.printJSON(env, &reply), err)
	}
	if schemas.IsInvalid(err) { // the client has checked it, before it sent anything
		return usageError{err}
	}
	if err != nil {
		return err
	}
	if c.JSON {
		return c.printJSON(env, &reply)
	}
	return c.print(env, &reply, titles(env, &reply))
}

func (c *Recommend) request(now time.Time) (*schemas.RecommendationRequest, error) {
	if c.Timeout <= 0 {
		return nil, fmt.Errorf("--timeout is %s: give a positive duration, such as 2s", c.Timeout)
	}
	r := &schemas.RecommendationRequest{
		RequestID: c.RequestID, UserID: c.User, Count: c.Count, Surface: c.Surface, SeedItemID: c.Similar, Filter: c.Filter,
		ExcludeItemIDs: c.Exclude, IncludeSeen: c.IncludeSeen, Region: c.Region, Age: c.Age, Variant: c.Variant, Explain: c.Explain,
		Query: c.Query,
	}
	for _, event := range c.Recent {
		name, item, ok := strings.Cut(event, ":")
		kind, err := schemas.ParseInteractionType(name)
		if !ok || err != nil || item == "" {
			return nil, fmt.Errorf("--recent is %q: write TYPE:ITEM, such as like:42", event)
		}
		r.Recent = append(r.Recent, schemas.RecentEvent{ItemID: item, Type: kind, OccurredAt: now})
	}
	if c.SeenThrough != "" {
		partition, offset, _ := strings.Cut(c.SeenThrough, ":")
		p, errP := strconv.ParseInt(partition, 10, 32)
		o, errO := strconv.ParseInt(offset, 10, 64)
		if errP != nil || errO != nil {
			return nil, fmt.Errorf("--seen-through is %q: write PARTITION:OFFSET, such as 3:1207", c.SeenThrough)
		}
		r.SeenThrough = &schemas.Position{Partition: int32(p), Offset: o}
	}
	return r, nil
}

func (c *Recommend) printJSON(env *Env, reply *schemas.RecommendationReply) error {
	return terminal.FprintJSON(env.Out, reply)
}

func (c *Recommend) print(env *Env, reply *schemas.RecommendationReply, title map[string]string) error {
	header := terminal.Row{"#", "item", "title", "score", "source"}
	if c.Explain {
		header = append(header, "reasons")
	}
	t := terminal.NewTable(env.Out, header)
	for i, it := range reply.Items {
		row := terminal.Row{i + 1, it.ItemID, title[it.ItemID], fmt.Sprintf("%.3f", it.Score), it.Source}
		if c.Explain {
			row = append(row, strings.Join(it.Reasons, ", "))
		}
		t.AppendRow(row)
	}
	t.Render()
	if c.Explain {
		w := terminal.NewTable(env.Out, terminal.Row{"stage or rule", "in", "out"})
		for _, s := range reply.Waterfall {
			w.AppendRow(terminal.Row{s.Stage, s.In, s.Out})
		}
		w.Render()
		for _, s := range reply.Timings {
			_, _ = terminal.Fprintf(env.Out, "%s %.2f ms  ", s.Stage, float64(s.Micros)/1000)
		}
		_, _ = terminal.Fprintln(env.Out)
	}
	_, err := terminal.Fprintln(env.Out, freshnessLine(reply))
	return err
}

// freshnessLine tells in one line what the answer was made from.
func freshnessLine(reply *schemas.RecommendationReply) string {
	line := "status " + reply.Status.String()
	if reply.Error != "" {
		line += " (" + reply.Error + ")"
	}
	f := reply.Freshness
	if f.ModelVersion != "" {
		line += ", model " + f.ModelVersion
	}
	if f.Profile != nil {
		age := time.Duration(f.ProfileAgeMillis) * time.Millisecond
		line += fmt.Sprintf(", profile at partition %d offset %d, %s old", f.Profile.Partition, f.Profile.Offset, age)
	} else {
		line += ", no profile"
	}
	if reply.Fallback != "" {
		line += ", filled up with " + reply.Fallback + " items"
	}
	return line
}

// titles looks the items up in Redis. The page is worth printing without them, so a failure is only logged.
func titles(env *Env, reply *schemas.RecommendationReply) map[string]string {
	ids := make([]string, len(reply.Items))
	for i, it := range reply.Items {
		ids[i] = it.ItemID
	}
	names := make(map[string]string, len(ids))
	s, err := env.Settings()
	if err != nil {
		return names
	}
	ctx, cancel := context.WithTimeout(env.Context, titlesTimeout)
	defer cancel()
	connections, err := online.OpenItems(ctx, s, env.Log)
	if err != nil {
		env.Log.Warn("titles cannot be shown", "error", err)
		return names
	}
	defer func() { _ = connections.Close() }()
	loaded, err := connections.Items.Load(ctx, ids)
	if err != nil {
		env.Log.Warn("titles cannot be shown", "error", err)
		return names
	}
	for i, it := range loaded {
		if it != nil {
			names[ids[i]] = it.Title
		}
	}
	return names
}

const titlesTimeout = time.Second
