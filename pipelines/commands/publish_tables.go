package commands

import (
	"bytes"
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"math"
	"os"
	"time"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/pipelines/offline/dataset/tables"
	"github.com/freshet/freshet/pipelines/topics"
	"github.com/freshet/freshet/producers"
	"github.com/freshet/freshet/schemas"
	"github.com/freshet/freshet/services/terminal"
)

// tableSource is a file or a folder of tables to publish from, in any form that train reads.
type tableSource struct {
	Data   string `type:"existingdir" placeholder:"DIR" help:"Publish from the tables of a folder instead, which train reads the same way."`
	Format string `enum:"${table_formats}" default:"auto" placeholder:"FORMAT" help:"How the folder is written: ${enum}. auto goes by the files."`
	tableFlags
}

// isTable tells whether a file holds no records of Freshet's own, one JSON object a line, or is said to hold others.
func (c *source) isTable() (bool, error) {
	if c.Data != "" {
		if c.File != "" {
			return false, usage("there are a file and --data: give one of them")
		}
		return true, nil
	}
	if c.Format != "auto" {
		return false, usage("--format tells how a folder is written: give it with --data")
	}
	if c.File == "" {
		return false, c.none()
	}
	info, err := os.Stat(c.File)
	if err != nil {
		return false, usageError{fmt.Errorf("opening what to publish: %w", err)}
	}
	if info.IsDir() || c.none() != nil {
		return true, nil
	}
	f, err := os.Open(c.File)
	if err != nil {
		return false, err
	}
	defer f.Close()
	begin := make([]byte, 1<<10)
	n, err := io.ReadFull(f, begin)
	if err != nil && !errors.Is(err, io.EOF) && !errors.Is(err, io.ErrUnexpectedEOF) {
		return false, err
	}
	begin = bytes.TrimSpace(bytes.TrimPrefix(begin[:n], []byte("\xef\xbb\xbf")))
	return len(begin) > 0 && begin[0] != '{', nil
}

// records opens what to publish. Everything is read once before anything is published: a row that makes no sense is told, and
// nothing is sent.
func (c *source) records(env *Env, items bool, ids *rowIDs) (dataset.Records, error) {
	s, err := env.Settings()
	if err != nil {
		return nil, err
	}
	var folder *tables.Folder
	if c.File != "" {
		options, err := c.options(dataset.TablesFormat)
		if err != nil {
			return nil, err
		}
		options.Name = ids.name
		if folder, err = tables.OpenFile(c.File, items, options, s.Limits); err != nil {
			return nil, err
		}
	} else {
		format, err := c.formatOf(c.Data, c.Format)
		if err != nil {
			return nil, err
		}
		if format == dataset.MovieLensFormat {
			if err := c.none(); err != nil {
				return nil, err
			}
			return dataset.ReadMovieLens(c.Data)
		}
		if !isTables(format) {
			return nil, fmt.Errorf("publishing from %s: format %s has the order of events alone, and no times: a record needs them",
				c.Data, format)
		}
		options, err := c.options(format)
		if err != nil {
			return nil, err
		}
		options.Name = ids.name
		if folder, err = tables.Open(c.Data, options, s.Limits); err != nil {
			return nil, err
		}
	}
	binding, err := folder.Survey(env.Context)
	if err != nil {
		return nil, err
	}
	tellBinding(env, binding)
	if items {
		return folder, folder.EachItem(env.Context, func(*schemas.ItemChange) error { return nil })
	}
	err = folder.EachInteraction(env.Context, func(*schemas.Interaction, int64) error { return nil })
	clear(ids.seen)
	return folder, err
}

// publishTable publishes all records of one kind.
func (c *source) publishTable(env *Env, items bool, topic func(topics.Config) string) error {
	ids := newRowIDs()
	records, err := c.records(env, items, ids)
	if err != nil {
		return err
	}
	p, closing, err := c.begin(env, topic, -1)
	if err != nil {
		return err
	}
	ctx, stop := context.WithCancel(env.Context)
	defer stop()
	p.stop = stop
	row := 0
	send := func(one func(*producers.EventPublisher, func(error)) error) error {
		if err := ctx.Err(); err != nil {
			return fmt.Errorf("stopped before row %d: %w", row+1, context.Cause(ctx))
		}
		row++
		_ = p.bar.Add(1)
		p.record(row, one)
		return nil
	}
	if items {
		now := time.Now().UTC().Truncate(time.Millisecond)
		fresh := 0
		err = records.EachItem(ctx, func(i *schemas.ItemChange) error {
			if i.Version <= 1 { // no column has it: a change that comes later counts
				i.Version = now.UnixMilli()
				fresh++
			}
			if i.OccurredAt.IsZero() {
				i.OccurredAt = now
			}
			return send(func(p *producers.EventPublisher, done func(error)) error {
				return p.PublishItemAsync(env.Context, i, func(_ schemas.Position, err error) { done(err) })
			})
		})
		if fresh > 0 {
			_, _ = terminal.Fprintf(env.Err, "%d items without a version got %d, which is now\n", fresh, now.UnixMilli())
		}
	} else {
		err = records.EachInteraction(ctx, func(e *schemas.Interaction, _ int64) error {
			return send(func(p *producers.EventPublisher, done func(error)) error {
				return p.PublishInteractionAsync(env.Context, e, func(_ schemas.Position, err error) { done(err) })
			})
		})
	}
	return p.end(closing, err)
}

// rowIDs names events that have no id of their own by what happened, and by how many alike came before: the same rows published again
// count once, and another file's rows of the same places are others.
type rowIDs struct{ seen map[[16]byte]uint32 }

func newRowIDs() *rowIDs { return &rowIDs{seen: map[[16]byte]uint32{}} }

func (r *rowIDs) name(e *schemas.Interaction, _ func() string) {
	value := math.NaN()
	if e.Value != nil {
		value = *e.Value
	}
	text, err := json.Marshal([]any{e.UserID, e.ItemID, e.Type, e.OccurredAt.UnixMilli(), fmt.Sprint(value), e.RequestID, e.Surface})
	if err != nil {
		panic(err) // texts and numbers
	}
	sum := sha256.Sum256(text)
	hash := [16]byte(sum[:])
	e.EventID = fmt.Sprintf("row-%s-%d", hex.EncodeToString(hash[:]), r.seen[hash])
	r.seen[hash]++
}
