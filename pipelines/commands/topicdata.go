package commands

import (
	"fmt"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/offline/dataset/fromtopics"
	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/terminal"
)

// window is the time that a data set is taken from.
type window struct {
	Since string `placeholder:"TIME" help:"Topics: leave out events that occurred before this time: RFC 3339, a date, or a duration back such as 720h."`
	Until string `placeholder:"TIME" help:"Topics: leave out events that occurred at this time or later; in the same forms."`
}

// topicData is a data set in the topics.
type topicData struct {
	FromTopics bool `xor:"source" help:"Take events and catalogue from the topics in Kafka, erased users left out."`
	window
}

// check holds that a window has something to part.
func (d *topicData) check() error {
	if !d.FromTopics && (d.Since != "" || d.Until != "") {
		return usage("--since and --until part the events of the topics: give --from-topics, too")
	}
	return nil
}

func (d *topicData) read(env *Env) (*dataset.Dataset, error) {
	topics, err := d.open(env)
	if err != nil {
		return nil, err
	}
	once := &dataset.Once{Records: topics}
	read, err := dataset.FromRecords(env.Context, "topics", once)
	tellCounts(env, topics, once)
	if err != nil {
		return nil, fmt.Errorf("reading the topics: %w", online.Explain(err))
	}
	return judged(env, read)
}

// open prepares reading the topics of the configuration.
func (w *window) open(env *Env) (*fromtopics.Topics, error) {
	s, err := env.Settings()
	if err != nil {
		return nil, err
	}
	now := time.Now()
	cfg := fromtopics.Config{
		Kafka: s.Kafka, Reading: s.Consumers.Interactions.Reading, Interactions: s.Topics.Interactions.Name, Items: s.Topics.Items.Name,
		Limits: s.Limits, Log: env.Log, Progress: readingBar(env),
	}
	if cfg.Since, err = parseMoment(w.Since, now); err != nil {
		return nil, usage("--since is %w", err)
	}
	if cfg.Until, err = parseMoment(w.Until, now); err != nil {
		return nil, usage("--until is %w", err)
	}
	if err := cfg.Validate(); err != nil {
		return nil, usage("--since and --until: %w", err)
	}
	if cfg.Registry, err = schemas.NewRegistry(s.Registry, nil); err != nil {
		return nil, err
	}
	cfg.InteractionKeys, cfg.ItemKeys = s.Topics.InteractionKeys(s.Limits, cfg.Registry), s.Topics.ItemKeys(s.Limits, cfg.Registry)
	topics, err := fromtopics.Open(env.Context, cfg)
	return topics, online.Explain(err)
}

// parseMoment takes a time as people write one. Nothing is the zero time.
func parseMoment(text string, now time.Time) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	for _, form := range []string{time.RFC3339, time.DateOnly} {
		if t, err := time.Parse(form, text); err == nil {
			return t, nil
		}
	}
	if back, err := time.ParseDuration(text); err == nil && back >= 0 {
		return now.Add(-back), nil
	}
	return time.Time{}, fmt.Errorf("%q: give a time such as 2026-01-31T12:00:00Z, a date such as 2026-01-31 (its beginning, in UTC), "+
		"or a duration back from now such as 720h", text)
}

// readingBar shows how far reading a topic has come, on a terminal. Elsewhere tellCounts says enough.
func readingBar(env *Env) func(what string, done, total int64) {
	if !isTerminal(env.Err) {
		return nil
	}
	var bar *progressbar.ProgressBar
	of := ""
	return func(what string, done, total int64) {
		if what != of {
			of = what
			bar = progressbar.NewOptions64(total, progressbar.OptionSetWriter(env.Err), progressbar.OptionSetDescription("reading "+what),
				progressbar.OptionShowIts(), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
		}
		_ = bar.Set64(done)
	}
}

// tellCounts says what became of the records. Nothing that is left out is left out in silence.
func tellCounts(env *Env, t *fromtopics.Topics, once *dataset.Once) {
	if c := t.Catalogue; c.Records > 0 {
		_, _ = terminal.Fprintf(env.Err, "items: %d records, %d items; %d deleted; %d do not decode, %d make no sense\n",
			c.Records, c.Kept, c.Deleted, c.Malformed, c.Invalid)
	}
	if c := t.Events; c.Records > 0 {
		_, _ = terminal.Fprintf(env.Err, "interactions: %d records, %d events; %d repeated, %d of erased users, "+
			"%d outside the time asked for; %d do not decode, %d make no sense\n",
			c.Records, c.Kept-once.Repeated, once.Repeated, c.Erased, c.Outside, c.Malformed, c.Invalid)
	}
}
