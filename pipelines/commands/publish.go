package commands

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
	"sync/atomic"
	"time"

	"github.com/schollz/progressbar/v3"

	"github.com/freshet/freshet/pipelines/online"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/producers/kafkaio"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/terminal"
)

// Publish groups the commands that publish.
type Publish struct {
	Interactions PublishInteractions `cmd:"" help:"Publish interactions: one JSON object a line."`
	Items        PublishItems        `cmd:"" help:"Publish item changes: one JSON object a line."`
}

// source is where the records come from.
type source struct {
	File string `arg:"" optional:"" type:"path" help:"File of JSON lines, or a table in any form that train reads (CSV, Parquet, a folder of parts, …); without it JSON lines are read from standard input."`
	tableSource
}

// PublishInteractions publishes interactions.
type PublishInteractions struct {
	source
}

// Help shows the shape of a line.
func (*PublishInteractions) Help() string {
	return `A line holds the fields of an Interaction (schemas/avro); these are the least:

  {"event_id":"e1","user_id":"u1","item_id":"i1","type":"click","occurred_at":"2026-01-31T12:00:00Z"}`
}

// Run publishes the lines; see source.publish.
func (c *PublishInteractions) Run(env *Env) error {
	topic := func(t topics.Config) string { return t.Interactions.Name }
	if table, err := c.isTable(); err != nil {
		return err
	} else if table {
		return c.publishTable(env, false, topic)
	}
	return c.publish(env, topic, func(p *producers.EventPublisher, line []byte, done func(error)) error {
		event, err := schemas.DecodeInteractionJSON(line)
		if err != nil {
			return badLine{err}
		}
		return p.PublishInteractionAsync(env.Context, &event, func(_ schemas.Position, err error) { done(err) })
	})
}

// PublishItems publishes item changes.
type PublishItems struct {
	source
}

// Help shows the shape of a line.
func (*PublishItems) Help() string {
	return `A line holds the fields of an ItemChange (schemas/avro). A change takes the place of what is stored when its version
is higher; "op":"delete" takes the item down. For example:

  {"item_id":"i1","op":"upsert","version":1,"occurred_at":"2026-01-31T12:00:00Z","title":"A Lamp","categories":["light"]}`
}

// Run publishes the lines; see source.publish.
func (c *PublishItems) Run(env *Env) error {
	topic := func(t topics.Config) string { return t.Items.Name }
	if table, err := c.isTable(); err != nil {
		return err
	} else if table {
		return c.publishTable(env, true, topic)
	}
	return c.publish(env, topic, func(p *producers.EventPublisher, line []byte, done func(error)) error {
		change, err := schemas.DecodeItemChangeJSON(line)
		if err != nil {
			return badLine{err}
		}
		return p.PublishItemAsync(env.Context, &change, func(_ schemas.Position, err error) { done(err) })
	})
}

// publishOne decodes a line and queues its record; done is called once if and only if the error is nil.
type publishOne func(p *producers.EventPublisher, line []byte, done func(error)) error

func (c *source) publish(env *Env, topic func(topics.Config) string, one publishOne) error {
	in, size := env.In, int64(-1)
	if c.File != "" {
		f, err := os.Open(c.File)
		if err != nil {
			return fmt.Errorf("opening the lines to publish: %w", err)
		}
		defer f.Close()
		if info, err := f.Stat(); err == nil {
			size = info.Size()
		}
		in = f
	}
	lines, closing, err := c.begin(env, topic, size)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(env.Context)
	defer stop()
	lines.stop = stop
	return lines.end(closing, lines.read(ctx, in, one))
}

// begin prepares publishing to a topic; size is that of what is read, -1 where it is not known.
func (c *source) begin(env *Env, topic func(topics.Config) string, size int64) (*publishing, func(), error) {
	s, err := env.Settings()
	if err != nil {
		return nil, nil, err
	}
	_, end, err := env.observe(s, env.Err, false)
	if err != nil {
		return nil, nil, err
	}
	if err := online.RequireTopics(env.Context, s, topic(s.Topics)); err != nil {
		end()
		return nil, nil, err
	}
	publisher, err := producers.NewEventPublisher(env.Context, s.Producer(env.Log))
	if err != nil {
		end()
		return nil, nil, online.Explain(err)
	}
	return &publishing{env: env, file: c.File, publisher: publisher, bar: publishBar(env, size)}, end, nil
}

// end waits for what is under way, and says what became of all.
func (p *publishing) end(closing func(), readErr error) error {
	defer closing()
	closeErr := p.publisher.Close(p.env.Context)
	p.acknowledged.Wait()
	_ = p.bar.Finish()
	if p.broken != nil && p.env.Context.Err() == nil { // which stopped the reading
		readErr = nil
	}
	return errors.Join(readErr, closeErr, p.verdict())
}

// maxLine bounds one line: far above any record that the brokers take.
const maxLine = 4 << 20

