package funnel

import (
	"fmt"

	"github.com/freshet/freshet/pipelines/offline/dataset"
	"github.com/freshet/freshet/schemas"
)

// Config says how to measure.
type Config struct {
	// K is the length of the page.
	K int
	// Users is how many of the cases are asked for, drawn by Seed; 0 asks for all.
	Users int
	// Window is how many events of a history, the newest, the towers encode when they are asked exactly.
	Window int
	// IncludeSeen leaves items of the history in the lists.
	IncludeSeen bool
	// Resamples is how many times the cases are drawn anew for the intervals.
	Resamples int
	Seed      uint64
}

// DefaultConfig asks for pages of ten for 500 users.
func DefaultConfig() Config { return Config{K: 10, Users: 500, Window: 64, Resamples: 1000, Seed: 1} }

// Validate names the first field that is out of range.
func (c Config) Validate() error {
	switch {
	case c.K < 1 || c.K > 1000:
		return fmt.Errorf("k is %d: give 1 to 1000, which is the longest page", c.K)
	case c.Users < 0:
		return fmt.Errorf("users is %d: give 0 (all) or more", c.Users)
	case c.Window < 1:
		return fmt.Errorf("window is %d: give at least 1", c.Window)
	case c.Resamples < 1 || c.Resamples > 100_000:
		return fmt.Errorf("resamples is %d: give 1 to 100000", c.Resamples)
	}
	return nil
}

// Data is what is asked. Of a case with several targets the first one counts.
type Data struct {
	Items []schemas.ItemChange
	// Known are the histories that popularity is counted from, by user.
	Known [][]int32
	Cases []dataset.Case
}
