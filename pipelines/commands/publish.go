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
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/schemas"
)

// Publish groups the commands that publish.
type Publish struct {
	Interactions PublishInteractions `cmd:"" help:"Publish interactions: one JSON object a line."`
	Items        PublishItems        `cmd:"" help:"Publish item changes: one JSON object a line."`
}

// source is where the lines come from.
type source struct {
	File string `arg:"" optional:"" type:"existingfile" help:"File of JSON lines; without it they are read from standard input."`
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
	return c.publish(env, func(p *producers.EventPublisher, line []byte, done func(error)) error {
		event, err := schemas.DecodeInteractionJSON(line)
		if err != nil {
			return err
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
	return c.publish(env, func(p *producers.EventPublisher, line []byte, done func(error)) error {
		change, err := schemas.DecodeItemChangeJSON(line)
		if err != nil {
			return err
		}
		return p.PublishItemAsync(env.Context, &change, func(_ schemas.Position, err error) { done(err) })
	})
}

// publishOne decodes a line and queues its record; done is called once if and only if the error is nil.
type publishOne func(p *producers.EventPublisher, line []byte, done func(error)) error

func (c *source) publish(env *Env, one publishOne) error {
	s, err := env.Settings()
	if err != nil {
		return err
	}
	_, end, err := env.observe(s, env.Err, false)
	if err != nil {
		return err
	}
	defer end()
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
	publisher, err := producers.NewEventPublisher(env.Context, s.Producer(env.Log))
	if err != nil {
		return online.Explain(err)
	}
	lines := &publishing{env: env, publisher: publisher, bar: publishBar(env, size)}
	readErr := lines.read(in, one)
	closeErr := publisher.Close(env.Context)
	lines.acknowledged.Wait()
	_ = lines.bar.Finish()
	return errors.Join(readErr, closeErr, lines.verdict())
}

// maxLine bounds one line: far above any record that the brokers take.
const maxLine = 4 << 20

// publishing counts what became of the lines of one run.
type publishing struct {
	env          *Env
	publisher    *producers.EventPublisher
	bar          *progressbar.ProgressBar
	acknowledged sync.WaitGroup
	published    atomic.Int64
	refused      atomic.Int64
	printing     sync.Mutex
}

// read publishes line by line. A full queue blocks it, so that memory stays bounded however fast the lines come.
func (p *publishing) read(in io.Reader, one publishOne) error {
	ctx := p.env.Context
	lines, readErr := scan(ctx, in)
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

// line publishes one line; an empty one is none.
func (p *publishing) line(number int, line []byte, one publishOne) {
	_ = p.bar.Add(len(line) + 1)
	line = bytes.TrimSpace(line)
	if len(line) == 0 {
		return
	}
	p.acknowledged.Add(1)
	err := one(p.publisher, line, func(err error) {
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
	p.refused.Add(1)
	p.printing.Lock()
	defer p.printing.Unlock()
	_, _ = fmt.Fprintf(p.env.Err, "line %d: %v\n", number, err)
}

func (p *publishing) verdict() error {
	_, _ = fmt.Fprintf(p.env.Out, "%d published, %d refused\n", p.published.Load(), p.refused.Load())
	if n := p.refused.Load(); n > 0 {
		return fmt.Errorf("%d lines were not published: mend and send them again, the others need not be repeated", n)
	}
	return nil
}

// publishBar shows bytes and speed on a terminal and nothing elsewhere.
func publishBar(env *Env, size int64) *progressbar.ProgressBar {
	if !isTerminal(env.Err) {
		return progressbar.DefaultBytesSilent(size)
	}
	return progressbar.NewOptions64(size, progressbar.OptionSetWriter(env.Err), progressbar.OptionShowBytes(true),
		progressbar.OptionSetDescription("publishing"), progressbar.OptionThrottle(100*time.Millisecond), progressbar.OptionClearOnFinish())
}
