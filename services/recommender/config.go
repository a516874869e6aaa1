package recommender

import (
	"fmt"
	"time"

	"github.com/freshet/freshet/services/candidates"
)

// Config bounds the work for one request.
type Config struct {
	// Candidates is how many neighbours the first retrieval asks for.
	Candidates int `yaml:"candidates" env:"CANDIDATES"`
	// MaxCandidates is where widening ends; Milvus bounds how many neighbours one search may ask for.
	MaxCandidates int `yaml:"max_candidates" env:"MAX_CANDIDATES"`
	// DefaultDeadline serves requests that name none. It counts from the broker's timestamp of the request.
	DefaultDeadline time.Duration `yaml:"default_deadline" env:"DEFAULT_DEADLINE"`
	// MaxDeadline is the longest that any request is worked at or waits, however late a deadline it names.
	MaxDeadline time.Duration `yaml:"max_deadline" env:"MAX_DEADLINE"`
	// ReplyReserve is kept back from each deadline for encoding and sending the reply.
	ReplyReserve time.Duration `yaml:"reply_reserve" env:"REPLY_RESERVE"`
	// WorkReserve is kept back from the deadline of a request that waits for its seen_through position.
	WorkReserve time.Duration `yaml:"work_reserve" env:"WORK_RESERVE"`
	// StageTimeout bounds each call to Redis or Milvus, so that a hanging server does not hold a batch for long.
	StageTimeout time.Duration `yaml:"stage_timeout" env:"STAGE_TIMEOUT"`
	// LiveRefresh is how long the live model's version is believed without asking again.
	LiveRefresh time.Duration `yaml:"live_refresh" env:"LIVE_REFRESH"`
	// ShelfRefresh is how long the shelf of popular and recent items is believed.
	ShelfRefresh time.Duration `yaml:"shelf_refresh" env:"SHELF_REFRESH"`
	// ShelfSize is how many popular and how many recent items the shelf holds.
	ShelfSize int `yaml:"shelf_size" env:"SHELF_SIZE"`
	// QueryTaste is the share of the user's embedding that is added to the vector of a query, both being of a like length: with 0
	// a search is the same for everybody; with 1 the user's taste counts as much as the text.
	QueryTaste float64 `yaml:"query_taste" env:"QUERY_TASTE"`
}

// DefaultConfig suits a catalogue of up to some millions of items.
func DefaultConfig() Config {
	return Config{
		Candidates:      200,
		MaxCandidates:   3200,
		DefaultDeadline: 2 * time.Second,
		MaxDeadline:     30 * time.Second,
		ReplyReserve:    10 * time.Millisecond,
		WorkReserve:     60 * time.Millisecond,
		StageTimeout:    500 * time.Millisecond,
		LiveRefresh:     time.Second,
		ShelfRefresh:    time.Second,
		ShelfSize:       500,
		QueryTaste:      0.2,
	}
}

// DefaultDeadline is how long after its arrival a request that names no deadline has to be answered.
func (s *Service) DefaultDeadline() time.Duration { return s.config.DefaultDeadline }

// Validate names the first setting that cannot work.
func (c Config) Validate() error {
	switch {
	case c.Candidates < 1:
		return fmt.Errorf("candidates is %d: use 1 or more", c.Candidates)
	case c.MaxCandidates < c.Candidates || c.MaxCandidates > candidates.MaxResults:
		return fmt.Errorf("max_candidates is %d: use a number from candidates (%d) to %d", c.MaxCandidates, c.Candidates, candidates.MaxResults)
	case c.ShelfSize < 1:
		return fmt.Errorf("shelf_size is %d: use 1 or more", c.ShelfSize)
	case !(c.QueryTaste >= 0 && c.QueryTaste <= 1):
		return fmt.Errorf("query_taste is %v: use a number from 0 to 1", c.QueryTaste)
	}
	for _, d := range []struct {
		name  string
		value time.Duration
	}{
		{"default_deadline", c.DefaultDeadline}, {"max_deadline", c.MaxDeadline}, {"reply_reserve", c.ReplyReserve},
		{"work_reserve", c.WorkReserve}, {"stage_timeout", c.StageTimeout}, {"live_refresh", c.LiveRefresh},
		{"shelf_refresh", c.ShelfRefresh},
	} {
		if d.value <= 0 {
			return fmt.Errorf("%s is %s: use a positive duration such as 500ms", d.name, d.value)
		}
	}
	if c.ReplyReserve >= c.DefaultDeadline || c.DefaultDeadline > c.MaxDeadline {
		return fmt.Errorf("default_deadline is %s: use one above reply_reserve (%s) and up to max_deadline (%s)",
			c.DefaultDeadline, c.ReplyReserve, c.MaxDeadline)
	}
	return nil
}