// publishing counts what became of the lines of one run.
type publishing struct {
	env          *Env
	file         string
	publisher    *producers.EventPublisher
	bar          *progressbar.ProgressBar
	acknowledged sync.WaitGroup
	published    atomic.Int64
	refused      atomic.Int64
	printing     sync.Mutex

	// stop ends the reading. broken is why that was before the last line, and from the first line that it kept from being published.
	stop   context.CancelFunc
	broken error
	from   int
}

// read publishes line by line. A full queue blocks it, so that memory stays bounded however fast the lines come.
func (p *publishing) read(ctx context.Context, in io.Reader, one publishOne) error {
	lines, readErr := scan(ctx, in)
	begun := false
	for number := 1; ; number++ {
		select {
		case <-ctx.Done():
			return fmt.Errorf("stopped before line %d: %w", number, ctx.Err())
		case line, more := <-lines:
			if !more {
				if err := readErr(); err != nil {
					return fmt.Errorf("stopped before line %d: %w", number, err)
				}
				return nil
			}
			_ = p.bar.Add(len(line) + 1)
			if number == 1 {
				line = bytes.TrimPrefix(line, []byte("\xef\xbb\xbf")) // a mark that some editors begin UTF-8 with
			}
			if line = bytes.TrimSpace(line); len(line) == 0 {
				continue
			}
			if !begun {
				if err := foreign(p.file, line); err != nil {
					p.stop()
					return err
				}
				begun = true
			}
			p.line(number, line, one)
		}
	}
}

// scan reads lines apart, since nothing can call back a read of a terminal: Ctrl-C must not wait for one more line. readErr
// may be called when the channel is closed, and tells why that was before the last line. Ctrl-C is such a reason as well: whoever
// waits for a line and for the end of ctx may see the closed channel first, and must not take it for the end of the lines.
func scan(ctx context.Context, in io.Reader) (lines <-chan []byte, readErr func() error) {
	scanner := bufio.NewScanner(in)
	scanner.Buffer(make([]byte, 64<<10), maxLine)
	out := make(chan []byte)
	var stopped error
	go func() {
		defer close(out)
		for scanner.Scan() {
			select {
			case out <- bytes.Clone(scanner.Bytes()):
			case <-ctx.Done():
				stopped = ctx.Err()
				return
			}
		}
	}()
	return out, func() error {
		if err := scanner.Err(); err != nil {
			return fmt.Errorf("reading the lines: %w", err)
		}
		return stopped
	}
}

// line publishes one line.
func (p *publishing) line(number int, line []byte, one publishOne) {
	p.record(number, func(publisher *producers.EventPublisher, done func(error)) error { return one(publisher, line, done) })
}

// record publishes one record.
func (p *publishing) record(number int, one func(p *producers.EventPublisher, done func(error)) error) {
	p.acknowledged.Add(1)
	err := one(p.publisher, func(err error) {
		defer p.acknowledged.Done()
		p.count(number, err)
	})
	if err != nil {
		p.acknowledged.Done()
		p.count(number, err)
	}
}

func (p *publishing) count(number int, err error) {
	if err == nil {
		p.published.Add(1)
		return
	}
	p.printing.Lock()
	defer p.printing.Unlock()
	if ofAll(err) {
		if p.broken == nil {
			p.broken = err
		}
		if p.from == 0 || number < p.from {
			p.from = number
		}
		p.stop()
		return
	}
	p.refused.Add(1)
	_, _ = terminal.Fprintf(p.env.Err, "line %d: %v\n", number, err)
}

// badLine is an error of reading a line.
type badLine struct{ error }

func (e badLine) Unwrap() error { return e.error }

// ofAll tells an error that every line would meet from one of a single line: the topic was deleted, a right was taken away, the
// brokers went and did not come back in time.
func ofAll(err error) bool {
	_, ofReading := errors.AsType[badLine](err)
	return !ofReading && !schemas.IsInvalid(err) && !kafkaio.BlamesRecord(err)
}

func (p *publishing) verdict() error {
	_, _ = terminal.Fprintf(p.env.Out, "%d published, %d refused\n", p.published.Load(), p.refused.Load())
	var refused error
	if n := p.refused.Load(); n > 0 {
		refused = fmt.Errorf("%d lines were not published: mend and send them again, the others need not be repeated", n)
	}
	if p.broken != nil && p.env.Context.Err() == nil {
		return errors.Join(refused, fmt.Errorf("stopped at line %d: %w; send the lines from this one on again, once that is mended "+
			"(what is sent twice counts once)", p.from, online.Explain(p.broken)))
	}
	return refused
}

// publishBar shows bytes and speed on a terminal and nothing elsewhere.
func publishBar(env *Env, size int64) *progressbar.ProgressBar {
	if !isTerminal(env.Err) {
		return progressbar.DefaultBytesSilent(size)
	}
	return progressbar.NewOptions64(size, progressbar.OptionSetWriter(env.Err), progressbar.OptionShowBytes(true),
		progressbar.OptionSetDescription("publishing"), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
}
